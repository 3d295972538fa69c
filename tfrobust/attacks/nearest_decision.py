"""How far an image is from another decision, as one graph for exports."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfrobust.attacks import gradient_walk
from tfrobust.attacks.linearized_margin import KEPT, LAST_PULL, PULL, LinearizedMargin, State
from tfrobust.attacks.minimum_norm import Best
from tfrobust.core.classifier import Model
from tfrobust.core.criteria import Misclassified
from tfrobust.core.distances import per_image, rmse


def nearest_decision(
    model: Model, images: tf.Tensor, *, rivals: int = 4, steps: int = 8, line_steps: int = 8
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """How far each image is from another decision.

    This is `LinearizedMargin` as one graph with a loop, and without its choice among candidates:
    every rival is followed to the end.

    Args:
        model: images (B, H, W, C) → logits (B, K).
        images: float32 (B, H, W, C) in [0, 1]. Perturbed pixels may leave it.
        rivals: how many classes are followed: those with the largest logits but for the predicted
            one.
        steps: gradients for each of them.
        line_steps: forward passes of the last bisection.

    Returns:
        RMSE float32 (B,) of the smallest perturbation found that changes the decision, which is
        an upper bound, infinite where none was found; bool (B,), whether one was; and int32 (B,),
        the class that it leads to, −1 where none was found.
    """
    criterion = Misclassified()
    logits = model(images)
    # The number of classes is taken from the answer: exports know it before they run.
    followed = min(rivals, logits.shape[-1] - 1)
    count = tf.shape(images)[0]
    predicted = tf.argmax(logits, axis=-1, output_type=tf.int32)
    towards = tf.reshape(criterion.rivals(logits, predicted)[:, :followed], [-1])
    tiled, classes = (tf.repeat(one, followed, axis=0) for one in (images, predicted))
    state, best = State.at(tf.zeros_like(tiled), towards), Best.none(tiled)
    pulls = tf.constant(np.linspace(PULL, LAST_PULL, steps, dtype=np.float32))

    def visit(number: tf.Tensor, state: State, best: Best) -> tuple[Any, ...]:
        scheduled = {"pull": pulls[number], "kept": tf.constant(KEPT)}
        state, best = gradient_walk.visit(
            LinearizedMargin, model, criterion, None, tiled, classes, state, best, scheduled
        )
        return number + 1, state, best

    _, _, best = tf.while_loop(
        lambda number, *_: number < steps, visit, (0, state, best), maximum_iterations=steps
    )
    sizes = tf.reshape(best.size, (count, followed))
    nearest = tf.argmin(sizes, axis=-1, output_type=tf.int32)
    found = tf.math.is_finite(tf.reduce_min(sizes, axis=-1))
    delta = tf.gather(best.delta, tf.range(count) * followed + nearest)
    # This is `shortened` as a loop of the graph, which XLA does not compile.
    short, long = tf.zeros_like(sizes[:, 0]), tf.ones_like(sizes[:, 0])

    def halve(number: tf.Tensor, short: tf.Tensor, long: tf.Tensor) -> tuple[tf.Tensor, ...]:
        middle = (short + long) / 2
        met = criterion.met(model(images + per_image(middle) * delta), predicted)
        return number + 1, tf.where(met, short, middle), tf.where(met, middle, long)

    _, _, long = tf.while_loop(lambda number, *_: number < line_steps, halve, (0, short, long))
    delta *= per_image(long)
    leads_to = tf.argmax(model(images + delta), axis=-1, output_type=tf.int32)
    return (
        tf.where(found, rmse(delta), np.float32(np.inf)),
        found,
        tf.where(found, leads_to, -1),
    )
