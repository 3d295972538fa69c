"""What a picture's file says before it is decoded: its size, its colours, and which way is up.

PNG and JPEG are read here, byte by byte, by the same rules as `graph_metadata` reads them inside a
graph; Pillow reads the headers of the other formats, and `dicom` those of DICOM. Nothing here
imports TensorFlow.
"""

import itertools
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from PIL import ExifTags, Image, TiffImagePlugin, UnidentifiedImageError

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
# What files with pictures are called.
SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif"),
    *(".webp", ".bmp", ".tif", ".tiff", ".gif", ".dcm", ".dicom"),
)
PILLOW_FORMATS = ("WEBP", "BMP", "TIFF", "GIF")
GREY_MODES = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L")
# A camera writes about ten segments; colour profiles and depth maps some hundred.
MOST_SEGMENTS = 1000
ORIENTATION = ExifTags.Base.Orientation
SHORT, LONG = 3, 4
APP1, START_OF_SCAN, END_OF_IMAGE = 0xE1, 0xDA, 0xD9
ALONE = (0x01, *range(0xD0, 0xD8))  # markers without a length
JPEG_END = b"\xff\xd9"
# Tables and what else has a number between 0xC0 and 0xCF but says nothing of the size.
NO_FRAME = (0xC4, 0xC8, 0xCC)
GREY, COLOUR, PALETTE, GREY_ALPHA = 0, 2, 3, 4
IMAGE_WIDTH, IMAGE_LENGTH, BITS_PER_SAMPLE, MAX_SAMPLE_VALUE = 256, 257, 258, 281  # of TIFF


class PictureError(ValueError):
    """A file that is no readable picture; the message says why."""


class Header(NamedTuple):
    """What a file says of its picture.

    Args:
        height: in pixels, as the picture stands when it is upright.
        width: in pixels, likewise.
        grey: whether it has no colours.
        transparent: whether pixels may be transparent.
        depth: bits a sample as it is stored, 8 where there are fewer.
        significant_bits: how many of 16 bits carry the picture after the file itself; 0 where it
            does not say.
        orientation: of EXIF, from 1 to 8; 1 is upright.
        kind: PNG's colour type; −1 for other files.
        windowed: whether a window or a table of the file says which samples are black and white.
    """

    height: int
    width: int
    grey: bool
    transparent: bool
    depth: int = 8
    significant_bits: int = 0
    orientation: int = 1
    kind: int = -1
    windowed: bool = False


def read_header(file: BinaryIO) -> Header:
    """Reads the header of a picture.

    Args:
        file: open at its beginning; it is left anywhere.

    Returns:
        What it says.

    Raises:
        PictureError: no PNG, JPEG, WebP, BMP, TIFF or GIF, or damaged.
    """
    start = file.read(8)
    try:
        if start == PNG:
            return _png(file)
        if start.startswith(JPEG):
            return _jpeg(file)
        file.seek(0)
        return _other(file)
    except PictureError:
        raise
    except UnidentifiedImageError as error:
        raise PictureError(
            "neither PNG, JPEG, WebP, BMP, TIFF, GIF nor DICOM, or damaged"
        ) from error
    # On damaged files Pillow raises OSError, SyntaxError, ValueError, struct.error and others.
    except Exception as error:
        raise PictureError(f"{type(error).__name__}: {error}") from error


def is_cut_off(file: BinaryIO) -> bool:
    """Whether a PNG or JPEG lacks its end, told without decoding it.

    Args:
        file: of a picture whose header could be read.
    """
    file.seek(0)
    start = file.read(8)
    if start == PNG:
        return not any(kind == b"IEND" for kind, _ in _chunks(file))
    return start.startswith(JPEG) and not _has_jpeg_end(file)


def _png(file: BinaryIO) -> Header:
    """The chunks before the pixels."""
    width, height, depth, kind = 0, 0, 0, -1
    orientation, bits, transparent = 1, 0, False
    for number, (name, length) in enumerate(_chunks(file)):
        if number == 0:
            head = file.read(10)
            if len(head) < 10:
                raise PictureError("cut off within the first bytes")
            width, height, depth, kind = struct.unpack(">IIBB", head)
        if number >= MOST_SEGMENTS:
            raise PictureError(f"more than {MOST_SEGMENTS} chunks before the pixels")
        if name == b"IDAT":
            break
        if name == b"eXIf":
            orientation = _orientation(file.read(min(length, 2**16)))
        elif name == b"sBIT" and length:
            bits = max(file.read(3 if length >= 3 else 1), default=0)
        transparent |= name == b"tRNS"
    if orientation >= 5:
        width, height = height, width
    return Header(
        height=height,
        width=width,
        grey=kind in (GREY, GREY_ALPHA),
        transparent=transparent or kind >= GREY_ALPHA,
        depth=16 if depth == 16 else 8,
        significant_bits=bits if depth == 16 and 8 < bits < 16 else 0,
        orientation=orientation,
        kind=kind,
    )


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """The names and lengths of PNG's chunks, the file standing at each one's content."""
    at = len(PNG)
    while True:
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return
        length, name = struct.unpack(">I4s", head)
        yield name, length
        at += 12 + length


