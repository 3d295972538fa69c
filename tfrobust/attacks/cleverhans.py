"""CleverHans 4.0.0 behind our attacks: adapters, and repairs for Keras 3 and for batches.

CleverHans knows two goals, to leave a class and to reach one, takes one size for a whole batch,
and compiles a program for each attack and each model object. The adapters here show it models of
two classes, whose answer is whether any criterion is met, and keep what changes from block to
block in variables.
"""

import dataclasses
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from cleverhans.tf2.attacks.spsa import SPSAAdam

from tfrobust.attacks.base import Block
from tfrobust.attacks.fixed_size import NORMS, FixedSizeAttack
from tfrobust.core.classifier import Classifier, compiled
from tfrobust.core.criterion import Criterion
from tfrobust.core.distances import clip, per_image
from tfrobust.core.gradients import input_gradient
from tfrobust.errors import InputError


class MarginModel:
    """A model with two logits, the criterion's margin and 0: class 1 where the criterion is met.

    Args:
        model: images (B, H, W, C) → logits (B, K).
        criterion: what is to be met.
        count: B.

    Attributes:
        classes: a variable int32 (B,), to be set for each block.
    """

    def __init__(self, model: Classifier, criterion: Criterion, count: int) -> None:
        self.model, self.criterion = model, criterion
        self.classes = tf.Variable(tf.zeros([count], tf.int32), trainable=False)

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Gives float32 (B, 2) for images (B, H, W, C)."""
        return _margin_and_zero(self.model, self.criterion, images, self.classes)


@compiled
def _margin_and_zero(
    model: Classifier, criterion: Criterion, images: tf.Tensor, classes: tf.Tensor
) -> tf.Tensor:
    margin = criterion.margin(model(images), classes)
    return tf.stack([margin, tf.zeros_like(margin)], axis=-1)


class UnitBalls:
    """A model of offsets in balls of radius 1, with two logits: any criterion is to leave class 0.

    CleverHans climbs the cross-entropy of class 0. Its gradient is here that of the criterion's
    loss. Each image's ball is stretched to a radius of its own.

    Args:
        model: images (B, H, W, C) → logits (B, K).
        criterion: what is to be met.
        shape: (B, H, W, C).

    Attributes:
        images: a variable float32 (B, H, W, C), the balls' centres.
        classes: a variable int32 (B,).
        radius: a variable float32 (B,).
        logits: the model, offsets (B, H, W, C) → (B, 2). It is bound once, because CleverHans
            tells functions apart by identity.
    """

    def __init__(self, model: Classifier, criterion: Criterion, shape: tuple[int, ...]) -> None:
        self.model, self.criterion = model, criterion
        self.images = tf.Variable(tf.zeros(shape), trainable=False)
        self.classes = tf.Variable(tf.zeros(shape[:1], tf.int32), trainable=False)
        self.radius = tf.Variable(tf.ones(shape[:1]), trainable=False)
        self.logits = self._logits

    def fits(self, model: Classifier, criterion: Criterion, shape: tuple[int, ...]) -> bool:
        """Whether it was made of these."""
        return (self.model, self.criterion, self.images.shape) == (model, criterion, shape)

    def _logits(self, offset: tf.Tensor) -> tf.Tensor:
        """Both logits are 0. The first falls as the criterion's loss rises."""

        @tf.custom_gradient
        def falling(offset: tf.Tensor) -> tuple[tf.Tensor, Callable[..., Any]]:
            slope = _slope(
                self.model, self.criterion, self.images, self.classes, self.radius, offset
            )

            def gradient(upstream: tf.Tensor, variables: Any = ()) -> Any:
                found = -per_image(upstream) * slope
                return (found, [None] * len(variables)) if variables else found

            return tf.zeros_like(offset[:, 0, 0, 0]), gradient

        first = falling(offset)
        return tf.stack([first, tf.zeros_like(first)], axis=-1)


# One program computes the loss and its gradient. Taken by CleverHans' own tape they were two, which
# hand each other all that is in between.
@compiled
def _slope(
    model: Classifier,
    criterion: Criterion,
    images: tf.Tensor,
    classes: tf.Tensor,
    radius: tf.Tensor,
    offset: tf.Tensor,
) -> tf.Tensor:
    """Twice the gradient of the criterion's loss.

    Half of it is what the cross-entropy of class 0 has, where both logits are 0. It is that of the
    pixels, and not of offsets, which CleverHans takes for 0 when it is tiny.
    """
    moved = images + per_image(radius) * offset
    _, gradient = input_gradient(model, moved, lambda logits: criterion.loss(logits, classes))
    return 2.0 * gradient


