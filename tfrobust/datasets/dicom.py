"""Reads DICOM files by pydicom: the grey levels that a viewer shows, and no word about the patient.

Only the elements in `ELEMENTS` are read, which describe the pixels. So nothing that names a patient
can reach a report. `text_of` reads one more element, by which pictures are grouped.
Importing this module does not import pydicom, which is an extra: `pip install tfrobust[dicom]`.
"""

import zlib
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from tfrobust.datasets import dicom_levels
from tfrobust.datasets.headers import Header, PictureError

PREAMBLE, MAGIC, META = 128, b"DICM", 2
SUFFIXES = (".dcm", ".dicom")  # many files have none
GREY = ("MONOCHROME1", "MONOCHROME2")
COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")
# What a deflated file may hold when it is unpacked: it says its size only inside.
MOST_INFLATED = 2**29
PIXELS = "PixelData"
GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
# In a file of several frames these may be said for each frame.
OF_A_FRAME = ("PixelValueTransformationSequence", "FrameVOILUTSequence")
TABLES = [
    f"{kind}{colour}PaletteColorLookupTable{part}"
    for colour in ("Red", "Green", "Blue")
    for kind, part in (("", "Descriptor"), ("", "Data"), ("Segmented", "Data"))
]
ELEMENTS = [
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PlanarConfiguration"),
    *("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence"),
    *("ExtendedOffsetTable", "ExtendedOffsetTableLengths"),
    *GROUPS,
    *TABLES,
]


class Levels(NamedTuple):
    """Samples as their file gives them, and what it says of them.

    Args:
        samples: whole numbers (H, W), or (H, W, 3) in colour.
        data: the pydicom data set, with what it says of this frame.
    """

    samples: np.ndarray
    data: Any


def is_dicom(file: BinaryIO) -> bool:
    """Whether a file, open at its beginning where it is left, is a DICOM file."""
    start = file.read(PREAMBLE + len(MAGIC))
    file.seek(0)
    return start[PREAMBLE:] == MAGIC


def read_header(file: BinaryIO, frame: int | None) -> Header:
    """Reads what a DICOM file says of its picture; pixels are not touched.

    Args:
        file: open at its beginning; it is left anywhere.
        frame: which frame is wanted, from 1; None for the only one.

    Raises:
        PictureError: it holds no picture, the frame is missing or not named, the samples are not
            of 8 to 16 bits, or they are compressed in a way that cannot be decoded here.
    """
    data = _of_frame(_read(file, ELEMENTS), frame)
    bits = int(data.BitsStored)
    windowed = dicom_levels.has_table(data) or dicom_levels.has_window(data)
    says = windowed or bits < 16 or bool(data.PixelRepresentation)
    return Header(
        height=int(data.Rows),
        width=int(data.Columns),
        grey=data.PhotometricInterpretation in GREY,
        transparent=False,
        depth=16 if bits > 8 else 8,
        significant_bits=bits if bits > 8 and says else 0,
        windowed=windowed,
    )


def decode(file: BinaryIO, bits: int | None, frame: int | None) -> np.ndarray:
    """Decodes the grey levels that a viewer shows, as `dicom_levels` says.

    Args:
        file: a DICOM file, open at its beginning; `read_header` has looked at it.
        bits: how many of 16 stored bits carry the picture, where there is no table and no window;
            None: all 16, and files that are so dark that they may have fewer are refused.
        frame: as for `read_header`.

    Returns:
        uint8 (H, W), or (H, W, 3) in colour.

    Raises:
        PictureError: as `read_header`; the pixels are damaged; or nobody can tell which sample is
            white.
    """
    return dicom_levels.shown(*read_levels(file, frame), bits)


def read_levels(file: BinaryIO, frame: int | None) -> Levels:
    """Reads one frame's samples as they are stored; colour is RGB, and a palette's is not applied.

    Args:
        file: a DICOM file, open at its beginning.
        frame: as for `read_header`.

    Raises:
        PictureError: as for `decode`.
    """
    from pydicom.pixels import pixel_array

    data = _of_frame(_read(file, [*ELEMENTS, PIXELS]), frame)
    if PIXELS not in data:
        raise PictureError("a DICOM file without pixels")
    try:
        return Levels(pixel_array(data, index=(frame or 1) - 1), data)
    # The plugins behind pydicom raise errors of their own.
    except Exception as error:
        raise PictureError(
            f"damaged, or compressed in a way unknown here: {_line(error)}"
        ) from error


