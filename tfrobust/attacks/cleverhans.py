"""CleverHans' gradient attacks of a fixed size: FGM, PGD and MIM, in L2 and L∞ balls.

CleverHans takes one size for a batch. It is given balls of radius 1 and a model that stretches
them to each image's own size, with the bounds stretched likewise: the same attack.
"""

from abc import abstractmethod
from typing import Any

import numpy as np
import tensorflow as tf
from cleverhans.tf2.attacks.fast_gradient_method import fast_gradient_method
from cleverhans.tf2.attacks.momentum_iterative_method import momentum_iterative_method
from cleverhans.tf2.attacks.projected_gradient_descent import projected_gradient_descent

from tfrobust.attacks.base import Block
from tfrobust.attacks.fixed_size import NORMS, Bisection
from tfrobust.core.criteria import Criterion
from tfrobust.core.distances import Bounds, clip, per_image
from tfrobust.core.opaque import Model
from tfrobust.errors import InputError


@tf.function(jit_compile=True)
def _rising(
    model: Model,
    criterion: Criterion,
    images: tf.Tensor,
    classes: tf.Tensor,
    radius: tf.Tensor,
    offset: tf.Tensor,
) -> tf.Tensor:
    loss = criterion.loss(model(images + per_image(radius) * offset), classes)
    # Of value 0; half of this gradient is what the cross-entropy of class 0 then has. Divided by
    # the radius it is that of the pixels, which CleverHans takes for 0 when it is tiny.
    rise = 2.0 / radius * (loss - tf.stop_gradient(loss))
    return tf.stack([-rise, tf.zeros_like(rise)], axis=-1)


class _UnitBalls:
    """A model of offsets in the unit ball, with two logits: any goal is to leave class 0.

    The gradient of the cross-entropy of class 0, which CleverHans climbs, is that of the goal's
    loss. What changes from block to block is in variables, because CleverHans compiles anew for
    each model object.
    """

    def __init__(self, model: Model, criterion: Criterion, shape: tuple[int, ...]) -> None:
        self.model, self.criterion = model, criterion
        self.images = tf.Variable(tf.zeros(shape), trainable=False)
        self.classes = tf.Variable(tf.zeros(shape[:1], tf.int32), trainable=False)
        self.radius = tf.Variable(tf.ones(shape[:1]), trainable=False)
        # Bound once: CleverHans tells functions apart by identity.
        self.logits = self._logits

    def fits(self, model: Model, criterion: Criterion, shape: tuple[int, ...]) -> bool:
        return (self.model, self.criterion, self.images.shape) == (model, criterion, shape)

    def _logits(self, offset: tf.Tensor) -> tf.Tensor:
        return _rising(self.model, self.criterion, self.images, self.classes, self.radius, offset)


class _CleverHans(Bisection):
    """An attack of CleverHans in unit balls."""

    _balls: _UnitBalls | None = None

    @abstractmethod
    def _offsets(self, **common: Any) -> tf.Tensor:
        """CleverHans' attack with eps=1: → offsets (B, H, W, C)."""

    def _perturbations(self, model: Model, block: Block, sizes: np.ndarray) -> tf.Tensor:
        images = block.images
        balls = self._balls
        if balls is None or not balls.fits(model, block.criterion, tuple(images.shape)):
            balls = self._balls = _UnitBalls(model, block.criterion, tuple(images.shape))
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
            model_fn=balls.logits,
            x=tf.zeros_like(images),
            y=tf.zeros_like(block.classes),
            eps=1.0,
            norm=self.norm,
            sanity_checks=False,
            **clipped,
        )
        return clip(images, per_image(radius) * offset, self.bounds)

    def _told(self, short: str) -> str:
        steps = "1 step" if self.steps == 1 else f"{self.steps} steps"
        return f"CleverHans {short}-{NORMS[self.norm]} ({steps} × {self.rounds} sizes)"


def _share(step_size: float | None, usual: float) -> float:
    """A step as a share of the ball's radius, at most 1.

    Raises:
        InputError: it is not above 0.
    """
    if step_size is not None and step_size <= 0:
        raise InputError(f"expected a step_size above 0, got {step_size}")
    return min(1.0, usual if step_size is None else step_size)


