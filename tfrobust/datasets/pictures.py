"""Reads picture files into uint8 arrays, whatever their pixels are like, and writes arrays as PNG.

TensorFlow decodes PNG and JPEG, as it does inside an exported model; `graph_decoding` says how each
kind of file is read. Pillow decodes WebP, BMP, TIFF and GIF (its first frame) by the same rules,
and pydicom DICOM files. Importing this module does not import TensorFlow.
"""

import io
import os
import re
import stat
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin

from tfrobust.datasets import dicom
from tfrobust.datasets.headers import (
    COLOUR,
    GREY,
    JPEG,
    PILLOW_FORMATS,
    PNG,
    Header,
    PictureError,
    is_cut_off,
    read_header,
)
from tfrobust.datasets.sample_bits import SUSPICIOUSLY_DARK, TOO_DARK, TOO_LARGE

MAX_PIXELS = 100_000_000
MAX_BYTES = 2**30
WHITE_IS_ZERO = 262  # TIFF's tag PhotometricInterpretation, then 0


def inspect(path: Path, *, frame: int | None = None) -> Header:
    """Reads a picture's header and looks for damage, without decoding it.

    Args:
        path: of the file.
        frame: which frame of a DICOM file is wanted, from 1; None for the only one.

    Returns:
        Its header.

    Raises:
        PictureError: no file but a folder, pipe or device; no PNG, JPEG, WebP, BMP, TIFF, GIF or
            DICOM; damaged, cut off, or above 100 megapixels; a DICOM file without that frame, or
            that cannot be decoded here.
    """
    with _opened(path) as file:
        header = _header(file, frame)
        if is_cut_off(file):
            raise PictureError("cut off: the file has no end")
        return header


def read(
    path: Path, channels: int, *, bits: int | None = None, frame: int | None = None
) -> np.ndarray:
    """Decodes a picture.

    Args:
        path: of the file.
        channels: 1 or 3; grey becomes colour by repetition, colour grey by its luma.
        bits: how many bits of a 16-bit sample carry the picture, from 9 to 16, where the file
            itself does not say it. None: all 16, and files that are so dark that they may have
            fewer are refused.
        frame: as for `inspect`.

    Returns:
        uint8 (H, W, channels), upright.

    Raises:
        PictureError: as `inspect`, or as `bits` says.
    """
    with _opened(path) as file:
        content = file.read()
    return decode(content, channels, bits=bits, frame=frame)


def decode(
    content: bytes, channels: int, *, bits: int | None = None, frame: int | None = None
) -> np.ndarray:
    """`read` of a file's bytes."""
    file = io.BytesIO(content)
    header = _header(file, frame)
    if content.startswith((PNG, JPEG)):
        return _by_tensorflow(content, header, channels, bits)
    file.seek(0)
    try:
        if dicom.is_dicom(file):
            return _flat(Image.fromarray(dicom.decode(file, bits, frame)), channels)
        return _by_pillow(content, header, channels, bits)
    except PictureError:
        raise
    # On damaged files Pillow raises OSError, SyntaxError, ValueError, struct.error and others.
    except Exception as error:
        raise PictureError(f"damaged or cut off: {type(error).__name__}: {error}") from error


def brightest_sample(path: Path, *, frame: int | None = None) -> int:
    """The largest sample of a PNG, TIFF or DICOM file of 16 bits.

    Args:
        path: the picture file.
        frame: as for `inspect`.

    Raises:
        PictureError: the file cannot be read.
    """
    with _opened(path) as file:
        content = file.read()
    if content.startswith(PNG):
        import tensorflow as tf

        try:
            with tf.device("CPU:0"):
                return int(tf.reduce_max(tf.io.decode_png(content, channels=3, dtype=tf.uint16)))
        except tf.errors.OpError as error:
            raise PictureError(_words(error.message)) from error
    if dicom.is_dicom(io.BytesIO(content)):
        return int(dicom.read_levels(io.BytesIO(content), frame).samples.max())
    try:
        with Image.open(io.BytesIO(content), formats=PILLOW_FORMATS) as picture:
            return int(np.max(np.asarray(picture)))
    except Exception as error:
        raise PictureError(f"damaged or cut off: {type(error).__name__}: {error}") from error


def encode_png(image: np.ndarray) -> bytes:
    """Writes an image as PNG.

    Args:
        image: uint8 (H, W, 1 or 3).

    Returns:
        The file's bytes.
    """
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, "PNG")
    return file.getvalue()


