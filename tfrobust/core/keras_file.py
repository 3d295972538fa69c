"""Files that Keras saved: .keras, and .h5 from before it."""

import json
import zipfile
from pathlib import Path

import keras

from tfrobust.core.logits import unwrapped
from tfrobust.errors import InputError

# What a file with a Lambda layer needs, which runs code of the file's maker.
TRUST = (
    "If you trust its maker, load it yourself, keras.saving.load_model(path, safe_mode=False), "
    "and give the model"
)

# The configurations of Keras' largest networks take half a megabyte.
MOST_CONFIG_BYTES = 64 * 2**20
# Weights do not shrink to less than half, and those of a new network hold zeros besides.
MOST_TIMES_UNPACKED = 20

OLD = (
    "it was saved by Keras 2, whose .keras files Keras 3 cannot read. Load it there (pip install "
    "tf-keras) and save it as .h5, or export it as a SavedModel: both are read here"
)


def read(path: Path) -> keras.Model:
    """Reads a network that Keras saved; of a saved `RobustClassifier`, the network inside.

    Args:
        path: a .keras or .h5 file.

    Raises:
        InputError: it is no such file, it is damaged, or there is code in it.
    """
    if path.suffix.lower() == ".keras" and not zipfile.is_zipfile(path):
        raise InputError(f"expected a .keras file; {path} is cut off, or is another file")
    if path.suffix.lower() == ".keras":
        _check_unpacked(path)
    # What a damaged file raises is anything at all.
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        words = f"{error} {TRUST}" if "safe_mode" in str(error) else str(error)
        words = OLD if _saved_by(path).startswith("2.") else words
        raise InputError(f"expected a Keras model; {path} cannot be read: {words}") from None
    if not isinstance(model, keras.Model):
        raise InputError(f"expected a Keras model; {path} holds a {type(model).__name__}")
    return unwrapped(model)


def _check_unpacked(path: Path) -> None:
    """Refuses an archive of a few kilobytes that unpacks to gigabytes, before it is unpacked.

    Raises:
        InputError: it does, or is damaged.
    """
    try:
        with zipfile.ZipFile(path) as file:
            members = file.infolist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise InputError(f"expected a .keras file; {path} is damaged: {error}") from None
    whole = sum(member.file_size for member in members)
    config = sum(member.file_size for member in members if member.filename.endswith(".json"))
    if config > MOST_CONFIG_BYTES:
        raise InputError(
            "expected a .keras file with a configuration of at most "
            f"{MOST_CONFIG_BYTES >> 20} MiB; that of {path} unpacks to {config >> 20} MiB"
        )
    if whole > MOST_CONFIG_BYTES + MOST_TIMES_UNPACKED * path.stat().st_size:
        raise InputError(
            f"expected a .keras file that unpacks to at most {MOST_TIMES_UNPACKED} times its size; "
            f"{path} unpacks to {whole >> 20} MiB"
        )


def _saved_by(path: Path) -> str:
    """The version of Keras that saved a .keras file; "" where it is not told."""
    try:
        with zipfile.ZipFile(path) as file:
            return str(json.loads(file.read("metadata.json"))["keras_version"])
    except (zipfile.BadZipFile, KeyError, ValueError):
        return ""
