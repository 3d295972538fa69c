"""Images as people see them: enlarged, encoded, and differences around grey."""

import base64
import io
from collections.abc import Sequence

import matplotlib
import numpy as np
from PIL import Image

from tfrobust.errors import InputError

# Smaller images are enlarged to about so many pixels, by a whole number.
PANEL = 150
# A difference of this many rho is black or white.
SPREAD = 3.0
# Larger images are stored as JPEG. A page with a hundred photographs as PNG has tens of megabytes.
PNG_SIDE, JPEG_QUALITY = 64, 90


def scale_of(height: int, width: int) -> int:
    """The whole number by which an image is enlarged."""
    return max(1, round(PANEL / max(height, width)))


def around_grey(difference: np.ndarray, rho: float) -> np.ndarray:
    """A difference (H, W, C) as an image: grey where nothing changed, black or white at 3 rho."""
    return 0.5 + difference / (2 * SPREAD * max(rho, 1e-12))


def eight_bits(image: np.ndarray) -> np.ndarray:
    """An image, float (H, W, 1 or 3), clipped to [0, 1], as uint8 (H, W, 3)."""
    values = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    return np.broadcast_to(values, (*values.shape[:2], 3))


def data_uri(image: np.ndarray) -> str:
    """An image, float (H, W, 1 or 3), as an address that holds its file: PNG, or JPEG if large."""
    small = max(image.shape[:2]) <= PNG_SIDE
    kind, options = ("png", {}) if small else ("jpeg", {"quality": JPEG_QUALITY})
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(eight_bits(image))).save(file, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


def heat(map_of: np.ndarray, image: np.ndarray) -> np.ndarray:
    """A map (H, W) in colour over the image in grey: (H, W, 3).

    A map without negative values goes from dark to bright. In a map with negative values red
    speaks for the class and blue against it. The largest hundredth of the values share the last
    colour, so that one strong pixel does not hide the others.
    """
    strongest = max(float(np.percentile(np.abs(map_of), 99)), 1e-12)
    if map_of.min() < 0:
        colours = matplotlib.colormaps["RdBu_r"](0.5 + map_of / (2 * strongest))
    else:
        colours = matplotlib.colormaps["inferno"](map_of / strongest)
    return 0.6 * colours[..., :3] + 0.4 * image.mean(axis=-1, keepdims=True)


def plain_name(name: str, longest: int) -> str:
    """A name as one short line of printable text. Anyone may have written it."""
    line = "".join(letter if letter.isprintable() else " " for letter in str(name)).strip()
    return line if len(line) <= longest else line[: longest - 1] + "…"


def class_name(class_names: Sequence[str], number: int, longest: int) -> str:
    """What a class is called, as one short line; "class 3" where there are no names.

    Raises:
        InputError: there are names, but none for this class.
    """
    if not len(class_names):
        return f"class {number}"
    if not 0 <= number < len(class_names):
        raise InputError(
            f"expected a name for each class, got {len(class_names)} names and class {number}"
        )
    return plain_name(class_names[number], longest)
