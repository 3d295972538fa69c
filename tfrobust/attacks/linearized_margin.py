"""Minimal perturbations by successive linearisation of the margin, towards several rivals.

Each visit takes the margin for the plane that its value and its gradient describe. It steps onto
the plane's zero, as DeepFool does (arXiv 1511.04599), and along it towards the point nearest to
the clean image, as FAB does (arXiv 1907.02044), the second part with momentum. Unlike walks on
the cross-entropy, this does not depend on how confident the network is. In the last round the
plane is that of a running mean of gradients, and the pull along it fades: boundaries of ReLU
networks are folded, and one gradient describes one fold only.

Nobody can tell from the clean image which rival class lies nearest. So several candidates are
followed for a few visits each, and those whose plane is nearest go on: successive halving
(arXiv 1502.07943) with the distance to the plane as the score. No candidate walks farther from the
clean image than the smallest perturbation that any of them has found.
"""

import dataclasses
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrobust.attacks.base import Block, at_least
from tfrobust.attacks.gradient_walk import Visit, compiled_visit
from tfrobust.attacks.minimum_norm import Best, MinimumNormAttack
from tfrobust.core.bounds import Bounds
from tfrobust.core.classifier import Classifier, answers
from tfrobust.core.criterion import Criterion
from tfrobust.core.distances import per_image, rmse

# Aim a little beyond the boundary, or the search ends just before it.
OVERSHOOT = 1.02
# While the criterion was never met, aim farther beyond at each visit: some planes recede.
BOLDER = 1.15
# Share of the way to the plane's nearest point, and how much of the last step is added.
PULL, MOMENTUM = 0.5, 0.5
# In the last round: what the pull fades to, and how much of the mean gradient is kept at most,
# where the new one is at right angles to it.
LAST_PULL, KEPT = 0.02, 0.5
# No step ends farther than this from the clean image, or than the smallest perturbation that any
# candidate has found: a flat margin's zero is nowhere near.
FARTHEST = 0.5
# How many visits a criterion that no single rival decides spends on the way to a rival, so that
# its candidates begin at different places.
OPENING = 2
# Candidates are dropped twice.
ROUNDS = 3
# Halvings that find a point of a plane within bounds. 2^−20 of the way is below float32's noise.
HALVINGS = 20


class State(NamedTuple):
    """Where one candidate stands.

    Args:
        delta: float32 (B, H, W, C), the perturbation.
        velocity: float32 (B, H, W, C), the smoothed step along the plane.
        mean: float32 (B, H, W, C), the running mean of gradients.
        overshoot: float32 (B,), how far beyond the plane to aim; 1 aims at the plane.
        rivals: int32 (B,), the class whose margin is followed; −1 for the criterion's own margin.
        distance: float32 (B,), RMSE from the clean image to the last plane.
    """

    delta: tf.Tensor
    velocity: tf.Tensor
    mean: tf.Tensor
    overshoot: tf.Tensor
    rivals: tf.Tensor
    distance: tf.Tensor

    @classmethod
    def at(cls, delta: tf.Tensor, rivals: tf.Tensor) -> "State":
        """A candidate that begins at delta, float32 (B, H, W, C), with rivals, int32 (B,)."""
        zeros, none = tf.zeros_like(delta), tf.zeros_like(rivals, tf.float32)
        return cls(delta, zeros, zeros, none + OVERSHOOT, rivals, none)


class _Search(NamedTuple):
    """The candidates that are followed, and how many of each round's visits."""

    candidates: list[State]
    plan: list[tuple[int, int]]


