"""Planted evidence: lesions of known place and shape on real pictures, and a scanner's label.

As a physicist's phantom does for a scanner, they tell whether a method of explanation is right:
the class is the kind of the lesion, and nothing else in the picture knows it, save for the label in
the corner where it was asked to. Everything is drawn from the seed.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from tfrobust.core.images import checked_images
from tfrobust.errors import InputError

# Rows of the letters on the scanner's label, one for each kind of lesion.
LETTERS = {
    "A": ("010", "101", "111", "101", "101"),
    "H": ("101", "101", "111", "101", "101"),
    "L": ("100", "100", "100", "100", "111"),
    "T": ("111", "010", "010", "010", "010"),
}
SMALLEST_RADIUS = 2
# Of the longer side of the picture: the radius of a lesion, and the size of a label's pixel.
RADIUS_SHARE, PIXEL_SHARE = 1 / 7, 1 / 28


@dataclasses.dataclass(frozen=True)
class Planted:
    """N pictures with a lesion each, and what is known of them.

    Args:
        images: float32 (N, H, W, C) in [0, 1].
        healthy: float32 (N, H, W, C), the same without the lesions: a network that knows the class
            of these knows it from elsewhere.
        labels: int32 (N,), the kind of the lesion.
        lesions: bool (N, H, W), the disc in which lesions of all kinds lie at this place. The class
            is a matter of these pixels alone.
        marks: bool (N, H, W), where the scanner's label is; False everywhere without one.
        letters: int32 (N,), which letter the label has, from 0; −1 without a label.
        class_names: of the kinds.
    """

    images: np.ndarray
    healthy: np.ndarray
    labels: np.ndarray
    lesions: np.ndarray
    marks: np.ndarray
    letters: np.ndarray
    class_names: tuple[str, ...]


def plant(
    images: Any,
    *,
    num_classes: int = 3,
    radius: int | None = None,
    contrast: float = 0.5,
    agreement: float | None = None,
    seed: int = 0,
) -> Planted:
    """Plants a lesion into each picture, and on demand a scanner's label into its corner.

    Lesions are a disc, a ring, a cross and two bars. All kinds brighten the picture equally in sum,
    as an opacity does, and lie where the seed says, never under the label. To make room for them
    the picture is darkened: (1 − contrast)·picture + contrast·lesion.

    Args:
        images: float (N, H, W, C) in [0, 1], or uint8; any pictures.
        num_classes: how many kinds there are, from 2 to 4. They are equally frequent.
        radius: of the lesions in pixels, at least 2; None for a seventh of the longer side.
        contrast: the most that a lesion adds to a pixel, above 0 and below 1.
        agreement: the share of pictures whose label's letter belongs to the kind of the lesion: 1
            for a mark that gives the class away, 1/num_classes for one that tells nothing, 0 for
            one that always misleads. None for no label.
        seed: of kinds, places and letters. The lesions do not depend on `agreement`.

    Returns:
        The pictures with labels and masks.

    Raises:
        InputError: images outside [0, 1] or too small for lesion and label, or a number outside its
            range.
    """
    images = checked_images(images)
    if not 2 <= num_classes <= len(KINDS):
        raise InputError(f"expected num_classes from 2 to {len(KINDS)}, got {num_classes}")
    if not 0 < contrast < 1 or (agreement is not None and not 0 <= agreement <= 1):
        raise InputError(
            "expected a contrast above 0 and below 1 and an agreement from 0 to 1 or None, got "
            f"{contrast} and {agreement}"
        )
    count, height, width, _ = images.shape
    longer = max(height, width)
    radius = max(SMALLEST_RADIUS, round(RADIUS_SHARE * longer)) if radius is None else radius
    if radius < SMALLEST_RADIUS:
        raise InputError(f"expected a radius of at least {SMALLEST_RADIUS} pixels, got {radius}")
    scale = max(1, round(PIXEL_SHARE * longer))
    marks = np.stack([_mark(rows, scale) for rows in LETTERS.values()])
    places = _places(height, width, radius, marks.shape[1:])
    rng = np.random.default_rng((seed, 0))
    labels = rng.permutation(np.arange(count) % num_classes).astype(np.int32)
    drawn = places[rng.integers(len(places), size=count)]
    shapes = _shapes(radius)[:num_classes]
    disc = _disc(radius) > 0
    healthy = np.float32(1 - contrast) * images
    planted, lesions = healthy.copy(), np.zeros((count, height, width), bool)
    for image, lesion, label, (row, column) in zip(planted, lesions, labels, drawn, strict=True):
        window = np.s_[row - radius : row + radius + 1, column - radius : column + radius + 1]
        lesion[window] = disc
        image[window] += np.float32(contrast) * shapes[label][..., None]
    where, letters = np.zeros_like(lesions), np.full(count, -1, np.int32)
    if agreement is not None:
        letters = _letters(labels, num_classes, agreement, np.random.default_rng((seed, 1)))
        corner = np.s_[:, 1 : 1 + marks.shape[1], 1 : 1 + marks.shape[2]]
        planted[corner] = healthy[corner] = marks[letters][..., None]
        where[corner] = True
    return Planted(
        images=np.minimum(planted, 1),
        healthy=healthy,
        labels=labels,
        lesions=lesions,
        marks=where,
        letters=letters,
        class_names=tuple(KINDS)[:num_classes],
    )


def _places(height: int, width: int, radius: int, mark: tuple[int, ...]) -> np.ndarray:
    """All centres (P, 2) of lesions that lie inside the picture and touch no label."""
    rows, columns = np.mgrid[radius : height - radius, radius : width - radius].reshape(2, -1)
    free = (rows - radius > mark[0]) | (columns - radius > mark[1])
    if not free.any():
        raise InputError(
            f"expected pictures with room for lesions of radius {radius} beside a label of "
            f"{mark[0]} × {mark[1]} pixels, got {height} × {width}"
        )
    return np.stack([rows, columns], axis=-1)[free]


def _mark(rows: tuple[str, ...], scale: int) -> np.ndarray:
    """A white letter on black with a rim of one of its pixels: float32 (7·scale, 5·scale)."""
    letter = np.array([[int(bit) for bit in row] for row in rows], np.float32)
    return np.pad(letter, 1).repeat(scale, axis=0).repeat(scale, axis=1)


def _letters(
    labels: np.ndarray, num_classes: int, agreement: float, rng: np.random.Generator
) -> np.ndarray:
    """A letter for each lesion: with the probability `agreement` that of its kind."""
    others = (labels + rng.integers(1, num_classes, size=len(labels))) % num_classes
    return np.where(rng.random(len(labels)) < agreement, labels, others).astype(np.int32)


def _shapes(radius: int) -> np.ndarray:
    """The kinds (K, 2r + 1, 2r + 1), from 0 to 1 and of one sum."""
    shapes = np.stack([draw(radius) for draw in KINDS.values()])
    sums = shapes.sum(axis=(1, 2), keepdims=True)
    return (shapes * (sums.min() / sums)).astype(np.float32)


def _offsets(radius: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each pixel of a lesion's window from its centre, down and across."""
    down, across = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float64)
    return down, across


def _inside(distance: np.ndarray) -> np.ndarray:
    """The share of a pixel that lies inside, from its distance to the edge, negative inside."""
    return np.clip(0.5 - distance, 0, 1)


def _disc(radius: float, window: int | None = None) -> np.ndarray:
    down, across = _offsets(int(radius) if window is None else window)
    return _inside(np.hypot(down, across) - radius)


def _nodule(radius: int) -> np.ndarray:
    return _disc(0.65 * radius, radius)


def _ring(radius: int) -> np.ndarray:
    return _disc(radius, radius) - _disc(0.65 * radius, radius)


def _cross(radius: int) -> np.ndarray:
    down, across = np.abs(_offsets(radius))
    arm = _inside(np.minimum(down, across) - radius / 6)
    return arm * _disc(radius, radius)


def _bars(radius: int) -> np.ndarray:
    down, _ = np.abs(_offsets(radius))
    return _inside(np.abs(down - radius / 2) - radius / 6) * _disc(radius, radius)


KINDS: dict[str, Callable[[int], np.ndarray]] = {
    "disc": _nodule,
    "ring": _ring,
    "cross": _cross,
    "bars": _bars,
}
