"""From the samples of a DICOM file to the grey levels that a viewer shows, in 8 bits.

Samples go through the modality table or rescale slope and intercept, then through the first VOI
table, or else the first window. Without either, all that the stored bits can hold is shown.
MONOCHROME1 is inverted. All of it is what pydicom computes, scaled from black to white.
"""

from typing import Any

import numpy as np

from tfrobust.datasets.headers import PictureError
from tfrobust.datasets.sample_bits import SUSPICIOUSLY_DARK, TOO_DARK, TOO_LARGE

PALETTE = "PALETTE COLOR"


def shown(samples: np.ndarray, data: Any, bits: int | None) -> np.ndarray:
    """What a viewer shows.

    Args:
        samples: whole numbers (H, W), or (H, W, 3) in colour.
        data: the pydicom data set that they are of.
        bits: how many of 16 stored bits carry the picture, where there is no table and no window.

    Returns:
        uint8 (H, W), or (H, W, 3) in colour.

    Raises:
        PictureError: nobody can tell which sample is white.
    """
    if data.PhotometricInterpretation == PALETTE:
        from pydicom.pixels import apply_color_lut

        samples = apply_color_lut(samples, data)
        return _eight_bits(samples, 0, np.iinfo(samples.dtype).max)
    lowest, highest = int(samples.min()), int(samples.max())
    if samples.ndim == 3:
        return _eight_bits(samples, 0, 2 ** _used_bits(lowest, highest, data, bits) - 1)
    # A sample has at most 16 bits, so a table of what each becomes is small.
    every = np.arange(lowest, highest + 1, dtype=np.int32)
    table = _of_each(every, data, bits)
    if data.PhotometricInterpretation == "MONOCHROME1":
        table = 255 - table
    return np.asarray(table[samples.astype(np.int32) - lowest])


def _of_each(every: np.ndarray, data: Any, bits: int | None) -> np.ndarray:
    """What each sample becomes before MONOCHROME1 is inverted: int32 (N,) → uint8 (N,)."""
    from pydicom.pixels import apply_modality_lut, apply_voi, apply_windowing

    values = apply_modality_lut(every, data)
    if has_table(data):
        depth = int(data.VOILUTSequence[0].LUTDescriptor[2])
        return _eight_bits(apply_voi(np.rint(values).astype(np.int32), data), 0, 2**depth - 1)
    if has_window(data):
        return _eight_bits(apply_windowing(values, data), *_extremes(data, int(data.BitsStored)))
    used = _used_bits(int(every[0]), int(every[-1]), data, bits)
    return _eight_bits(values, *sorted(_extremes(data, used)))


def _extremes(data: Any, bits: int) -> tuple[float, float]:
    """What the lowest and the highest sample of so many bits become by slope and intercept."""
    if data.get("ModalityLUTSequence"):
        return 0, 2 ** int(data.ModalityLUTSequence[0].LUTDescriptor[2]) - 1
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if data.PixelRepresentation else (0, 2**bits)
    slope, intercept = data.get("RescaleSlope"), data.get("RescaleIntercept")
    if slope is None or intercept is None:
        return low, high - 1
    return low * float(slope) + float(intercept), (high - 1) * float(slope) + float(intercept)


def _used_bits(lowest: int, highest: int, data: Any, bits: int | None) -> int:
    """How many bits of each sample carry a picture that has neither table nor window.

    Raises:
        PictureError: it uses so little of 16 bits that these can hardly be what was meant.
    """
    stored, signed = int(data.BitsStored), bool(data.PixelRepresentation)
    if stored < 16:
        return stored
    largest = max(abs(lowest), abs(highest))
    if bits is not None and largest >= 2 ** (bits - signed):
        raise PictureError(f"{TOO_LARGE.format(bits=bits)} {largest}")
    if bits is None and 0 < largest < SUSPICIOUSLY_DARK >> signed:
        raise PictureError(f"without a window, and {TOO_DARK} {largest}")
    return bits or stored


def has_table(data: Any) -> bool:
    """Whether a data set has a whole VOI table."""
    tables = data.get("VOILUTSequence")
    return bool(tables) and None not in [tables[0].get(key) for key in ("LUTDescriptor", "LUTData")]


def has_window(data: Any) -> bool:
    """Whether a data set has a window."""
    return None not in (data.get("WindowCenter"), data.get("WindowWidth"))


def _eight_bits(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Brings values from low, which is black, to high, which is white, to uint8."""
    if values.dtype == np.uint8 and (low, high) == (0, 255):
        return values
    wide: np.ndarray = values.astype(np.float32 if values.ndim > 1 else np.float64)
    return np.clip(np.rint(255 * (wide - low) / (high - low)), 0, 255).astype(np.uint8)
