"""Small .keras files that would take gigabytes: refused before they do."""

import json
import math
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras

from tfrobust.errors import InputError

# The configurations of Keras' largest networks take half a megabyte.
MOST_CONFIG_BYTES = 64 * 2**20
# Weights do not shrink to less than half, and those of a new network hold zeros besides.
MOST_TIMES = 20
BYTES_OF_A_WEIGHT = 4


def check(path: Path) -> None:
    """Refuses what unpacks to far more than it is, or has far more weights than it stores.

    Args:
        path: a .keras file, which is a ZIP archive.

    Raises:
        InputError: it does, or it is damaged.
    """
    try:
        with zipfile.ZipFile(path) as file:
            members = file.infolist()
            whole = sum(member.file_size for member in members)
            config = sum(one.file_size for one in members if one.filename.endswith(".json"))
            if config > MOST_CONFIG_BYTES:
                raise InputError(
                    "expected a .keras file with a configuration of at most "
                    f"{MOST_CONFIG_BYTES >> 20} MiB; that of {path} unpacks to {config >> 20} MiB"
                )
            if whole > MOST_CONFIG_BYTES + MOST_TIMES * path.stat().st_size:
                raise InputError(
                    f"expected a .keras file that unpacks to at most {MOST_TIMES} times its size; "
                    f"{path} unpacks to {whole >> 20} MiB"
                )
            told = json.loads(file.read("config.json"))
    except (zipfile.BadZipFile, OSError, ValueError, KeyError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"expected a .keras file; {path} is damaged: {error}") from None
    # A thread of its own has its own of Keras' lists of variables that are still to be made.
    with ThreadPoolExecutor(1) as thread:
        weights = thread.submit(_count_weights, told).result()
    if BYTES_OF_A_WEIGHT * weights > MOST_CONFIG_BYTES + MOST_TIMES * whole:
        raise InputError(
            f"expected a .keras file that stores its weights; the network of {path} has {weights}, "
            f"and the file holds {whole >> 20} MiB"
        )


def _count_weights(config: dict[str, Any]) -> int:
    """How many numbers the network's weights have; 0 if Keras cannot build it.

    Nothing is allocated: within a StatelessScope Keras only notes the shapes of new variables.
    """
    config = {**config, "compile_config": None}
    try:
        with keras.StatelessScope(initialize_variables=False):
            model = keras.saving.deserialize_keras_object(config, safe_mode=True)
        return sum(math.prod(variable.shape) for variable in model.variables)
    except Exception:  # Anything at all. Loading it says what is wrong.
        return 0
