"""Searches on a line: how much of a perturbation is enough."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfrobust.attacks.base import Block, judged, meets
from tfrobust.core.bounds import Bounds
from tfrobust.core.classifier import Classifier
from tfrobust.core.criterion import Criterion
from tfrobust.core.distances import clip, per_image

# The share of the line that is tried first.
MOST = 0.95
# Shares of the line: how far beyond the margin's zero a search aims, and how far beyond a length
# must be, judged by the margin, or another program's rounding would decide for the other side.
BEYOND, SURE = 3e-5, 1e-5
# A search on the margin may lag so many halvings behind.
PATIENCE = 2


def bisected(
    met: Callable[[tf.Tensor], tf.Tensor], short: tf.Tensor, long: tf.Tensor, halvings: int
) -> tf.Tensor:
    """Bisects between a length that is too short and one that does.

    Args:
        met: float32 (B,) lengths → bool (B,), whether each does.
        short: float32 (B,), lengths that are too short.
        long: float32 (B,), lengths that do.
        halvings: how often `met` is asked.

    Returns:
        float32 (B,), the shortest lengths that do, of those that were tried.
    """
    for _ in range(halvings):
        middle = (short + long) / 2
        does = met(middle)
        short, long = tf.where(does, short, middle), tf.where(does, middle, long)
    return long


def shortened(
    model: Classifier,
    criterion: Criterion,
    images: tf.Tensor,
    classes: tf.Tensor,
    delta: tf.Tensor,
    passes: int,
) -> tf.Tensor:
    """Searches the line from the clean image to a perturbation that meets the criterion.

    The first two passes judge the whole line and most of it: attacks end little beyond a boundary.
    Then the criterion's margin is taken for a straight line between the ends of the bracket, as
    regula falsi does, of the Illinois kind: an end that stays counts half. Where this closes the
    bracket more slowly than halving would, it is halved.

    Args:
        model: images (B, H, W, C) → logits (B, K).
        criterion: what must stay met.
        images: float32 (B, H, W, C).
        classes: int32 (B,).
        delta: float32 (B, H, W, C). Perturbations that do not meet the criterion come back as
            they are or shorter.
        passes: forward passes.

    Returns:
        float32 (B, H, W, C), the shortest perturbation tried that meets the criterion.
    """

    def judge(share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        moved = images + per_image(tf.constant(share, tf.float32)) * delta
        met, margin = judged(model, criterion, moved, classes)
        return met.numpy(), margin.numpy().astype(np.float64)

    long = np.ones(len(classes), np.float32)
    if passes > 1:
        _, beyond = judge(long)
        most = np.full_like(long, MOST)
        met, before = judge(most)
        with np.errstate(invalid="ignore"):
            slope = (before - beyond) / (1 - MOST)
        # Logits that overflow have no slope.
        least = np.where(np.isfinite(slope), -SURE * np.abs(slope), 0)
        met &= before <= least
        # Where most of the line does, the margin at the image is guessed: it is on the same line.
        with np.errstate(invalid="ignore"):
            guess = before + slope * MOST
        short, long = np.where(met, 0, most), np.where(met, most, long)
        ends = np.where(met, guess, before), np.where(met, before, beyond)

        def surely(share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            met, margin = judge(share)
            return met & (margin <= least), margin

        long = _crossing(surely, short, long, ends, passes - 2)
    return per_image(tf.constant(long, tf.float32)) * delta


def _crossing(
    judge: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    short: np.ndarray,
    long: np.ndarray,
    ends: tuple[np.ndarray, np.ndarray],
    passes: int,
) -> np.ndarray:
    """`shortened` once there are brackets: their ends (B,), and the margins there (B,)."""
    above, below = ends
    width, moved = long - short, np.zeros(len(long))
    for number in range(passes):
        with np.errstate(divide="ignore", invalid="ignore"):
            zero = short + above / (above - below) * (long - short)
        share = np.minimum(zero + BEYOND, (zero + long) / 2)
        slow = long - short > width * 2.0 ** (PATIENCE - number)
        share = np.where((share > short) & (share < long) & ~slow, share, (short + long) / 2)
        share = share.astype(np.float32)
        met, margin = judge(share)
        above = np.where(met, np.where(moved > 0, above / 2, above), margin)
        below = np.where(met, margin, np.where(moved < 0, below / 2, below))
        short, long = np.where(met, short, share), np.where(met, share, long)
        moved = np.where(met, 1, -1)
    return long


def known_start(
    model: Classifier, block: Block, bounds: Bounds | None
) -> tuple[tf.Tensor, tf.Tensor]:
    """The perturbations that a block's attack may begin with.

    Args:
        model: images (B, H, W, C) → logits (B, K).
        block: its start may come from an attack without bounds, or on another model.
        bounds: the lowest and the highest value of an attacked pixel; None for no bounds.

    Returns:
        Perturbations float32 (B, H, W, C) within bounds that meet the criterion, zeros where none
        is known; and bool (B,), where one is known.
    """
    start = clip(block.images, block.start, bounds)
    given = tf.reduce_any(start != 0, axis=(1, 2, 3))
    if not tf.reduce_any(given):
        return tf.zeros_like(start), given
    given &= meets(model, block.criterion, block.images + start, block.classes)
    return tf.where(per_image(given), start, 0.0), given