def _by_tensorflow(content: bytes, header: Header, channels: int, bits: int | None) -> np.ndarray:
    import tensorflow as tf

    from tfrobust.datasets.graph_decoding import decode_eagerly

    try:
        with tf.device("CPU:0"):
            pixels = decode_eagerly(tf.constant(content), header, channels, bits).numpy()
    except tf.errors.OpError as error:
        raise PictureError(_words(error.message)) from error
    if pixels.shape[2] == 4 and header.kind in (GREY, COLOUR):
        # As `graph_decoding` mends what TensorFlow takes for opaque.
        pixels[..., 3][pixels[..., 3] > 0] = 255
    if pixels.shape[2] > channels:
        pixels = _flat(Image.fromarray(pixels), channels)
    return _upright(pixels, header.orientation)


def _words(message: str) -> str:
    """TensorFlow's message without what it says of its own inside."""
    message = message.split("Summarized data: ")[-1].replace("b'", "").replace("'\n", " ")
    message = re.sub(r"\{\{.*?\}\} ?| \[Op:.*", "", message)
    return f"damaged or cut off: {message}" if "Invalid" in message else message


def _by_pillow(content: bytes, header: Header, channels: int, bits: int | None) -> np.ndarray:
    with Image.open(io.BytesIO(content), formats=PILLOW_FORMATS) as file:
        is_negative = (
            isinstance(file, TiffImagePlugin.TiffImageFile) and file.tag_v2.get(WHITE_IS_ZERO) == 0
        )
        picture: Image.Image = ImageOps.exif_transpose(file)
    if header.depth > 8:
        picture = _eight_bits(picture, header, bits, is_negative)
    return _flat(picture, channels)


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turns and mirrors (h, w, c) as the EXIF orientation asks."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _flat(picture: Image.Image, channels: int) -> np.ndarray:
    """Lays a picture of 8 bits on white: uint8 (h, w, channels)."""
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    pixels = np.array(picture.convert("L" if channels == 1 else "RGB"))
    return pixels.reshape(*pixels.shape[:2], channels)


def _eight_bits(
    picture: Image.Image, header: Header, bits: int | None, is_negative: bool
) -> Image.Image:
    """A TIFF of more than 8 bits a sample in 8 bits."""
    if header.depth > 16 or picture.mode in ("I", "F"):
        raise PictureError(
            f"{header.depth}-bit samples, of which nobody can tell which is white: convert the "
            "picture to 8 or 16 bits without sign"
        )
    said = header.significant_bits or bits
    samples = np.asarray(picture)
    if samples.dtype == np.uint8:
        # Pillow keeps the upper half of each sample of colour TIFFs.
        if said not in (None, 16) or samples.max() < SUSPICIOUSLY_DARK >> 8:
            raise PictureError("a colour TIFF of less than 16 bits: convert it to a 16-bit PNG")
        return picture
    brightest = int(samples.max())
    if said is None and 0 < brightest < SUSPICIOUSLY_DARK:
        raise PictureError(f"{TOO_DARK} {brightest}")
    largest = 2 ** (said or 16) - 1
    if brightest > largest:
        raise PictureError(f"{TOO_LARGE.format(bits=said)} {brightest}")
    eight = ((samples.astype(np.uint32) * 255 + largest // 2) // largest).astype(np.uint8)
    return Image.fromarray(255 - eight if is_negative else eight)


def _opened(path: Path) -> BinaryIO:
    """Opens a regular file; a pipe or a device could be waited for without an end."""
    try:
        kind = os.stat(path)
        if not stat.S_ISREG(kind.st_mode):
            raise PictureError("not a file but a folder, pipe or device")
        if kind.st_size > MAX_BYTES:
            raise PictureError(f"{kind.st_size} bytes, above {MAX_BYTES}")
        return path.open("rb")
    except OSError as error:
        raise PictureError(f"cannot be opened: {error.strerror or error}") from error


def _header(file: BinaryIO, frame: int | None) -> Header:
    """What a file says of its picture, which is not too large to be decoded."""
    header = dicom.read_header(file, frame) if dicom.is_dicom(file) else read_header(file)
    if header.width * header.height > MAX_PIXELS:
        raise PictureError(
            f"{header.width} × {header.height} pixels, above {MAX_PIXELS // 10**6} megapixels"
        )
    if header.width * header.height == 0:
        raise PictureError("a picture without pixels")
    return header