def _jpeg(file: BinaryIO) -> Header:
    """The segments before the first scan."""
    height, width, components, orientation = 0, 0, 0, 1
    for kind, length in _segments(file):
        if kind == APP1 and orientation == 1 and file.read(6) == b"Exif\0\0":
            orientation = _orientation(file.read(max(length - 8, 0)))
        if 0xC0 <= kind <= 0xCF and kind not in NO_FRAME and not components:
            height, width, components = struct.unpack(">xHHB", file.read(6))
    if not components:
        raise PictureError("a JPEG that says no size")
    if orientation >= 5:
        width, height = height, width
    return Header(height, width, components == 1, False, orientation=orientation)


def _segments(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """The kinds and lengths of JPEG's segments up to the first scan, the file standing at each
    one's content.
    """
    at = 2
    for number in itertools.count():
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return
        if number >= MOST_SEGMENTS:
            raise PictureError(f"more than {MOST_SEGMENTS} segments before the pixels")
        mark, kind, length = struct.unpack(">BBH", head[:4])
        if mark != 0xFF or kind in (0x00, 0xFF):
            at += 1  # filling, or something between segments, which decoders pass over
        elif kind in ALONE:
            at += 2
        elif kind in (START_OF_SCAN, END_OF_IMAGE):
            return
        else:
            file.seek(at + 4)
            yield kind, length
            at += 2 + length


def _has_jpeg_end(file: BinaryIO) -> bool:
    """Whether a JPEG's end follows its first scan.

    Cameras append previews and whole videos behind it. A preview inside the EXIF data has an end of
    its own, which is not looked at, unless it is the very end of the file.
    """
    file.seek(-2, 2)
    if file.read() == JPEG_END:
        return True
    for _ in _segments(file):
        pass
    file.seek(max(file.tell() - 8, 0))
    rest = b""
    while block := file.read(2**20):
        if JPEG_END in rest + block:
            return True
        rest = block[-1:]
    return False


def _orientation(exif: bytes) -> int:
    """The orientation in EXIF data, which are a small TIFF file; 1 if there is none."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None or len(exif) < 10:
        return 1
    first = min(*struct.unpack(f"{order}I", exif[4:8]), len(exif) - 2)
    entries = min(
        *struct.unpack(f"{order}H", exif[first : first + 2]), (len(exif) - first - 2) // 12
    )
    for entry in range(first + 2, first + 2 + 12 * entries, 12):
        tag, kind, _, short = struct.unpack(f"{order}HHIH", exif[entry : entry + 10])
        (long,) = struct.unpack(f"{order}I", exif[entry + 8 : entry + 12])
        value = {SHORT: short, LONG: long}.get(kind, 0)
        if tag == ORIENTATION and 1 <= value <= 8:
            return value
    return 1


def _other(file: BinaryIO) -> Header:
    with Image.open(file, formats=PILLOW_FORMATS) as picture:
        width, height = picture.size
        orientation = picture.getexif().get(ORIENTATION, 1)
        bits, depth = 0, 8
        if isinstance(picture, TiffImagePlugin.TiffImageFile):
            # Some versions of Pillow turn the size before they turn the picture.
            width, height = picture.tag_v2[IMAGE_WIDTH], picture.tag_v2[IMAGE_LENGTH]
            depth = max(picture.tag_v2.get(BITS_PER_SAMPLE, (8,)))
            bits = int(picture.tag_v2.get(MAX_SAMPLE_VALUE, (0,))[0]).bit_length()
            bits = min(depth, bits or depth)
        if orientation in (5, 6, 7, 8):
            width, height = height, width
        return Header(
            height=height,
            width=width,
            grey=picture.mode in GREY_MODES,
            transparent=picture.has_transparency_data,
            depth=max(depth, 8),
            significant_bits=bits if 8 < bits < 16 else 0,
        )