def text_of(file: BinaryIO, keyword: str) -> str:
    """The text of one element, such as "PatientID"; "" where there is none.

    Args:
        file: a DICOM file, open at its beginning.
        keyword: the element's keyword in DICOM's dictionary.

    Raises:
        PictureError: the file cannot be read.
    """
    return str(_read(file, [keyword]).get(keyword) or "").strip()


def is_keyword(keyword: str) -> bool:
    """Whether DICOM's dictionary has an element of this keyword.

    Raises:
        PictureError: pydicom is not installed.
    """
    _require_pydicom()
    from pydicom.datadict import tag_for_keyword

    return tag_for_keyword(keyword) is not None


def _require_pydicom() -> None:
    try:
        import pydicom  # noqa: F401
    except ImportError as error:
        raise PictureError(
            "a DICOM file, which needs pydicom: pip install 'tfrobust[dicom]'"
        ) from error


def _read(file: BinaryIO, elements: list[str]) -> Any:
    """A pydicom data set of some elements, by keyword."""
    _require_pydicom()
    from pydicom import dcmread
    from pydicom.filereader import read_dataset
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    try:
        file.seek(PREAMBLE + len(MAGIC))
        meta = read_dataset(file, False, True, stop_when=lambda tag, *_: tag.group != META)
        if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
            _refuse_bomb(file)
        file.seek(0)
        return dcmread(file, stop_before_pixels=PIXELS not in elements, specific_tags=elements)
    except PictureError:
        raise
    # On damaged files pydicom raises errors of many kinds.
    except Exception as error:
        raise PictureError(f"damaged or cut off: {_line(error)}") from error


def _refuse_bomb(file: BinaryIO) -> None:
    """Refuses a deflated file that would not fit into memory; it stands at its deflated part."""
    unpack, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
    rest = file.read(2**20)
    while rest:
        total += len(unpack.decompress(rest, 2**20))
        if total > MOST_INFLATED:
            raise PictureError(f"unpacks to more than {MOST_INFLATED} bytes")
        rest = unpack.unconsumed_tail or (b"" if unpack.eof else file.read(2**20))


def _of_frame(data: Any, frame: int | None) -> Any:
    """Checks what a data set says of its pixels, and adds what it says of one frame alone."""
    try:
        return _checked(data, frame)
    except PictureError:
        raise
    # A value that should be a number may be anything.
    except Exception as error:
        raise PictureError(f"damaged: {_line(error)}") from error


def _checked(data: Any, frame: int | None) -> Any:
    from pydicom.pixels import get_decoder
    from pydicom.uid import RLELossless

    if not data.get("Rows") or not data.get("Columns"):
        raise PictureError("a DICOM file without a picture")
    frames = int(data.get("NumberOfFrames") or 1)
    if frame is None and frames > 1:
        raise PictureError(f"{frames} frames: say by `frame` which one, from 1 to {frames}")
    if frame is not None and not 1 <= frame <= frames:
        raise PictureError(f"{frames} frame{'' if frames == 1 else 's'}, but `frame` is {frame}")
    kind, samples = data.PhotometricInterpretation, int(data.SamplesPerPixel)
    if (kind, samples) not in [*((one, 1) for one in GREY), (dicom_levels.PALETTE, 1)] and not (
        kind in COLOURS and samples == 3
    ):
        raise PictureError(f"{samples} samples a pixel of {kind}, which is neither grey nor colour")
    allocated, stored = int(data.BitsAllocated), int(data.BitsStored)
    if allocated not in (8, 16) or not 8 <= stored <= allocated:
        raise PictureError(f"{stored} bits a sample, stored in {allocated}; expected 8 to 16")
    syntax = data.file_meta.TransferSyntaxUID
    if syntax.is_compressed or syntax == RLELossless:
        try:
            decoder = get_decoder(syntax)
        except NotImplementedError:
            raise PictureError(f"compressed as {syntax.name}, which cannot be decoded") from None
        if not decoder.is_available:
            needed = " or ".join(decoder.missing_dependencies)
            raise PictureError(f"compressed as {syntax.name}, whose decoder needs: {needed}")
    for name, place in zip(GROUPS, (0, (frame or 1) - 1), strict=True):
        groups = data.get(name) or []
        for part in OF_A_FRAME if place < len(groups) else ():
            for item in groups[place].get(part) or []:
                data.update(item)
                break
    return data


def _line(error: Exception) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
