"""What is trained is kept before later stages begin, whatever becomes of them."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import keras

from tfrobust.core.interruption import deferred
from tfrobust.core.loading import KERAS_FILE
from tfrobust.errors import UnfinishedError, reason_of
from tfrobust.runs.folder import Run


@contextlib.contextmanager
def keeping(run: Run, network: keras.Model) -> Iterator[None]:
    """Keeps the trained network in the run's folder. What fails or is interrupted then says so.

    Args:
        run: whose folder it is.
        network: as it is measured and exported.

    Raises:
        UnfinishedError: a stage failed.
        KeyboardInterrupt: a stage was interrupted.
    """
    kept = f"The trained weights are kept: {run.folder / 'checkpoints'}{os.sep}."
    try:
        # A layer of one's own may have no Keras file, and the disk may be full.
        with contextlib.suppress(Exception), deferred():
            with tempfile.TemporaryDirectory(dir=run.folder) as folder:
                network.save(Path(folder) / KERAS_FILE)
                os.replace(Path(folder) / KERAS_FILE, run.folder / KERAS_FILE)
            kept = f"The trained network is kept: {run.folder / KERAS_FILE}."
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"{kept} So is what was measured.") from None
    except Exception as error:
        raise UnfinishedError(f"after the training, {reason_of(error)}. {kept}") from error
