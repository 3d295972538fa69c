"""Checkpoints that a kill at any moment leaves whole: the newest two, the newest readable one."""

import shutil
from pathlib import Path

import tensorflow as tf
from tqdm import tqdm

from tfrobust.core.files import write_atomically
from tfrobust.errors import InputError
from tfrobust.training.classifier import RobustClassifier

KEPT = 2


class Checkpoints:
    """A run's checkpoints, step-<number>.

    TensorFlow writes each under a temporary name, its index last; then comes the state file, by
    which TensorFlow's own tools find the newest, and only then is the third newest removed.

    Args:
        folder: of the checkpoints.
        classifier: what is saved: the network's variables, ψ's integral, the optimizer's slots.
    """

    def __init__(self, folder: Path, classifier: RobustClassifier) -> None:
        self.folder = folder
        self.checkpoint = tf.train.Checkpoint(classifier=classifier, optimizer=classifier.optimizer)
        self.newest: Path | None = None

    def restore(self) -> int:
        """Loads the newest checkpoint that can be read whole; → its step, 0 where there is none.

        Those that cannot are passed over with a warning.

        Raises:
            InputError: a readable checkpoint of another network.
        """
        for step in self._steps():
            path = str(self.folder / f"step-{step}")
            if reason := _damage(path):
                tqdm.write(f"warning: checkpoint {path} cannot be read ({reason}); trying older")
                continue
            try:
                status = self.checkpoint.read(path)
                status.assert_existing_objects_matched().expect_partial()
            except (AssertionError, ValueError) as error:
                raise InputError(
                    f"{path} holds another network than the configuration makes of this data "
                    f"({str(error).splitlines()[0]}). Did the data's classes change? Name another "
                    "`run_dir`, or start anew with `fresh`"
                ) from None
            self.newest = Path(path)
            return step
        return 0

    def save(self, step: int) -> None:
        """Writes one; what is older than the newest two goes, and what a kill left half written."""
        # Not by CheckpointManager: its counter is a variable, which all hosts had to make together.
        self.newest = Path(self.checkpoint.write(str(self.folder / f"step-{step}")))
        # Newer ones are damaged: else the training had gone on from there.
        kept = [f"step-{older}" for older in reversed(self._steps()) if older <= step][-KEPT:]
        state = [f'model_checkpoint_path: "{kept[-1]}"\n']
        state += [f'all_model_checkpoint_paths: "{name}"\n' for name in kept]
        write_atomically(self.folder / "checkpoint", "".join(state).encode())
        for path in self.folder.glob("step-*"):
            if path.name.partition(".")[0] in kept:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def _steps(self) -> list[int]:
        """Of what is there, the newest first."""
        numbers = [path.stem.removeprefix("step-") for path in self.folder.glob("step-*.index")]
        return sorted((int(number) for number in numbers if number.isdecimal()), reverse=True)


def _damage(path: str) -> str:
    """Why a checkpoint cannot be read whole; "" where it can: each tensor has a checksum."""
    try:
        reader = tf.train.load_checkpoint(path)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except Exception as error:  # by the damage: DataLossError, IndexError, RuntimeError, ...
        return str(error).splitlines()[0] if str(error) else type(error).__name__
    return ""
