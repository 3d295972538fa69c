"""Several candidates that share the visits of an attack: for each image, whose turn it is."""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfrobust.attacks.gradient_walk import in_turn, visit
from tfrobust.attacks.minimum_norm import Best
from tfrobust.core.bounds import Bounds
from tfrobust.core.classifier import Model
from tfrobust.core.criterion import Criterion

# How many visits a criterion that no single rival decides spends on the way to a rival, so that
# its candidates begin at different places.
TOWARDS = 2


class Search(NamedTuple):
    """Where all candidates stand.

    Args:
        candidates: the state of each, a named tuple of tensors (C, B, …). Besides what
            `gradient_walk.visit` wants it has `rivals`, int32 (C, B), and `distance`, float32
            (C, B), by which candidates are compared.
        visits: float32 (C, B), how many each had.
    """

    candidates: Any
    visits: tf.Tensor


def _taken(
    walk: type[Any],
    model: Model,
    criterion: Criterion,
    bounds: Bounds | None,
    images: tf.Tensor,
    classes: tf.Tensor,
    search: Search,
    best: Best,
    scheduled: dict[str, tf.Tensor],
) -> tuple[Search, Best]:
    """One visit for each image, of the candidate whose turn it is, and the choice of it.

    Args:
        search: where all candidates stand.
        scheduled: besides what `advance` takes, "turn", the number of the candidate; below 0 for
            the most promising one with "doubt".

    The other arguments are those of `gradient_walk.visit`.
    """
    candidates, visits = search
    chosen = most_promising(candidates.distance, visits, scheduled["doubt"])
    given = tf.cast(scheduled["turn"], tf.int32)
    turn = tf.where(given < 0, chosen, given)
    mine = tf.one_hot(turn, len(visits), axis=0, on_value=True, off_value=False)

    def of_turn(part: tf.Tensor) -> tf.Tensor:
        return tf.reshape(mine, [*mine.shape, *[1] * (len(part.shape) - 2)])

    # The row of the candidate itself, and zeros of the others.
    candidate = tf.nest.map_structure(
        lambda part: tf.reduce_sum(tf.where(of_turn(part), part, tf.zeros_like(part)), axis=0),
        candidates,
    )
    if not criterion.one_rival:
        had = tf.reduce_sum(tf.where(mine, visits, 0.0), axis=0)
        candidate = candidate._replace(rivals=tf.where(had >= TOWARDS, -1, candidate.rivals))
    candidate, best = visit(
        walk, model, criterion, bounds, images, classes, candidate, best, scheduled
    )
    candidates = tf.nest.map_structure(
        lambda part, new: tf.where(of_turn(part), new, part), candidates, candidate
    )
    return Search(candidates, visits + tf.cast(mine, visits.dtype)), best


turns = in_turn(_taken)


def most_promising(distances: tf.Tensor, visits: tf.Tensor, doubt: float | tf.Tensor) -> tf.Tensor:
    """Which candidate's plane may turn out to be the nearest, for each image.

    Args:
        distances: float32 (C, B), from the clean image to each candidate's last plane.
        visits: float32 (C, B), how many each candidate had.
        doubt: a distance counts for half after so many visits; 0 takes distances as they are.

    Returns:
        int32 (B,), the candidate's number, the first of several.
    """
    hoped = distances * visits / (visits + doubt)
    hoped = tf.where(tf.math.is_nan(hoped), np.float32(np.inf), hoped)
    return tf.argmin(hoped, axis=0, output_type=tf.int32)