@dataclasses.dataclass(kw_only=True, eq=False)
class UnitBallAttack(FixedSizeAttack):
    """A gradient attack of CleverHans in balls of radius 1, whose bounds are stretched likewise.

    Args:
        step_size: a step's length as a share of the radius, above 0 and at most 1; None for
            2.5/steps, as Madry et al. take it.

    The others are those of `FixedSizeAttack`.
    """

    step_size: float | None = None
    _balls: UnitBalls | None = dataclasses.field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.step_size is not None and self.step_size <= 0:
            raise InputError(f"expected a step_size above 0, got {self.step_size}")

    @property
    def name(self) -> str:
        """E.g. "CleverHans PGD-L2 (10 steps × 9 sizes)"."""
        steps = "1 step" if self.steps == 1 else f"{self.steps} steps"
        kind = f"{type(self).__name__}-{NORMS[self.norm]}"
        return f"CleverHans {kind} ({steps} × {self.rounds} sizes)"

    @abstractmethod
    def _offsets(self, share: float, **common: Any) -> tf.Tensor:
        """CleverHans' attack in balls of radius 1.

        Args:
            share: the step's length.
            **common: what all of CleverHans' attacks take.

        Returns:
            Offsets float32 (B, H, W, C).
        """

    def _perturbations(self, model: Classifier, block: Block, sizes: np.ndarray) -> tf.Tensor:
        images = block.images
        balls = self._balls
        if balls is None or not balls.fits(model, block.criterion, tuple(images.shape)):
            balls = self._balls = UnitBalls(model, block.criterion, tuple(images.shape))
        # A size in L2 is RMSE.
        unit = 1.0 if self.norm == np.inf else float(np.sqrt(np.prod(images.shape[1:])))
        radius = tf.constant(sizes * unit, tf.float32)
        balls.images.assign(images)
        balls.classes.assign(block.classes)
        balls.radius.assign(radius)
        clipped = {}
        if self.bounds is not None:
            clipped = {
                "clip_min": (self.bounds[0] - images) / per_image(radius),
                "clip_max": (self.bounds[1] - images) / per_image(radius),
            }
        offset = self._offsets(
            min(1.0, 2.5 / self.steps if self.step_size is None else self.step_size),
            model_fn=balls.logits,
            x=tf.zeros_like(images),
            y=tf.zeros_like(block.classes),
            norm=self.norm,
            sanity_checks=False,
            **clipped,
        )
        return clip(images, per_image(radius) * offset, self.bounds)


class Constants:
    """A constant for each image of a Carlini-Wagner attack, c in the paper.

    CleverHans multiplies its constant with ones of the images' shape, where it means one for each
    image: batches would fail, or be attacked wrongly without a word.

    Args:
        values: float (B,).
    """

    def __init__(self, values: np.ndarray) -> None:
        self._values = tf.constant(values, tf.float32)

    def __rmul__(self, ones: tf.Tensor) -> tf.Tensor:
        return self._values


class ResetAdam:
    """Keras 3's Adam by the names that CleverHans' Carlini-Wagner attack calls.

    Keras 3 has no `variables()`, and among its variables, which CleverHans sets to zero before it
    begins, is the learning rate. A new Adam has no state, and no ties to a former variable.

    Args:
        rate: the learning rate.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._adam = keras.optimizers.Adam(rate)

    def variables(self) -> list[tf.Variable]:
        """Forgets its state; CleverHans has nothing left to set to zero."""
        self._adam = keras.optimizers.Adam(self._rate)
        return []

    def apply_gradients(self, pairs: list[tuple[tf.Tensor, tf.Variable]]) -> None:
        """Steps down the gradients of (gradient, variable)."""
        self._adam.apply_gradients(pairs)


class SeededSPSA(SPSAAdam):
    """CleverHans' optimizer of SPSA for Keras 3, with draws that depend on a seed and the step.

    CleverHans' own constructor hands Keras' Adam an `lr`, which it no longer takes, and its draws
    come from TensorFlow's global generator.

    Args:
        rate: float32 scalar, Adam's learning rate.
        delta: how far from where the walk stands the model is asked.
        samples: how often it is asked at each step, even.
        radius: float32 scalar, the L∞ ball's, in which the walk begins at random.
        seed: int32 (2,).
    """

    def __init__(
        self, rate: tf.Tensor, delta: float, samples: int, radius: tf.Tensor, seed: tf.Tensor
    ) -> None:
        # Keras' own part, its variables included, is not used.
        self.__dict__.update(
            lr=rate, _delta=delta, _num_samples=samples // 2, _num_iters=1,
            beta_1=0.9, beta_2=0.999, epsilon=1e-7, _compare_to_analytic_grad=False,
            _radius=radius, _seed=seed,
        )  # fmt: skip

    def minimize(self, loss_fn, x, optim_state):  # type: ignore[no-untyped-def]
        """One step, as CleverHans calls it."""
        # Step 0 begins at a point drawn by CleverHans. Ours is put in its place.
        step = tf.cast(optim_state["t"], tf.int32)
        start = tf.random.stateless_uniform(tf.shape(x[0]), self._seed, -1.0, 1.0) * self._radius
        x = [tf.where(step == 0, start, x[0])]
        self.__dict__["_step_seed"] = tf.random.experimental.stateless_fold_in(self._seed, step)
        return super().minimize(loss_fn, x, optim_state)

    def _get_delta(self, x: tf.Tensor, delta: float) -> tf.Tensor:
        shape = [self._num_samples, *x.shape[1:]]
        return delta * tf.sign(tf.random.stateless_uniform(shape, self._step_seed, -1.0, 1.0))
