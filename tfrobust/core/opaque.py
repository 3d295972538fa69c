"""Models that TensorFlow cannot look into, and programs that take them as well as others."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfrobust.errors import InputError

# Anything that maps float images (B, H, W, C) in [0, 1] to logits (B, K), differentiably.
Model = Callable[[tf.Tensor], tf.Tensor]


class Opaque:
    """A model of which only the answers can be had: an ONNX file, a service, a Python function.

    Args:
        function: NumPy images float32 (B, H, W, C) in [0, 1] → logits (B, K), or probabilities,
            of which the logarithm is taken.
        input_shape: (None, H, W, C), as Keras models tell it.
        num_classes: K.
        name: what reports call it.

    Attributes:
        input_shape: (None, H, W, C).
        output_shape: (None, K).
        name: as given.
    """

    def __init__(
        self,
        function: Callable[[np.ndarray], Any],
        *,
        input_shape: tuple[int | None, ...],
        num_classes: int,
        name: str = "function",
    ) -> None:
        self._function = function
        self.input_shape, self.output_shape = tuple(input_shape), (None, num_classes)
        self.name = name

    def __call__(self, images: Any, training: bool = False) -> tf.Tensor:
        """Gives logits, without a gradient: (B, H, W, C) → (B, K)."""
        logits = tf.numpy_function(self._ask, [tf.cast(images, tf.float32)], tf.float32)
        return tf.ensure_shape(logits, (images.shape[0], self.output_shape[1]))

    def _ask(self, images: np.ndarray) -> np.ndarray:
        logits = np.asarray(self._function(images), np.float32)
        expected = (len(images), self.output_shape[1])
        if logits.shape != expected:
            raise InputError(
                f"expected {self.name} to give logits of shape {expected}, got {logits.shape}"
            )
        if logits.size and logits.min() >= 0 and np.allclose(logits.sum(axis=1), 1, atol=1e-3):
            return np.log(np.maximum(logits, np.finfo(np.float32).tiny))
        return logits


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of a model and more as a TensorFlow program; by XLA, unless it is opaque."""
    by_xla, plain = tf.function(function, jit_compile=True), tf.function(function)

    @functools.wraps(function)
    def call(model: Model, *rest: Any) -> Any:
        return (plain if isinstance(model, Opaque) else by_xla)(model, *rest)

    return call


@compiled
def answers(model: Model, images: tf.Tensor) -> tf.Tensor:
    """Logits: (B, K)."""
    return model(images)
