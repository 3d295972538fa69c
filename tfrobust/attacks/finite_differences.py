"""Attacks that follow gradients, on models that give none: gradients by finite differences.

A model that only answers is asked at the image, and once more for each of a set of directions. The
differences of the logits are its slopes, and together they are the gradient within the space of
these directions. The directions are the lowest frequencies of a cosine transform: what moves a
network, a robust one above all, is mostly coarse, so that a few of them hold most of its gradient
(arXiv 1809.08758). With as many directions as an image has values it is the whole gradient.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfrobust.attacks.base import Attack, Block, at_least
from tfrobust.attacks.linearized_margin import LinearizedMargin
from tfrobust.core.bounds import Bounds
from tfrobust.core.classifier import Classifier
from tfrobust.errors import InputError

# Differences of colour have half the resolution that brightness has, as in JPEG files.
COARSER = 2.0


@dataclasses.dataclass(kw_only=True, eq=False)
class FiniteDifferences(Attack):
    """An attack that follows gradients, with gradients that are estimated from answers.

    Each gradient asks for one answer at the place itself and for one more in each direction. The
    points that are asked about may lie beyond the bounds by up to `delta`.

    Args:
        attack: what follows the gradients; its bounds and its batch size hold for the result too.
        directions: in which a gradient is measured: the lowest frequencies of the cosine
            transform, at most as many as an image has values.
        delta: how far along a direction the model is asked, an L2 norm for pixels from 0 to 1.
            Answers that are rounded, or that come from images of bytes, need more of it.

    Raises:
        InputError: an attack that follows no gradient, or a number outside its range.

    Source: zeroth-order gradients, Chen et al., arXiv 1708.03999; low frequencies, Guo et al.,
    arXiv 1809.08758. Their joining with a minimum-norm attack is ours.
    """

    needs_gradient = False

    bounds: Bounds | None = dataclasses.field(default=None, init=False)
    batch_size: int = dataclasses.field(default=50, init=False)
    attack: Attack = dataclasses.field(default_factory=LinearizedMargin)
    directions: int = 196
    delta: float = 0.01
    _known: tuple[Classifier, Classifier] | None = dataclasses.field(
        default=None, init=False, repr=False
    )

    def __post_init__(self) -> None:
        self.bounds, self.batch_size = self.attack.bounds, self.attack.batch_size
        super().__post_init__()
        if not self.attack.needs_gradient:
            raise InputError(f"expected an attack that follows gradients, got {self.attack.name}")
        at_least(1, directions=self.directions)
        if self.delta <= 0:
            raise InputError(f"expected a delta above 0, got {self.delta}")

    @property
    def name(self) -> str:
        """E.g. "linearized margin (24 steps, 4 rivals) by differences in 196 directions"."""
        return f"{self.attack.name} by differences in {self.directions} directions"

    @property
    def queries(self) -> int | None:
        """Those of the gradients, and the attack's own."""
        gradients, judgements = self.attack.gradients, self.attack.judgements
        if gradients is None or judgements is None:
            return None
        return gradients * (self.directions + 1) + judgements

    def _run(self, model: Classifier, block: Block) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        # Each new model is compiled anew, so it is made once.
        if self._known is None or self._known[0] is not model:
            self._known = model, with_gradient(model, self.directions, self.delta)
        return self.attack._run(self._known[1], block)


def with_gradient(model: Classifier, directions: int, delta: float) -> Classifier:
    """The same model with a gradient, for which it is asked for answers.

    Args:
        model: images (B, H, W, C) → logits (B, K).
        directions: how many.
        delta: how far along a direction the model is asked, an L2 norm.
    """

    @tf.custom_gradient
    def logits_of(images: tf.Tensor) -> tuple[tf.Tensor, Callable[..., Any]]:
        logits = model(images)

        def gradient(upstream: tf.Tensor, variables: Any = ()) -> Any:
            found = _gradient(model, images, logits, upstream, directions, delta)
            return (found, [None] * len(variables)) if variables else found

        return logits, gradient

    estimated = Classifier(
        logits_of,
        name=model.name,
        input_shape=model.input_shape,
        num_classes=model.num_classes,
        input_range=model.input_range,
    )
    estimated.compiles = model.compiles
    return estimated


def cosines(size: int) -> np.ndarray:
    """The orthonormal cosine transform (DCT-II).

    Args:
        size: of what is transformed, n.

    Returns:
        float32 (n, n). Its rows are the frequencies, the lowest first, at right angles and of
        length 1.
    """
    places, numbers = np.arange(size) + 0.5, np.arange(size)[:, None]
    rows = np.cos(math.pi * numbers * places / size) * math.sqrt(2 / size)
    rows[0] /= math.sqrt(2)
    return rows.astype(np.float32)


def lowest(shape: tuple[int, int, int], count: int) -> np.ndarray:
    """The lowest frequencies of images of a shape.

    Args:
        shape: (H, W, C).
        count: how many, at most H·W·C.

    Returns:
        int32 (count, 3): along rows, along columns, and across channels.
    """
    height, width, channels = shape
    rows, columns, colours = np.meshgrid(*map(np.arange, shape), indexing="ij")
    frequency = np.hypot(rows / height, columns / width) * np.where(colours, COARSER, 1.0)
    # Even the coarsest difference of colours comes after the mean brightness.
    frequency = frequency + 1e-6 * colours
    order = np.argsort(frequency, axis=None, kind="stable")[:count]
    return np.stack(np.unravel_index(order, (height, width, channels)), axis=1).astype(np.int32)


def _gradient(
    model: Classifier,
    images: tf.Tensor,
    logits: tf.Tensor,
    upstream: tf.Tensor,
    directions: int,
    delta: float,
) -> tf.Tensor:
    """The gradient of logits·upstream (B, H, W, C) within the space of low frequencies."""
    shape = tuple(images.shape[1:])
    rows, columns, colours = bases = [tf.constant(cosines(size)) for size in shape]
    numbers = tf.constant(lowest(shape, directions))

    def slope(number: tf.Tensor) -> tf.Tensor:
        row, column, colour = tf.unstack(number)
        direction = rows[row][:, None, None] * columns[column][:, None] * colours[colour]
        moved = model(images + delta * direction)
        return tf.reduce_sum((moved - logits) * upstream, axis=-1)

    slopes = tf.map_fn(slope, numbers, fn_output_signature=tf.float32) / delta
    spectrum = tf.scatter_nd(numbers, slopes, (*shape, tf.shape(images)[0]))
    return tf.einsum("rkcb,rh,kw,cd->bhwd", spectrum, *bases)
