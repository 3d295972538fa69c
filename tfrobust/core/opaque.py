"""Networks of which only the answers can be had."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfrobust.core import outputs
from tfrobust.core.classifier import Classifier
from tfrobust.core.config import config_of
from tfrobust.core.function_logits import FunctionLogits
from tfrobust.core.input_range import Range
from tfrobust.core.outputs import Output, Thresholds
from tfrobust.errors import InputError


class Opaque(Classifier):
    """An ONNX file, a service, a NumPy function: it answers, and gives no gradient.

    Args:
        function: NumPy images float32 (B, H, W, C) → outputs (B, K): logits, or probabilities, of
            which the logarithm is taken. They are judged by the first ones.
        input_shape: (None, H, W, C); None where the function takes images of any size.
        num_classes: K; None to find it when the function is first asked.
        name: what reports call it.
        input_range: the lowest and the highest pixel that the function takes; None for (0, 1).
        output: what its outputs are; None to judge them.
        thresholds: for labels that may hold together, the confidence above which each holds; None
            for classes that exclude one another.
    """

    def __init__(
        self,
        function: Callable[[np.ndarray], Any],
        *,
        input_shape: tuple[int | None, ...] | None = None,
        num_classes: int | None = None,
        name: str = "function",
        input_range: Range | None = None,
        output: Output | None = None,
        thresholds: Thresholds | None = None,
    ) -> None:
        answers = FunctionLogits(_Answers(function, num_classes, name), name, judged)
        super().__init__(
            answers.told(input_range, output, "all" if thresholds else None, thresholds),
            name=name,
            input_shape=None if input_shape is None else tuple(input_shape),
            num_classes=2 if num_classes == 1 else num_classes,
            has_gradient=False,
            input_range=input_range,
        )


class _Answers:
    """A NumPy function as a TensorFlow function without a gradient."""

    def __init__(self, function: Callable[[np.ndarray], Any], count: int | None, name: str) -> None:
        self._function, self._count, self._name = function, count, name

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        if not tf.is_symbolic_tensor(images):  # what the function raises stays what it is
            return tf.constant(self._answer(np.asarray(images)))
        values = tf.numpy_function(self._answer, [images], tf.float32)
        return tf.ensure_shape(values, (images.shape[0], self._count))

    def config(self) -> dict[str, Any]:
        """What it is, in JSON types: see `Configured.config`."""
        return {"name": self._name, "function": config_of(self._function)}

    def _answer(self, images: np.ndarray) -> np.ndarray:
        values = np.asarray(self._function(images), np.float32)
        if (
            values.ndim != 2
            or len(values) != len(images)
            or self._count
            not in (
                None,
                values.shape[1],
            )
        ):
            expected = (len(images), "K" if self._count is None else self._count)
            raise InputError(
                f"expected {self._name} to give logits of shape {expected}, got {values.shape}"
            )
        self._count = values.shape[1]
        return values


def judged(values: np.ndarray, label: outputs.Label, name: str) -> str:
    """As `outputs.judged`, but rows of sum 1 are taken for probabilities."""
    if label is None and values.shape[1] > 1 and outputs.are_probabilities(values):
        return "softmax"
    return outputs.judged(values, label, name)
