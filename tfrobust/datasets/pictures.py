"""Reads picture files, PNG and JPEG, into uint8 arrays, and writes arrays as PNG.

All kinds of pixels are read:

- With 16 bits a pixel, the full range 0 to 65,535 becomes 0 to 255. Nothing is stretched, so a
  12-bit radiograph that is stored in 16 bits stays dark. Rescale such files beforehand.
- Transparent pixels are laid on white, as most viewers show them.
- The EXIF orientation is applied, so that the picture stands as viewers show it.
- CMYK and palettes are converted to RGB.
"""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

MAX_PIXELS = 100_000_000
FORMATS = ("PNG", "JPEG")
GREY_MODES = ("1", "L", "LA", "I", "I;16", "I;16B")
EXIF_ORIENTATION = 0x0112
JPEG_END = b"\xff\xd9"
# Cameras and phones append their own data after a JPEG's end.
JPEG_TAIL_BYTES = 2**16


class PictureError(ValueError):
    """A file is no readable picture. The message says why."""


class Header(NamedTuple):
    """What a file says of its picture.

    Args:
        height: in pixels, after the EXIF orientation is applied.
        width: likewise.
        grey: whether the picture has no colour.
        transparent: whether pixels may be transparent.
    """

    height: int
    width: int
    grey: bool
    transparent: bool


def inspect(path: Path) -> Header:
    """Reads a picture's header and looks for damage, without decoding the pixels.

    Args:
        path: the picture file.

    Returns:
        The header.

    Raises:
        PictureError: the file is neither PNG nor JPEG, is damaged or cut off, or has more than 100
            megapixels.
    """
    try:
        with Image.open(path, formats=FORMATS) as picture:
            _refuse_huge(picture)
            if picture.format == "PNG":
                picture.verify()
            else:
                _require_jpeg_end(path)
        # Pillow cannot read on in a file that it has verified, so the file is opened again.
        with Image.open(path, formats=FORMATS) as picture:
            width, height = picture.size
            if picture.getexif().get(EXIF_ORIENTATION, 1) >= 5:
                width, height = height, width
            grey = picture.mode in GREY_MODES
            return Header(height, width, grey, picture.has_transparency_data)
    except PictureError:
        raise
    # On damaged files Pillow raises OSError, SyntaxError, ValueError, struct.error and others.
    except Exception as error:
        raise PictureError(f"{type(error).__name__}: {error}") from error


def read(path: Path, channels: int) -> np.ndarray:
    """Decodes a picture.

    Args:
        path: the picture file.
        channels: 1 or 3. A grey picture becomes a colour one by repetition, a colour one grey by
            its luma.

    Returns:
        uint8 (H, W, channels).

    Raises:
        PictureError: as `inspect` raises it.
    """
    try:
        with Image.open(path, formats=FORMATS) as file:
            _refuse_huge(file)
            picture: Image.Image = ImageOps.exif_transpose(file)
            if picture.mode.startswith("I"):
                picture = _eight_bits(picture)
            if picture.has_transparency_data:
                picture = picture.convert("RGBA")
                white = Image.new("RGBA", picture.size, "white")
                picture = Image.alpha_composite(white, picture)
            pixels = np.array(picture.convert("L" if channels == 1 else "RGB"))
    except PictureError:
        raise
    except Exception as error:
        raise PictureError(f"{type(error).__name__}: {error}") from error
    return pixels.reshape(*pixels.shape[:2], channels)


def fit(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes an image without distorting it, and keeps its middle.

    The image is scaled until it just covers the size; what lies outside is cut away.

    Args:
        image: uint8 (H, W, 1 or 3).
        size: height and width of the result, in pixels.

    Returns:
        uint8 (*size, C). It is smoothed where it shrinks.
    """
    height, width, channels = image.shape
    if (height, width) == size:
        return image
    scale = min(height / size[0], width / size[1])
    top, left = (height - scale * size[0]) / 2, (width - scale * size[1]) / 2
    # Rounding may move a corner slightly outside of the image, which Pillow refuses.
    box = (
        max(0.0, left),
        max(0.0, top),
        min(float(width), left + scale * size[1]),
        min(float(height), top + scale * size[0]),
    )
    resized = _picture(image).resize((size[1], size[0]), Image.Resampling.BILINEAR, box)
    return np.array(resized).reshape(*size, channels)


def encode_png(image: np.ndarray) -> bytes:
    """Writes an image as PNG.

    Args:
        image: uint8 (H, W, 1 or 3).

    Returns:
        The file's bytes.
    """
    file = io.BytesIO()
    _picture(image).save(file, "PNG")
    return file.getvalue()


def _picture(image: np.ndarray) -> Image.Image:
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def _eight_bits(picture: Image.Image) -> Image.Image:
    pixels = np.clip(np.asarray(picture).astype(np.int64), 0, 65_535)
    return Image.fromarray(((pixels * 255 + 32_767) // 65_535).astype(np.uint8))


def _refuse_huge(picture: Image.Image) -> None:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise PictureError(f"{width} × {height} pixels, above {MAX_PIXELS // 10**6} megapixels")


def _require_jpeg_end(path: Path) -> None:
    with path.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(file.tell() - JPEG_TAIL_BYTES, 0))
        if JPEG_END not in file.read():
            raise PictureError("the JPEG is cut off: it has no end")
