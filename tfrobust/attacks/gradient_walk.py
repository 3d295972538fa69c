"""Minimum-norm attacks that take one gradient at each visit, as one compiled program."""

import dataclasses
import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, TypeAlias

import numpy as np
import tensorflow as tf

from tfrobust.attacks.base import Block
from tfrobust.attacks.minimum_norm import Best, MinimumNormAttack
from tfrobust.core.bounds import Bounds
from tfrobust.core.classifier import Classifier, Model, compiled
from tfrobust.core.criterion import Criterion
from tfrobust.core.distances import clip
from tfrobust.core.gradients import input_gradient

# How many visits are made at a time.
ON_CPU, ON_GPU = 4, 1000

# (attack, model, block, state, best, hyper-parameters) → (state, best): see `in_turn`.
Program: TypeAlias = Callable[..., tuple[Any, Best]]


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

    A visit is one compiled program, and TensorFlow goes from visit to visit without Python. It is
    compiled once for each class of attacks, model, criterion and shape, and serves attacks with
    all hyper-parameters: `advance` gets these from `schedule`. The state is a named tuple of
    tensors, and its field `delta`, float32 (B, H, W, C), is where the walk stands.

    Its arguments are those of `MinimumNormAttack`.

    Attributes:
        title: what reports call it, before its number of steps.
        program: the visits, as `in_turn` makes them of one.
    """

    title: ClassVar[str]
    program: ClassVar[Program]

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
    def schedule(self, visit: int, state: Any) -> dict[str, float]:
        """The hyper-parameters of a visit's step.

        Args:
            visit: from 0 to `visits` − 1.
            state: where the walk stood some visits before, for its shapes.

        Returns:
            By name, the same names for all visits. `advance` gets them as float32 scalars, or a
            program would be compiled for each number.
        """

    def step(
        self, model: Classifier, block: Block, state: Any, best: Best, visit: int
    ) -> tuple[Any, Best]:
        """One visit: judges where the walk stands, keeps it if it is the smallest, goes on."""
        return self.walk(model, block, state, best, range(visit, visit + 1))

    def walk(
        self, model: Classifier, block: Block, state: Any, best: Best, visits: range
    ) -> tuple[Any, Best]:
        """Some visits, which TensorFlow makes without Python in between."""
        at_a_time = visits_at_a_time()
        for first in range(visits.start, visits.stop, at_a_time):
            numbers = range(first, min(first + at_a_time, visits.stop))
            each = [self.schedule(visit, state) for visit in numbers]
            scheduled = {
                name: tf.constant([one[name] for one in each], tf.float32) for name in each[0]
            }
            state, best = self.program(model, block, state, best, scheduled)
        return state, best


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


def in_turn(taken: Callable[..., tuple[Any, Best]]) -> Program:
    """What takes some visits, one after the other, each as one compiled program.

    Args:
        taken: `visit`, or what has its arguments.

    Returns:
        A function of an attack, whose class walks within its bounds; the model; the block of
        images; where the walk stands; the smallest perturbation so far; and the visits'
        hyper-parameters, each (visits,). It gives the new state, and the smallest perturbation so
        far, these visits' included.
    """

    def several(one: Callable[..., tuple[Any, Best]]) -> Callable[..., tuple[Any, Best]]:
        def visits(*arguments: Any) -> tuple[Any, Best]:
            *always, state, best, scheduled = arguments
            count = len(next(iter(scheduled.values())))

            def following(number: tf.Tensor, state: Any, best: Best) -> tuple[Any, ...]:
                here = {name: values[number] for name, values in scheduled.items()}
                moved = one(*always, state, best, here)
                # What only Python can compute comes back without its shape.
                shaped = tf.nest.map_structure(
                    lambda new, old: tf.ensure_shape(new, old.shape), moved, (state, best)
                )
                return number + 1, *shaped

            begun = tf.constant(0), state, best
            return tf.while_loop(lambda number, *_: number < count, following, begun)[1:]

        return visits

    # The class, the model and the criterion are arguments and no closures: TensorFlow then keeps
    # one program for each, whichever attack asks.
    program = compiled(taken, within=several)

    def call(
        attack: GradientWalk,
        model: Classifier,
        block: Block,
        state: Any,
        best: Best,
        scheduled: dict[str, tf.Tensor],
    ) -> tuple[Any, Best]:
        walk, images, classes = type(attack), block.images, block.classes
        return program(
            walk, model, block.criterion, attack.bounds, images, classes, state, best, scheduled
        )

    return call


GradientWalk.program = in_turn(visit)


def visits_at_a_time() -> int:
    """How many visits are made before Python goes on: an interrupt waits for them.

    On a GPU, which would wait for Python, that is all of them.
    """
    return ON_GPU if tf.config.list_logical_devices("GPU") else ON_CPU


def cosine(first: float, last: float, position: float) -> float:
    """Half a cosine from `first` to `last`, while `position` goes from 0 to 1."""
    return last + (first - last) * (1 + math.cos(math.pi * position)) / 2
