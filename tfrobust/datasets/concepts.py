"""A folder of pictures with masks, which say where in them concepts are."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfrobust.core.images import GREY_OR_COLOUR
from tfrobust.datasets import pictures
from tfrobust.datasets.headers import PictureError
from tfrobust.datasets.names import Fit
from tfrobust.datasets.resizing import fit as fitted
from tfrobust.errors import InputError

PICTURES, MASKS = "images", "masks"
THERE = 128  # from this grey level on a mask says that the concept is there


class Concepts(NamedTuple):
    """N pictures, and where in them C concepts are.

    Args:
        images: float32 (N, H, W, channels) in [0, 1].
        masks: name → bool (N, H, W), in the order of the names.
        files: the pictures' names.
    """

    images: np.ndarray
    masks: dict[str, np.ndarray]
    files: tuple[str, ...]


def load_concepts(
    folder: str | Path, *, image_shape: tuple[int, int, int], fit: Fit = "crop"
) -> Concepts:
    """Reads pictures and masks, such as `explanations.dissect` asks for.

    Pictures are images/NAME, and masks are masks/CONCEPT/NAME, with any ending, white where the
    concept is and black elsewhere. A picture without a mask of a concept has not got it.

    Args:
        folder: with the two folders.
        image_shape: (H, W, channels) that all are brought to, as the network takes them.
        fit: how pictures of other proportions are brought there: "crop" or "letterbox".

    Returns:
        Pictures and masks, in the order of the names.

    Raises:
        InputError: a folder is missing or empty, a file cannot be read, a mask has no picture, or
            a mask has another size than its picture.
    """
    height, width, channels = image_shape
    if channels not in GREY_OR_COLOUR:
        raise InputError(f"expected an image_shape of 1 or 3 channels, got {image_shape}")
    folder = Path(folder)
    shown = _by_stem(folder / PICTURES)
    if not shown:
        raise InputError(f"expected pictures in {folder / PICTURES}, got none")
    read = {stem: _read(path, channels) for stem, path in shown.items()}
    size = (height, width)
    images = np.stack([fitted(picture, size, fit) for picture in read.values()])
    masks = {}
    for place in sorted(path for path in _listed(folder / MASKS) if path.is_dir()):
        masks[place.name] = np.zeros((len(read), height, width), bool)
        for stem, path in _by_stem(place).items():
            if stem not in read:
                raise InputError(f"expected a picture of {path} in {folder / PICTURES}, got none")
            mask = _read(path, 1)
            if mask.shape[:2] != read[stem].shape[:2]:
                raise InputError(
                    f"expected {path} in the size of its picture, {read[stem].shape[:2]}, got "
                    f"{mask.shape[:2]} (height, width)"
                )
            row = list(read).index(stem)
            masks[place.name][row] = fitted(mask, size, fit)[..., 0] >= THERE
    if not masks:
        raise InputError(f"expected a folder of masks for each concept in {folder / MASKS}")
    return Concepts(
        images.astype(np.float32) / 255, masks, tuple(path.name for path in shown.values())
    )


def _by_stem(folder: Path) -> dict[str, Path]:
    """The files of a folder by their names without the ending, in the names' order."""
    found: dict[str, Path] = {}
    for path in sorted(path for path in _listed(folder) if not path.is_dir()):
        if path.name.startswith("."):
            continue
        if path.stem in found:
            raise InputError(f"expected one file called {path.stem} in {folder}, got two")
        found[path.stem] = path
    return found


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise InputError(f"expected a folder at {folder}, but: {error.strerror}") from None


def _read(path: Path, channels: int) -> np.ndarray:
    try:
        return pictures.read(path, channels)
    except PictureError as error:
        raise InputError(f"expected a picture at {path}, but it is {error}") from None
