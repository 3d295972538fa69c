"""Files that Keras saved: .keras, and .h5 from before it."""

import json
import zipfile
from pathlib import Path

import keras

from tfrobust.core import keras_archive
from tfrobust.core.logits import unwrapped
from tfrobust.errors import InputError

# What a file with a Lambda layer needs, which runs code of the file's maker.
TRUST = (
    "If you trust its maker, load it yourself, keras.saving.load_model(path, safe_mode=False), "
    "and give the model"
)

OLD = (
    "it was saved by Keras 2, whose .keras files Keras 3 cannot read. Load it there (pip install "
    "tf-keras) and save it as .h5, or export it as a SavedModel: both are read here"
)


def read(path: Path) -> keras.Model:
    """Reads a network that Keras saved; of a saved `RobustClassifier`, the network inside.

    Args:
        path: a .keras or .h5 file.

    Raises:
        InputError: it is no such file, it is damaged, there is code in it, or a small file would
            take gigabytes.
    """
    if path.suffix.lower() == ".keras" and not zipfile.is_zipfile(path):
        raise InputError(f"expected a .keras file; {path} is cut off, or is another file")
    if path.suffix.lower() == ".keras":
        keras_archive.check(path)
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


def _saved_by(path: Path) -> str:
    """The version of Keras that saved a .keras file; "" where it is not told."""
    try:
        with zipfile.ZipFile(path) as file:
            return str(json.loads(file.read("metadata.json"))["keras_version"])
    except (zipfile.BadZipFile, KeyError, ValueError):
        return ""
