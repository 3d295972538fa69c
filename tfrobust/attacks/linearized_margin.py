"""Minimal perturbations by successive linearisation of the margin, towards several rivals.

Each visit takes the margin for the plane that its value and its gradient describe. It steps onto
the plane's zero, as DeepFool does (arXiv 1511.04599), and along it towards the point nearest to
the clean image, as FAB does (arXiv 1907.02044), the second part with momentum. Unlike walks on
the cross-entropy, this does not depend on how confident the network is. Boundaries of ReLU
networks are folded, and one gradient describes one face only. So where the plane of this visit and
that of the last one meet in an edge that is nearest, the step goes towards the edge. And in the
last third the plane is that of a running mean of gradients, and the pull along it fades. As long
as nothing was found it fades too: each visit that falls short says that the plane recedes.

Nobody can tell from the clean image which rival class lies nearest. So several candidates begin
with a few visits each. Then every visit goes, for each image by itself, to the candidate whose
plane may turn out to be the nearest: its distance counts for less while it had few visits, as in
optimistic bandits (arXiv 1204.5721, section 2.2), and for the less the more visits are left. No
candidate walks farther from the clean image than the smallest perturbation that any of them has
found.
"""

import dataclasses
import math
from typing import NamedTuple

import tensorflow as tf

from tfrobust.attacks.base import Block, at_least
from tfrobust.attacks.candidates import Search, turns
from tfrobust.attacks.gradient_walk import GradientWalk, Visit
from tfrobust.attacks.minimum_norm import Best
from tfrobust.attacks.planes import dot, length, nearest_edge, nearest_within
from tfrobust.core.classifier import Classifier, answers
from tfrobust.core.criterion import Criterion
from tfrobust.core.distances import clip, per_image, rmse

# Aim a little beyond the boundary, or the search ends just before it.
OVERSHOOT = 1.02
# While the criterion was never met, aim farther beyond at each visit: some planes recede. The pull
# along such a plane takes back more than the step across it gained, so it fades with the square.
BOLDER = 1.15
# Share of the way to the plane's nearest point, and how much of the last step is added.
PULL, MOMENTUM = 0.5, 0.5
# At a fold the pull is so many times as strong, and no last step is added. An edge that is farther
# away than so many times the plane is not believed.
STRONGER, NEAR = 1.4, 4.0
# In the last visits: what the pull fades to, and how much of the mean gradient is kept at most,
# where the new one is at right angles to it.
LAST_PULL, KEPT = 0.02, 0.5
# No step ends farther than this from the clean image, or than the smallest perturbation that any
# candidate has found: a flat margin's zero is nowhere near.
FARTHEST = 0.5
# How many visits every candidate begins with. Planes of the first two are often far off.
OPENING = 3
# The share of all visits, the last ones, in which the walk settles.
SETTLING = 1 / 3
# A plane of n visits counts as n/(n + DOUBT·steps) of its distance, at first.
DOUBT = 1 / 30


class State(NamedTuple):
    """Where one candidate stands.

    Args:
        delta: float32 (B, H, W, C), the perturbation.
        velocity: float32 (B, H, W, C), the smoothed step along the plane.
        mean: float32 (B, H, W, C), the running mean of gradients.
        overshoot: float32 (B,), how far beyond the plane to aim; 1 aims at the plane.
        rivals: int32 (B,), the class whose margin is followed; −1 for the criterion's own margin.
        distance: float32 (B,), RMSE from the clean image to the last plane.
        reach: float32 (B,), what mean·δ is on the last plane.
    """

    delta: tf.Tensor
    velocity: tf.Tensor
    mean: tf.Tensor
    overshoot: tf.Tensor
    rivals: tf.Tensor
    distance: tf.Tensor
    reach: tf.Tensor

    @classmethod
    def at(cls, delta: tf.Tensor, rivals: tf.Tensor) -> "State":
        """A candidate that begins at delta, float32 (B, H, W, C), with rivals, int32 (B,)."""
        zeros, none = tf.zeros_like(delta), tf.zeros_like(rivals, tf.float32)
        return cls(delta, zeros, zeros, none + OVERSHOOT, rivals, none, none)