@dataclasses.dataclass(kw_only=True, eq=False)
class LinearizedMargin(MinimumNormAttack):
    """Minimal perturbations by successive linearisation of the margin, towards several rivals.

    Args:
        steps: gradients taken for each image.
        rivals: how many candidates there are at first: the classes with the largest logits. With
            a criterion that no single rival decides, such as `BelowChance`, one candidate follows
            the criterion's margin from the start, and the others do after two visits on the way
            to a rival.
        line_steps: forward passes of a last search between the clean image and the smallest
            perturbation found.

    `bounds` and `batch_size` are those of every `Attack`.

    Source: our own, of the parts that the module names.
    """

    size = staticmethod(rmse)
    # Its last round only refines what the rounds before have found.
    tells_late = False

    steps: int = 60
    rivals: int = 6

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, rivals=self.rivals)

    @property
    def name(self) -> str:
        """E.g. "linearized margin (60 steps, 6 rivals)"."""
        rivals = "1 rival" if self.rivals == 1 else f"{self.rivals} rivals"
        return f"linearized margin ({self.steps} steps, {rivals})"

    @property
    def visits(self) -> int:
        """One for each round, which takes many gradients."""
        return ROUNDS

    @property
    def gradients(self) -> int:
        """The steps of all candidates together."""
        return self.steps

    def init(self, model: Classifier, block: Block) -> tuple[_Search, Best]:
        """Every candidate at the clean image, and what is known as one more candidate."""
        own = tf.fill([len(block.classes)], -1)
        ranks = block.criterion.rivals(answers(model, block.images), block.classes)
        rivals = tf.unstack(ranks, axis=1)
        # A candidate for every three visits of a first round, or none would get anywhere.
        most = min(self.rivals, max(1, len(rivals)), max(1, self.steps // 6))
        if not block.criterion.one_rival:
            rivals = [own, *rivals]
        candidates = [State.at(tf.zeros_like(block.images), one) for one in rivals[:most]]
        best = self.known(model, block)
        if tf.reduce_any(tf.math.is_finite(best.size)):
            candidates.append(State.at(best.delta, own))
        return _Search(candidates, rounds(self.steps, len(candidates))), best

    def step(
        self, model: Classifier, block: Block, state: _Search, best: Best, visit: int
    ) -> tuple[_Search, Best]:
        """One round: follows the candidates whose planes are nearest, one after the other."""
        followed, each = state.plan[visit]
        candidates = state.candidates if visit == 0 else _nearest(state.candidates, followed)
        last = visit == ROUNDS - 1
        pulls = np.linspace(PULL, LAST_PULL if last else PULL, each, dtype=np.float32)
        kept = tf.constant(KEPT if last else 0.0)
        taken = sum(visits for _, visits in state.plan[:visit])
        followed_on = []
        for candidate in candidates:
            for number, pull in enumerate(pulls, taken):
                if not block.criterion.one_rival and number == OPENING:
                    candidate = candidate._replace(rivals=tf.fill([len(block.classes)], -1))
                scheduled = {"pull": tf.constant(pull), "kept": kept}
                candidate, best = compiled_visit(self, model, block, candidate, best, scheduled)
            followed_on.append(candidate)
        return _Search(followed_on, state.plan), best

    @staticmethod
    def objective(
        criterion: Criterion, logits: tf.Tensor, classes: tf.Tensor, state: State
    ) -> tf.Tensor:
        """The margin towards the candidate's rival, or the criterion's own."""
        towards = criterion.rival_margin(logits, classes, tf.maximum(state.rivals, 0))
        return tf.where(state.rivals < 0, criterion.margin(logits, classes), towards)

    @staticmethod
    def advance(here: Visit, state: State, scheduled: dict[str, tf.Tensor]) -> State:
        """Across to the plane, along it towards its nearest point, and a little beyond.

        Args:
            here: what was seen where the candidate stands.
            state: where it stands.
            scheduled: float32 scalars: "pull", the share of the way along the plane, and "kept",
                how much of the mean gradient is kept at most.
        """
        margin, gradient, delta = here.value, here.gradient, state.delta
        # Gradients that agree with those before need no mean.
        agreement = _dot(gradient, state.mean) / (_length(gradient) * _length(state.mean) + 1e-20)
        share = per_image(scheduled["kept"] * tf.clip_by_value(1.0 - agreement, 0.0, 1.0))
        gradient = mean = share * state.mean + (1.0 - share) * gradient
        steepness = _dot(gradient, gradient) + 1e-20
        # The plane margin + g·(δ' − δ) = 0, beyond which the criterion is met, is g·δ' = reach.
        reach = _dot(gradient, delta) - margin
        if here.bounds is None:
            nearest = per_image(reach / steepness) * gradient
        else:
            nearest = _nearest_within(here.bounds, here.images, gradient, reach)
        across = -per_image(margin / steepness) * gradient
        velocity = MOMENTUM * state.velocity + scheduled["pull"] * (nearest - delta - across)
        velocity -= per_image(_dot(gradient, velocity) / steepness) * gradient
        found = tf.math.is_finite(here.best.size)
        overshoot = tf.where(found, OVERSHOOT, state.overshoot * BOLDER)
        beyond = per_image((overshoot - 1.0) * reach / steepness) * gradient
        delta += across + velocity + beyond
        farthest = tf.minimum(FARTHEST, here.best.size)
        delta *= per_image(tf.minimum(1.0, farthest / (rmse(delta) + 1e-20)))
        return State(delta, velocity, mean, overshoot, state.rivals, rmse(nearest))


def rounds(steps: int, candidates: int) -> list[tuple[int, int]]:
    """How many candidates each round follows, for how many gradients each.

    Args:
        steps: gradients in all.
        candidates: at first.

    Returns:
        (candidates, gradients each) of every round. A round takes a third of all gradients, but
        at least one for each candidate; the last one takes what is left.
    """
    plan = []
    left = steps
    for number in range(ROUNDS - 1):
        kept = max(1, round(candidates ** (1 - number / (ROUNDS - 1))))
        each = max(1, steps // ROUNDS // kept)
        plan.append((kept, each))
        left -= kept * each
    return [*plan, (1, max(1, left))]


def _nearest(candidates: list[State], kept: int) -> list[State]:
    """For each image the candidates whose planes are nearest, the nearest first."""
    distances = np.stack([state.distance for state in candidates])
    order = np.argsort(np.nan_to_num(distances, nan=np.inf), axis=0, kind="stable")
    columns = np.arange(order.shape[1])
    stacked = tf.nest.map_structure(lambda *parts: np.stack(parts), *candidates)
    return [
        tf.nest.map_structure(lambda part, row=row: tf.constant(part[row, columns]), stacked)
        for row in order[:kept]
    ]


def _dot(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(one * other, axis=(1, 2, 3))


def _length(vectors: tf.Tensor) -> tf.Tensor:
    return tf.sqrt(_dot(vectors, vectors))


def _nearest_within(
    bounds: Bounds, images: tf.Tensor, gradient: tf.Tensor, reach: tf.Tensor
) -> tf.Tensor:
    """The smallest δ with gradient·δ = reach and images + δ within bounds, or as close as it gets.

    It has the form clip(λ·gradient) for one λ for each image, and gradient·δ grows with λ.
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
