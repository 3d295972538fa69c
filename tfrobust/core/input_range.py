"""The range of pixels that a network takes: read from its first layers, or noticed on data."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from tfrobust.errors import InputError

# The lowest and the highest pixel that a network takes.
Range = tuple[float, float]

UNIT, BYTES, SIGNED = (0.0, 1.0), (0.0, 255.0), (-1.0, 1.0)
RANGES = (UNIT, BYTES, SIGNED)
FREE_SIDE = 64  # of an image to try a network on, where the network leaves it open
# Preprocessing brings pixels to one of RANGES; or standardises them, so that 0 is inside and the
# width is one deviation or several; or only takes the mean of bytes away.
CLOSE = 0.02
WIDTHS = (0.9, 60.0)
MEANS = (-170.0, -70.0)
# So many images tell another range from chance, and so sure that must be.
MOST_IMAGES, SURE = 100, 1e-3


def checked_range(input_range: Any) -> Range:
    """A range as two floats.

    Raises:
        InputError: it is no range.
    """
    try:
        low, high = map(float, input_range)
    except (TypeError, ValueError):
        low = high = np.nan
    if not (np.isfinite([low, high]).all() and low < high):
        raise InputError(
            f"expected input_range as (lowest, highest) pixel, such as (0, 255), got {input_range}"
        )
    return low, high


def in_range(images: Any, input_range: Range) -> Any:
    """Images with pixels from 0 to 1, brought to another range."""
    low, high = input_range
    return images if input_range == UNIT else low + images * (high - low)


def to_unit(images: Any, input_range: Range) -> Any:
    """Images of another range, brought to pixels from 0 to 1."""
    low, high = input_range
    if input_range == UNIT:
        return images
    return (keras.ops.cast(images, keras.config.floatx()) - low) / (high - low)


def read_range(network: keras.Model) -> Range | None:
    """The range of pixels that a network's first layers are made for.

    A leading Rescaling, Normalization, Lambda or the like is tried on grey images of several
    shades: what it makes of the right range is a range that networks are trained on. Where what
    comes before the first weights makes none, what comes before that is looked at.

    Args:
        network: a functional or Sequential model of images.

    Returns:
        One of RANGES; None where the network begins with its weights, and so does not say it.
    """
    taken = network.inputs[0]
    if not keras.backend.is_float_dtype(taken.dtype):
        return BYTES
    shades = np.unique(RANGES)  # −1, 0, 1 and 255
    sizes = [size or FREE_SIDE for size in taken.shape[1:]]
    images = np.broadcast_to(shades[:, None, None, None], (len(shades), *sizes))
    steps: list[np.ndarray] = []
    # A stranger's layer may not take such images.
    with contextlib.suppress(Exception):
        for prepared in _prepared(network, images.astype(np.float32)):
            steps.append(np.asarray(prepared, np.float64).reshape(len(shades), -1).mean(axis=1))
    for becomes in reversed(steps):
        shade = dict(zip(shades, becomes, strict=True))
        ends = {known: (shade[known[0]], shade[known[1]]) for known in RANGES}
        saturated = np.allclose(ends[BYTES], UNIT, atol=CLOSE)  # as a clip and normalising do
        if np.allclose(ends[UNIT], UNIT, atol=CLOSE):
            if saturated:
                continue
            return None  # pixels are left as they are
        if (found := _made_for(ends)) is not None:
            return found
    return None


def _made_for(ends: dict[Range, Range]) -> Range | None:
    """The range that becomes one that networks are trained on.

    Args:
        ends: for each of RANGES, what its lowest and its highest pixel become.
    """
    for known, end in ends.items():
        if any(np.allclose(end, usual, rtol=CLOSE, atol=CLOSE) for usual in RANGES):
            return known
    for known in (UNIT, BYTES):
        low, high = ends[known]
        if low <= 0 <= high and WIDTHS[0] <= high - low <= WIDTHS[1]:
            return known
    low, high = ends[BYTES]
    centred = MEANS[0] <= low <= MEANS[1] and np.isclose(high - low, 255, rtol=CLOSE)
    return BYTES if centred else None


def _prepared(network: keras.Model, images: Any) -> Iterator[Any]:
    """What becomes of images by each layer before a network's first weights."""
    graph: Any = getattr(network, "_functional", None) or network
    nodes = [node for nodes in graph._nodes_by_depth.values() for node in nodes]
    at = network.inputs[0]
    while True:
        following = [node for node in nodes if any(at is one for one in node.input_tensors)]
        if len(following) != 1 or len(following[0].input_tensors) != 1:
            return
        (node,) = following
        operation, (output, *others) = node.operation, node.outputs
        inside = isinstance(operation, keras.Model) and getattr(operation, "inputs", None)
        if inside:
            for made in _prepared(operation, images):
                yield (images := made)
        weights = getattr(operation, "weights", ())
        if others or len(output.shape) != 4:
            return
        if weights and not isinstance(operation, keras.layers.Normalization):
            return
        if not inside:
            arguments, named = node.arguments.fill_in({id(at): images})
            if getattr(operation, "_call_has_training_arg", False):
                named["training"] = False
            images = operation(*arguments, **named)
            yield images
        at = output


def check_range(ask: Callable[[np.ndarray], Any], images: Any, labels: Any, name: str) -> None:
    """Refuses to take pixels from 0 to 1 for granted where another range is plainly the right one.

    Args:
        ask: float32 (N, H, W, C) → logits (N, K).
        images: float32 (N, H, W, C) in [0, 1], at least one.
        labels: int (N,); or int (N, K) of 0 and 1, of labels that may hold together.
        name: what the error calls the network.

    Raises:
        InputError: with another range the network is right for more of the images, or in more of
            its decisions about labels, and chance does not explain it.
    """
    from scipy.stats import binomtest

    rows = np.linspace(0, len(images) - 1, min(len(images), MOST_IMAGES)).astype(int)
    images, labels = images[rows], labels[rows]
    answers = {known: np.asarray(ask(in_range(images, known))) for known in RANGES}
    right = {known: _right(logits, labels) for known, logits in answers.items()}
    best = max(RANGES, key=lambda known: right[known].sum())
    gained, lost = (
        (right[one] & ~right[other]).sum() for one, other in ((best, UNIT), (UNIT, best))
    )
    if gained and binomtest(gained, gained + lost, alternative="greater").pvalue < SURE:
        low, high = best
        of, choices = ("images", answers[UNIT].shape[1]) if labels.ndim == 1 else ("labels", 2)
        raise InputError(
            f"expected to know which pixels {name} takes: it is right for {right[UNIT].mean():.0%} "
            f"of the {of} with pixels from 0 to 1 ({1 / choices:.0%} is a guess), "
            f"and for {right[best].mean():.0%} with pixels from {low:g} to {high:g}. Say "
            f"input_range=({low:g}, {high:g}), and leave the images in [0, 1]; or, if it is to be "
            "taken as it is, input_range=(0, 1)"
        )


def _right(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Which decisions are right: bool (N,), or of labels that may hold together bool (P,)."""
    if labels.ndim == 1:
        return logits.argmax(axis=1) == labels
    right = ((logits > 0) == (labels == 1)).ravel()
    # As many that hold as that do not: of rare labels, a network that never finds any is nearly
    # always right, as it is with pixels that it does not take.
    parts = [np.flatnonzero(labels == truth) for truth in (0, 1)]
    count = min(MOST_IMAGES // 2, *map(len, parts))
    chosen = [part[np.linspace(0, len(part) - 1, count).astype(int)] for part in parts]
    return right[np.concatenate(chosen)]
