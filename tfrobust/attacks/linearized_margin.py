"""Minimal perturbations by successive linearisation of the margin, towards several rivals.

Each visit takes the margin for the plane that its value and gradient describe. It steps onto the
plane's zero, as DeepFool does (arXiv 1511.04599), and along it towards the point nearest to the
clean image, as FAB does (arXiv 1907.02044), the second part with momentum. Unlike walks on the
cross-entropy, it does not depend on how confident the network is. Last, the plane is of a running
mean of gradients and the pull along it fades: boundaries of ReLU networks are folded, and one
gradient describes one fold.

Which rival class lies nearest cannot be told from the clean image, so several candidates are
followed for a few visits, and those whose plane is nearest go on: successive halving
(arXiv 1502.07943), with the distance to the plane as the score.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrobust.attacks.base import Attack, Block
from tfrobust.attacks.minimum_norm import known, shortened
from tfrobust.core.criteria import Criterion, Misclassified
from tfrobust.core.distances import Bounds, clip, per_image, rmse
from tfrobust.core.gradients import input_gradient
from tfrobust.core.opaque import Model, answers
from tfrobust.errors import InputError

# Aim a little beyond the boundary, or the search ends just before it.
OVERSHOOT = 1.02
# While the goal was never met, aim farther beyond with each visit: some planes recede.
BOLDER = 1.15
# Share of the way to the plane's nearest point, and how much of the last step is added.
PULL, MOMENTUM = 0.5, 0.5
# In the last round: what the pull fades to, and how much of the mean gradient is kept at most,
# where the new one is at right angles to it.
LAST_PULL, KEPT = 0.02, 0.5
# No step ends farther than this from the clean image: a flat margin's zero is nowhere near.
FARTHEST = 0.5
# Visits that a goal about no single rival spends on the way to one, to begin elsewhere.
OPENING = 2
# Candidates are dropped twice.
ROUNDS = 3
# Halvings that find a point of a plane within bounds: 2^-20 of the way is below float32's noise.
HALVINGS = 20


class _State(NamedTuple):
    """Where a candidate stands (B, H, W, C), its mean gradient, and the smallest success so far."""

    delta: tf.Tensor
    velocity: tf.Tensor
    mean: tf.Tensor
    best: tf.Tensor
    best_size: tf.Tensor
    overshoot: tf.Tensor


def _dot(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(one * other, axis=(1, 2, 3))


def _length(vectors: tf.Tensor) -> tf.Tensor:
    return tf.sqrt(_dot(vectors, vectors))


def _nearest_within(
    bounds: Bounds, images: tf.Tensor, gradient: tf.Tensor, reach: tf.Tensor
) -> tf.Tensor:
    """The smallest δ with gradient·δ = reach and images + δ within bounds, or as close as it gets.

    It has the form clip(λ·gradient), for one λ per image, on which gradient·δ grows.
    """
    low, high = bounds[0] - images, bounds[1] - images
    steep = tf.reduce_max(tf.abs(gradient), axis=(1, 2, 3)) + 1e-20
    plain = reach / (_dot(gradient, gradient) + 1e-20)
    # From the λ that would do without bounds to one that moves all pixels to an end, nearly.
    inner, outer = plain, tf.sign(reach) * tf.maximum(tf.abs(plain) * 1e3, 1.0 / steep)
    for _ in range(HALVINGS):
        # Geometric, as the two ends lie decades apart.
        middle = tf.sign(reach) * tf.sqrt(tf.abs(inner * outer))
        moved = _dot(gradient, tf.clip_by_value(per_image(middle) * gradient, low, high))
        short = tf.abs(moved) < tf.abs(reach)
        inner, outer = tf.where(short, middle, inner), tf.where(short, outer, middle)
    return tf.clip_by_value(per_image(outer) * gradient, low, high)


def _step(
    model: Model,
    criterion: Criterion,
    bounds: Bounds | None,
    images: tf.Tensor,
    classes: tf.Tensor,
    rivals: tf.Tensor,
    pull: tf.Tensor,
    kept: tf.Tensor,
    state: _State,
) -> tuple[_State, tf.Tensor]:
    """Judges where the candidates stand, and goes on; → also the distance of their planes.

    Rivals are int32 (B,), −1 for the goal's own margin; pull and kept are shares, from 0 to 1.
    """
    margin = tf.zeros_like(state.best_size)

    def objective(logits: tf.Tensor) -> tf.Tensor:
        nonlocal margin
        towards = criterion.rival_margin(logits, classes, tf.maximum(rivals, 0))
        margin = tf.where(rivals < 0, criterion.margin(logits, classes), towards)
        return margin

    delta, velocity, mean, best, best_size, overshoot = state
    logits, gradient = input_gradient(model, images + delta, objective)
    size = rmse(delta)
    better = criterion.met(logits, classes) & (size < best_size)
    best = tf.where(per_image(better), delta, best)
    best_size = tf.where(better, size, best_size)

    # Gradients that agree with those before need no mean.
    agreement = _dot(gradient, mean) / (_length(gradient) * _length(mean) + 1e-20)
    share = per_image(kept * tf.clip_by_value(1.0 - agreement, 0.0, 1.0))
    gradient = mean = share * mean + (1.0 - share) * gradient
    steepness = _dot(gradient, gradient) + 1e-20
    # The plane margin + g·(δ' − δ) = 0, beyond which the goal lies, is g·δ' = reach.
    reach = _dot(gradient, delta) - margin
    if bounds is None:
        nearest = per_image(reach / steepness) * gradient
    else:
        nearest = _nearest_within(bounds, images, gradient, reach)
    across = -per_image(margin / steepness) * gradient
    velocity = MOMENTUM * velocity + pull * (nearest - delta - across)
    velocity -= per_image(_dot(gradient, velocity) / steepness) * gradient
    overshoot = tf.where(tf.math.is_finite(best_size), OVERSHOOT, overshoot * BOLDER)
    beyond = per_image((overshoot - 1.0) * reach / steepness) * gradient
    delta += across + velocity + beyond
    delta *= per_image(tf.minimum(1.0, FARTHEST / (rmse(delta) + 1e-20)))
    delta = clip(images, delta, bounds)
    return _State(delta, velocity, mean, best, best_size, overshoot), rmse(nearest)


_visit = tf.function(_step, jit_compile=True)


def nearest_decision(
    model: Model, images: tf.Tensor, *, rivals: int = 4, steps: int = 8, line_steps: int = 8
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """How far each image is from another decision, as one graph with a loop, for exports.

    `LinearizedMargin` without its halving of candidates: every rival is followed to the end.

    Args:
        model: images (B, H, W, C) → logits (B, K).
        images: float32 (B, H, W, C) in [0, 1]; pixels may leave it.
        rivals: the classes with the largest logits beside the predicted one that are followed.
        steps: gradients for each of them.
        line_steps: forward passes of the last bisection.

    Returns:
        RMSE float32 (B,) of the smallest perturbation found that changes the decision, an upper
        bound, infinite where none was; whether one was, bool (B,); the class it leads to,
        int32 (B,), −1 where none.
    """
    logits = model(images)
    # From the network's answer, not from its shape alone: exports know it before they run.
    followed = min(rivals, logits.shape[-1] - 1)
    count = tf.shape(images)[0]
    predicted = tf.argmax(logits, axis=-1, output_type=tf.int32)
    ranks = Misclassified().rivals(logits, predicted)[:, :followed]
    tiled, classes = (tf.repeat(one, followed, axis=0) for one in (images, predicted))
    towards = tf.reshape(ranks, [-1])
    zeros = tf.zeros_like(tiled)
    size = tf.fill(tf.shape(towards), np.float32(np.inf))
    state = _State(zeros, zeros, zeros, zeros, size, tf.fill(tf.shape(towards), OVERSHOOT))
    pulls = tf.constant(np.linspace(PULL, LAST_PULL, steps, dtype=np.float32))

    def visit(number: tf.Tensor, state: _State) -> tuple[tf.Tensor, _State]:
        state, _ = _step(
            model,
            Misclassified(),
            None,
            tiled,
            classes,
            towards,
            pulls[number],
            tf.constant(KEPT),
            state,
        )
        return number + 1, state

    _, state = tf.while_loop(
        lambda number, state: number < steps, visit, (0, state), maximum_iterations=steps
    )
    sizes = tf.reshape(state.best_size, (count, followed))
    best = tf.argmin(sizes, axis=-1, output_type=tf.int32)
    found = tf.math.is_finite(tf.reduce_min(sizes, axis=-1))
    delta = tf.gather(state.best, tf.range(count) * followed + best)
    # As `shortened`, but not compiled by XLA: that is nothing for an export.
    short, long = tf.zeros_like(sizes[:, 0]), tf.ones_like(sizes[:, 0])

    def halve(number: tf.Tensor, short: tf.Tensor, long: tf.Tensor) -> tuple[tf.Tensor, ...]:
        middle = (short + long) / 2
        met = Misclassified().met(model(images + per_image(middle) * delta), predicted)
        return number + 1, tf.where(met, short, middle), tf.where(met, middle, long)

    _, _, long = tf.while_loop(lambda number, *_: number < line_steps, halve, (0, short, long))
    delta *= per_image(long)
    leads_to = tf.argmax(model(images + delta), axis=-1, output_type=tf.int32)
    return (
        tf.where(found, rmse(delta), np.float32(np.inf)),
        found,
        tf.where(found, leads_to, -1),
    )


def rounds(steps: int, candidates: int) -> list[tuple[int, int]]:
    """How many candidates are followed, for how many gradients each: a third of all a round.

    Args:
        steps: gradients in all.
        candidates: at first.

    Returns:
        (candidates, gradients each) of every round; at least one gradient each, the last round
        has what is left.
    """
    plan = []
    left = steps
    for number in range(ROUNDS - 1):
        kept = max(1, round(candidates ** (1 - number / (ROUNDS - 1))))
        each = max(1, steps // ROUNDS // kept)
        plan.append((kept, each))
        left -= kept * each
    return [*plan, (1, max(1, left))]


class LinearizedMargin(Attack):
    """Minimal perturbations by successive linearisation of the margin, towards several rivals.

    Args:
        steps: gradients taken per image.
        rivals: candidates at first: the classes with the largest logits. For goals that no
            single rival decides, such as below chance, one candidate follows the goal's margin
            from the start, the others after two visits on the way to a rival.
        line_steps: forward passes of the last bisection, between the clean image and the best.
        bounds: the lowest and highest value of an attacked pixel, as (0, 1); None for no bounds.
        batch_size: images computed at a time.

    Source: our own, of the parts named above.
    """

    def __init__(
        self,
        *,
        steps: int = 60,
        rivals: int = 6,
        line_steps: int = 8,
        bounds: Bounds | None = None,
        batch_size: int = 50,
    ) -> None:
        super().__init__(bounds=bounds, batch_size=batch_size)
        if steps < 1 or rivals < 1 or line_steps < 0:
            raise InputError(
                "expected steps and rivals of at least 1 and line_steps not below 0, got "
                f"{steps}, {rivals}, {line_steps}"
            )
        self.steps, self.rivals, self.line_steps = steps, rivals, line_steps

    @property
    def name(self) -> str:
        """E.g. "linearized margin (60 steps, 6 rivals)"."""
        rivals = "1 rival" if self.rivals == 1 else f"{self.rivals} rivals"
        return f"linearized margin ({self.steps} steps, {rivals})"

    def _run(self, model: Model, block: Block) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        images, classes, criterion = block.images, block.classes, block.criterion
        count = len(classes)
        ranks = criterion.rivals(answers(model, images), classes).numpy()
        # A candidate for every three visits of a first round, or none would get anywhere.
        candidates = min(self.rivals, ranks.shape[1], max(1, self.steps // 6))
        if not criterion.one_rival:
            ranks = np.concatenate([np.full((count, 1), -1, np.int32), ranks], axis=1)
        rivals = list(ranks.T[:candidates])
        zeros = tf.zeros_like(images)
        best, given = known(model, block, self.bounds)
        size = tf.where(given, rmse(best), np.inf)
        fresh = _State(
            zeros, zeros, zeros, zeros, tf.fill([count], np.inf), tf.fill([count], OVERSHOOT)
        )
        states = [fresh] * candidates
        if tf.reduce_any(given):
            # What is known already is followed as one more candidate.
            states.append(fresh._replace(delta=best))
            rivals.append(np.full(count, -1, np.int32))
        visits = 0
        distances: list[np.ndarray] = []
        plan = rounds(self.steps, len(states))
        for number, (followed, each) in enumerate(plan):
            if distances:
                states, rivals = _nearest(states, rivals, distances, followed)
            last = number == len(plan) - 1
            pulls = np.linspace(PULL, LAST_PULL if last else PULL, each, dtype=np.float32)
            distances = []
            for row, state in enumerate(states):
                for visit, pull in enumerate(pulls, visits):
                    direct = not criterion.one_rival and visit >= OPENING
                    towards = np.full(count, -1, np.int32) if direct else rivals[row]
                    state, distance = _visit(
                        model,
                        criterion,
                        self.bounds,
                        images,
                        classes,
                        tf.constant(towards),
                        tf.constant(pull),
                        tf.constant(KEPT if last else 0.0),
                        state,
                    )
                states[row] = state
                distances.append(distance.numpy())
            visits += each
            for state in states:
                better = state.best_size < size
                best = tf.where(per_image(better), state.best, best)
                size = tf.where(better, state.best_size, size)
        found = np.isfinite(size.numpy())
        # Along the line to the best point the boundary may lie a little nearer still.
        best = shortened(model, criterion, images, classes, best, self.line_steps)
        return best.numpy(), found, np.zeros_like(found)


def _nearest(
    states: list[_State], rivals: list[np.ndarray], distances: list[np.ndarray], kept: int
) -> tuple[list[_State], list[np.ndarray]]:
    """Per image, the candidates whose planes are nearest, the nearest first."""
    order = np.argsort(np.nan_to_num(np.stack(distances), nan=np.inf), axis=0, kind="stable")
    columns = np.arange(order.shape[1])
    stacked = _State(
        *(np.stack([field.numpy() for field in part]) for part in zip(*states, strict=True))
    )
    every = np.stack(rivals)
    return (
        [_State(*(tf.constant(part[row, columns]) for part in stacked)) for row in order[:kept]],
        [every[row, columns] for row in order[:kept]],
    )
