"""Networks of which only the answers can be had."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfrobust.core.classifier import Classifier
from tfrobust.core.config import config_of
from tfrobust.core.logit_checks import are_probabilities
from tfrobust.errors import InputError


class Opaque(Classifier):
    """An ONNX file, a service, a NumPy function: it answers, and gives no gradient.

    Args:
        function: NumPy images float32 (B, H, W, C) in [0, 1] → logits (B, K), or probabilities,
            of which the logarithm is taken.
        input_shape: (None, H, W, C); None where the function takes images of any size.
        num_classes: K; None to find it when the function is first asked.
        name: what reports call it.
    """

    def __init__(
        self,
        function: Callable[[np.ndarray], Any],
        *,
        input_shape: tuple[int | None, ...] | None = None,
        num_classes: int | None = None,
        name: str = "function",
    ) -> None:
        super().__init__(
            self._answer,
            name=name,
            input_shape=None if input_shape is None else tuple(input_shape),
            num_classes=num_classes,
            has_gradient=False,
        )
        self._function = function

    def config(self) -> dict[str, Any]:
        """What it is, in JSON types: see `Configured.config`."""
        return {"class": "Opaque", "name": self.name, "function": config_of(self._function)}

    def _answer(self, images: tf.Tensor) -> tf.Tensor:
        if tf.executing_eagerly():  # what the function raises stays what it is
            return tf.constant(self._call(images.numpy()))
        logits = tf.numpy_function(self._call, [images], tf.float32)
        return tf.ensure_shape(logits, (images.shape[0], self.num_classes))

    def _call(self, images: np.ndarray) -> np.ndarray:
        logits = np.asarray(self._function(images), np.float32)
        count = len(images)
        known = self.num_classes is not None
        if (
            logits.ndim != 2
            or len(logits) != count
            or (known and logits.shape[1] != self.num_classes)
        ):
            expected = (count, self.num_classes if known else "K")
            raise InputError(
                f"expected {self.name} to give logits of shape {expected}, got {logits.shape}"
            )
        if are_probabilities(logits):
            return np.log(np.maximum(logits, np.finfo(np.float32).tiny))
        return logits