@dataclasses.dataclass(kw_only=True, eq=False)
class LinearizedMargin(GradientWalk):
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
    program = turns
    # Its last visits only refine what those before have found.
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
        """One for each gradient."""
        return self.steps

    @property
    def gradients(self) -> int:
        """The steps of all candidates together."""
        return self.steps

    def init(self, model: Classifier, block: Block) -> tuple[Search, Best]:
        """Every candidate at the clean image, and what is known as one more candidate."""
        own = tf.fill([len(block.classes)], -1)
        ranks = block.criterion.rivals(answers(model, block.images), block.classes)
        rivals = tf.unstack(ranks, axis=1)
        # At most half of all visits are an opening, or none would get anywhere.
        most = min(self.rivals, max(1, len(rivals)), max(1, self.steps // (2 * OPENING)))
        if not block.criterion.one_rival:
            rivals = [own, *rivals]
        candidates = [State.at(tf.zeros_like(block.images), one) for one in rivals[:most]]
        best = self.known(model, block)
        if tf.reduce_any(tf.math.is_finite(best.size)):
            candidates.append(State.at(best.delta, own))
        stacked = tf.nest.map_structure(lambda *parts: tf.stack(parts), *candidates)
        return Search(stacked, tf.zeros_like(stacked.distance)), best

    def schedule(self, visit: int, state: Search) -> dict[str, float]:
        """Whose turn it is, how far planes are doubted, the pull, and what is kept of the mean."""
        opening = len(state.visits) * OPENING
        left = 1 - (visit - opening) / max(1, self.steps - opening)
        # How far the last visits are from the first of them to the last.
        first = math.ceil((1 - SETTLING) * self.steps)
        settled = max(0, visit - first) / max(1, self.steps - 1 - first)
        return {
            "turn": visit // OPENING if visit < opening else -1,
            "doubt": DOUBT * self.steps * left,
            "pull": PULL + (LAST_PULL - PULL) * settled,
            "kept": KEPT if visit >= first else 0.0,
        }

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
            scheduled: float32 scalars: "pull", the share of the way along the plane once the
                criterion was met, and "kept", how much of the mean gradient is kept at most.
        """
        margin, gradient, delta = here.value, here.gradient, state.delta
        # Gradients that agree with those before need no mean.
        agreement = dot(gradient, state.mean) / (length(gradient) * length(state.mean) + 1e-20)
        share = per_image(scheduled["kept"] * tf.clip_by_value(1.0 - agreement, 0.0, 1.0))
        gradient = share * state.mean + (1.0 - share) * gradient
        steepness = dot(gradient, gradient) + 1e-20
        # The plane margin + g·(δ' − δ) = 0, beyond which the criterion is met, is g·δ' = reach.
        reach = dot(gradient, delta) - margin
        if here.bounds is None:
            nearest = per_image(reach / steepness) * gradient
        else:
            nearest = nearest_within(here.bounds, here.images, gradient, reach)
        across = -per_image(margin / steepness) * gradient
        distance = rmse(nearest)
        edge, folded = nearest_edge(gradient, reach, state.mean, state.reach, nearest)
        edge = clip(here.images, edge, here.bounds)
        # A last plane that claims more than the margin that is seen here is not believed.
        folded &= dot(state.mean, delta) - state.reach <= margin
        folded &= rmse(edge) < NEAR * distance
        nearest = tf.where(per_image(folded), edge, nearest)
        found = tf.math.is_finite(here.best.size)
        trust = tf.where(found, 1.0, (OVERSHOOT / state.overshoot) ** 2)
        along = per_image(scheduled["pull"] * trust) * (nearest - delta - across)
        velocity = tf.where(per_image(folded), STRONGER * along, MOMENTUM * state.velocity + along)
        velocity -= per_image(dot(gradient, velocity) / steepness) * gradient
        overshoot = tf.where(found, OVERSHOOT, state.overshoot * BOLDER)
        beyond = per_image((overshoot - 1.0) * reach / steepness) * gradient
        delta += across + velocity + beyond
        farthest = tf.minimum(FARTHEST, here.best.size)
        delta *= per_image(tf.minimum(1.0, farthest / (rmse(delta) + 1e-20)))
        return State(delta, velocity, gradient, overshoot, state.rivals, distance, reach)
