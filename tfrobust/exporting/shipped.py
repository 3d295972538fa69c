"""The networks that come with the package."""

import site
import sys
from pathlib import Path

import keras

from tfrobust.errors import InputError
from tfrobust.exporting import versions
from tfrobust.exporting.loading import KERAS_FILE, load_model

# In a clone; and where pip puts them, for an environment and by --user.
FOLDERS = (
    Path(__file__).resolve().parents[2] / "saved_models",
    *(
        Path(base) / "share" / "tfrobust" / "saved_models"
        for base in (sys.prefix, site.getuserbase())
    ),
)


def load(name: str) -> keras.Model:
    """A network that comes with the package, offline.

    Args:
        name: such as "cifar10": a folder of saved_models/; its first version, which is shipped.

    Returns:
        A Keras network, float32 images (B, H, W, C) in [0, 1] → logits (B, K), for `evaluate`,
        `explain` and `export`. What is known of it is in its model card, beside it.

    Raises:
        InputError: no network of that name is shipped.
    """
    shipped = _shipped()
    if name not in shipped:
        raise InputError(
            f"expected one of the networks that are shipped: {', '.join(sorted(shipped)) or 'none'}"
            f"; got {name!r}. Others are read by tfrobust.exporting.loading.load_model(path)"
        )
    return load_model(shipped[name] / KERAS_FILE)


def _shipped() -> dict[str, Path]:
    """Name → folder of its first version."""
    return {
        model.name: model / "1"
        for folder in reversed(FOLDERS)
        if folder.is_dir()
        for model in folder.iterdir()
        if 1 in versions.numbers(model) and (model / "1" / KERAS_FILE).is_file()
    }
