"""What an explanation changes, drawn over the picture at the picture's own size.

The network sees a small copy of a picture, and its explanation is as small. It is spread over the
picture and not the picture shrunk to it, so that a reader sees what the picture shows.
"""

from typing import NamedTuple

import numpy as np

from tfrobust.datasets.names import Fit
from tfrobust.datasets.resizing import spread_back, without_margins

BRIGHTER, DARKER = (0.95, 0.22, 0.10), (0.10, 0.36, 0.98)
# Under the colours a grey picture keeps to this range, so that neither drowns in white or black.
LOW, HIGH = 0.12, 0.88


class Original(NamedTuple):
    """The picture that an explained image was made of.

    Args:
        name: what it is called.
        pixels: uint8 (H, W, C), the whole picture, grey (C = 1) or colour (C = 3).
        fit: how it was brought to the network's size.
        levels: the largest sample of its file that becomes white: 255, or 1023 in a file of 10
            bits. 255 where a window or a table makes white.
    """

    name: str
    pixels: np.ndarray
    fit: Fit = "crop"
    levels: int = 255

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.pixels.shape[:2]
        return height, width


def changed(original: Original, difference: np.ndarray) -> np.ndarray:
    """The picture, changed.

    Args:
        original: the picture.
        difference: float32 (h, w, C), the change of the network's image.

    Returns:
        float32 (H, W, C) in [0, 1].
    """
    spread = spread_back(difference, original.size, original.fit)
    whole: np.ndarray = np.clip(original.pixels.astype(np.float32) / 255 + spread, 0, 1)
    return whole


def change(original: Original, difference: np.ndarray, limit: float) -> np.ndarray:
    """The change: in colours over a grey picture; of a colour picture, around grey.

    Args:
        original: the picture.
        difference: float32 (h, w, C), the change of the network's image.
        limit: the change that has the full colour, in units of pixels from 0 to 1.

    Returns:
        float32 (H, W, 3) in [0, 1].
    """
    share = spread_back(difference / max(limit, 1e-12), original.size, original.fit)
    if original.pixels.shape[2] == 3:
        around: np.ndarray = np.clip(0.5 + share / 2, 0, 1)
        return around
    return _coloured(share, LOW + (HIGH - LOW) * original.pixels.astype(np.float32) / 255)


def scale_bar(height: int, width: int, channels: int) -> np.ndarray:
    """The colours of `change` from minus the limit to plus the limit: float32 (h, w, 3)."""
    share = np.broadcast_to(np.linspace(-1, 1, width, dtype=np.float32), (height, width))[..., None]
    if channels == 3:
        return np.broadcast_to(0.5 + share / 2, (height, width, 3))
    return _coloured(share, np.full_like(share, 0.5))


def _coloured(share: np.ndarray, grey: np.ndarray) -> np.ndarray:
    """Grey (H, W, 1) under red where the share (H, W, 1) is above 0, and blue where below."""
    colour = np.where(share > 0, np.array(BRIGHTER, np.float32), np.array(DARKER, np.float32))
    strength = np.minimum(np.abs(share), 1)
    mixed: np.ndarray = (1 - strength) * grey + strength * colour
    return mixed


def share_on_margins(original: Original, difference: np.ndarray) -> float:
    """How much of a change lies on a letterbox's margins: its share of the sum of squares."""
    shown = without_margins(difference, original.size, original.fit)
    whole = float(np.sum(np.square(difference)))
    return 1 - float(np.sum(np.square(shown))) / whole if whole else 0.0
