"""Minimum-norm attacks that take one gradient at each visit, as one compiled program."""

import dataclasses
import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf

from tfrobust.attacks.base import Block
from tfrobust.attacks.minimum_norm import Best, MinimumNormAttack
from tfrobust.core.bounds import Bounds
from tfrobust.core.classifier import Classifier, Model, compiled
from tfrobust.core.criterion import Criterion
from tfrobust.core.distances import clip
from tfrobust.core.gradients import input_gradient


class Visit(NamedTuple):
    """What a walk on gradients sees where it stands.

    Args:
        images: float32 (B, H, W, C), the clean images.
        bounds: the lowest and the highest value of an attacked pixel; None for no bounds.
        value: float32 (B,), the objective.
        gradient: float32 (B, H, W, C), the objective's.
        met: bool (B,), whether the criterion is met.
        size: float32 (B,), the perturbation's, in the attack's measure.
        best: the smallest perturbation so far, this one included.
    """

    images: tf.Tensor
    bounds: Bounds | None
    value: tf.Tensor
    gradient: tf.Tensor
    met: tf.Tensor
    size: tf.Tensor
    best: Best


class InBall(NamedTuple):
    """Where a walk stands (B, H, W, C), and the radius of its ball (B,), an L2 norm."""

    delta: tf.Tensor
    radius: tf.Tensor


@dataclasses.dataclass(kw_only=True, eq=False)
class GradientWalk(MinimumNormAttack):
    """A minimum-norm attack that takes one gradient at each visit.

    A visit is one compiled program. It is compiled once for each class of attacks, model,
    criterion and shape, and serves attacks with all hyper-parameters: `advance` gets these from
    `schedule`. The state is a named tuple of tensors, and its field `delta`, float32 (B, H, W, C),
    is where the walk stands.

    Its arguments are those of `MinimumNormAttack`.

    Attributes:
        title: what reports call it, before its number of steps.
    """

    title: ClassVar[str]

    @property
    def name(self) -> str:
        """E.g. "DDN (100 steps)"."""
        return f"{self.title} ({self.steps} steps)"

    @staticmethod
    def objective(
        criterion: Criterion, logits: tf.Tensor, classes: tf.Tensor, state: Any
    ) -> tf.Tensor:
        """What the gradient is taken of: the criterion's loss, unless told otherwise.

        Args:
            criterion: what the attack looks for.
            logits: float32 (B, K).
            classes: int32 (B,).
            state: where the walk stands.

        Returns:
            float32 (B,).
        """
        return criterion.loss(logits, classes)

    @staticmethod
    @abstractmethod
    def advance(here: Visit, state: Any, scheduled: dict[str, Any]) -> Any:
        """One step.

        Args:
            here: what was seen where the walk stands.
            state: where it stands.
            scheduled: this visit's hyper-parameters, as `schedule` gives them.

        Returns:
            The new state. Its delta is brought within bounds afterwards.
        """

    @abstractmethod
    def schedule(self, visit: int) -> dict[str, Any]:
        """The hyper-parameters of a visit's step.

        Args:
            visit: from 0 to `visits` − 1.

        Returns:
            By name, float32 scalars as tensors. Python's numbers would be compiled into the
            program, and another number would compile it again.
        """

    def step(
        self, model: Classifier, block: Block, state: Any, best: Best, visit: int
    ) -> tuple[Any, Best]:
        """One visit: judges where the walk stands, keeps it if it is the smallest, goes on."""
        return compiled_visit(self, model, block, state, best, self.schedule(visit))


def visit(
    walk: type[Any],
    model: Model,
    criterion: Criterion,
    bounds: Bounds | None,
    images: tf.Tensor,
    classes: tf.Tensor,
    state: Any,
    best: Best,
    scheduled: dict[str, Any],
) -> tuple[Any, Best]:
    """One visit of a walk on gradients as a TensorFlow function.

    Args:
        walk: a class of attacks, whose `size`, `objective` and `advance` are taken: see
            `GradientWalk`.
        model: images (B, H, W, C) → logits (B, K).
        criterion: what the attack looks for.
        bounds: the lowest and the highest value of an attacked pixel; None for no bounds.
        images: float32 (B, H, W, C).
        classes: int32 (B,).
        state: where the walk stands.
        best: the smallest perturbation so far.
        scheduled: this visit's hyper-parameters, for `advance`.

    Returns:
        The new state, and the smallest perturbation so far, this visit's included.
    """
    value = tf.zeros_like(best.size)

    def objective(logits: tf.Tensor) -> tf.Tensor:
        nonlocal value
        value = walk.objective(criterion, logits, classes, state)
        return value

    logits, gradient = input_gradient(model, images + state.delta, objective)
    met = criterion.met(logits, classes)
    size = walk.size(state.delta)
    best = best.or_smaller(state.delta, tf.where(met, size, np.inf))
    here = Visit(images, bounds, value, gradient, met, size, best)
    state = walk.advance(here, state, scheduled)
    return state._replace(delta=clip(images, state.delta, bounds)), best


def one_program(
    taken: Callable[..., tuple[Any, Best]],
) -> Callable[[MinimumNormAttack, Classifier, Block, Any, Best, dict[str, Any]], tuple[Any, Best]]:
    """What takes a visit as one compiled program.

    Args:
        taken: `visit`, or what has its arguments.

    Returns:
        A function of an attack, whose class walks within its bounds; the model; the block of
        images; where the walk stands; the smallest perturbation so far; and this visit's
        hyper-parameters, for `advance`. It gives the new state, and the smallest perturbation so
        far, this visit's included.
    """
    # The class, the model and the criterion are arguments and no closures: TensorFlow then keeps
    # one program for each, whichever attack asks.
    program = compiled(taken)

    def call(
        attack: MinimumNormAttack,
        model: Classifier,
        block: Block,
        state: Any,
        best: Best,
        scheduled: dict[str, Any],
    ) -> tuple[Any, Best]:
        walk, images, classes = type(attack), block.images, block.classes
        return program(
            walk, model, block.criterion, attack.bounds, images, classes, state, best, scheduled
        )

    return call


compiled_visit = one_program(visit)


def cosine(first: float, last: float, position: float) -> tf.Tensor:
    """Half a cosine from `first` to `last`, while `position` goes from 0 to 1: a float32 scalar."""
    along = last + (first - last) * (1 + math.cos(math.pi * position)) / 2
    return tf.constant(along, tf.float32)