class FGM(_CleverHans):
    """CleverHans' fast gradient method: one step along the gradient, its size bisected per image.

    Args:
        rounds: sizes tried.
        norm: 2 or `numpy.inf` (FGSM).
        line_steps: forward passes of a last bisection, between the clean image and the best.
        bounds: the lowest and highest value of an attacked pixel, as (0, 1); None for no bounds.
        batch_size: images computed at a time.

    Source: arXiv 1412.6572, as implemented by CleverHans.
    """

    def __init__(
        self,
        *,
        rounds: int = 9,
        norm: Any = np.inf,
        line_steps: int = 8,
        bounds: Bounds | None = None,
        batch_size: int = 50,
    ) -> None:
        super().__init__(
            steps=1,
            rounds=rounds,
            norm=norm,
            line_steps=line_steps,
            bounds=bounds,
            batch_size=batch_size,
        )

    @property
    def name(self) -> str:
        """E.g. "CleverHans FGM-L∞ (1 step × 9 sizes)"."""
        return self._told("FGM")

    def _offsets(self, **common: Any) -> tf.Tensor:
        return fast_gradient_method(**common)


class PGD(_CleverHans):
    """CleverHans' projected gradient descent, in balls whose size is bisected per image.

    It begins at the clean image.

    Args:
        steps: of each attack.
        rounds: sizes tried.
        norm: 2 or `numpy.inf`.
        step_size: as a share of the radius; None for 2.5/steps (Madry et al.).
        line_steps: forward passes of a last bisection, between the clean image and the best.
        bounds: the lowest and highest value of an attacked pixel, as (0, 1); None for no bounds.
        batch_size: images computed at a time.

    Source: arXiv 1706.06083, as implemented by CleverHans.
    """

    def __init__(
        self,
        *,
        steps: int = 10,
        rounds: int = 9,
        norm: Any = 2,
        step_size: float | None = None,
        line_steps: int = 8,
        bounds: Bounds | None = None,
        batch_size: int = 50,
    ) -> None:
        super().__init__(
            steps=steps,
            rounds=rounds,
            norm=norm,
            line_steps=line_steps,
            bounds=bounds,
            batch_size=batch_size,
        )
        self.step_size = _share(step_size, 2.5 / steps)

    @property
    def name(self) -> str:
        """E.g. "CleverHans PGD-L2 (10 steps × 9 sizes)"."""
        return self._told("PGD")

    def _offsets(self, **common: Any) -> tf.Tensor:
        return projected_gradient_descent(eps_iter=self.step_size, nb_iter=self.steps, **common)


class MIM(_CleverHans):
    """CleverHans' momentum iterative method, in balls whose size is bisected per image.

    Args:
        steps: of each attack.
        rounds: sizes tried.
        norm: `numpy.inf` or 2.
        decay: μ, how much of the gradients so far, each of mean 1, is kept; not below 0.
        step_size: as a share of the radius; None for 2.5/steps, as PGD's; the paper's 1/steps
            hardly ever leads to the ball's surface.
        line_steps: forward passes of a last bisection, between the clean image and the best.
        bounds: the lowest and highest value of an attacked pixel, as (0, 1); None for no bounds.
        batch_size: images computed at a time.

    Source: arXiv 1710.06081, as implemented by CleverHans.
    """

    def __init__(
        self,
        *,
        steps: int = 10,
        rounds: int = 9,
        norm: Any = np.inf,
        decay: float = 1.0,
        step_size: float | None = None,
        line_steps: int = 8,
        bounds: Bounds | None = None,
        batch_size: int = 50,
    ) -> None:
        super().__init__(
            steps=steps,
            rounds=rounds,
            norm=norm,
            line_steps=line_steps,
            bounds=bounds,
            batch_size=batch_size,
        )
        if decay < 0:
            raise InputError(f"expected a decay not below 0, got {decay}")
        self.decay, self.step_size = decay, _share(step_size, 2.5 / steps)

    @property
    def name(self) -> str:
        """E.g. "CleverHans MIM-L∞ (10 steps × 9 sizes)"."""
        return self._told("MIM")

    def _offsets(self, **common: Any) -> tf.Tensor:
        return momentum_iterative_method(
            eps_iter=self.step_size, nb_iter=self.steps, decay_factor=self.decay, **common
        )
