"""The logits of a function whose outputs may be logits, probabilities or one of several labels."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfrobust.core import outputs
from tfrobust.core.config import config_of
from tfrobust.core.endings import ending
from tfrobust.core.input_range import Range, in_range
from tfrobust.errors import InputError


class FunctionLogits:
    """A function of images in its own range, as one of pixels from 0 to 1 that gives logits.

    What the outputs are is said, or read from the function's last operation, or judged when the
    first ones are seen.

    Args:
        function: float32 images (B, H, W, C) → outputs (B, K), a tensor of any float type.
        name: what errors call it.
        judge: says what outputs (N, K) are that nothing else is known of, as `outputs.judged`.

    Attributes:
        input_range: the lowest and the highest pixel that the function takes; None for (0, 1).
        output: what somebody says that its outputs are, one of `outputs.OUTPUTS`; else None.
        label: which output becomes two classes; None, or "all" where labels may hold together.
        thresholds: of such labels, the confidence above which each holds; None if nobody says it.
        single: whether one output becomes two classes, as far as it was asked.
    """

    def __init__(
        self,
        function: Callable[[tf.Tensor], Any],
        name: str,
        judge: Callable[[np.ndarray, outputs.Label, str], str] = outputs.judged,
    ) -> None:
        self.function, self.name, self._judge = function, name, judge
        self.input_range: Range | None = None
        self.output: str | None = None
        self.label: outputs.Label = None
        self.thresholds: outputs.Thresholds | None = None
        self.single = False
        self._found: str | None = None  # what the outputs are, once the first ones were seen

    def told(
        self,
        input_range: Range | None,
        output: str | None,
        label: outputs.Label,
        thresholds: outputs.Thresholds | None = None,
    ) -> "FunctionLogits":
        """The same function, with what somebody says of it; None leaves things as they are.

        Raises:
            InputError: something else was said already.
        """
        told = copy.copy(self)
        told._found = None
        for word, value in (("input_range", input_range), ("output", output), ("label", label)):
            known = getattr(self, word)
            # "all" leaves open which of them is asked about.
            if value is not None and known not in (None, value, "all"):
                raise InputError(
                    f"expected {word}={known!r}, which is known of {self.name} already, got "
                    f"{value!r}"
                )
            setattr(told, word, known if value is None else value)
        told.thresholds = self.thresholds if thresholds is None else thresholds
        return told

    def __call__(self, images: tf.Tensor) -> Any:
        """The logits of images (B, H, W, C); what is no (B, K) at all is given as it is."""
        values = self._values(images)
        if len(getattr(values, "shape", ())) != 2 or not all(values.shape[1:]):
            return values
        output = self._found or self.output
        if tf.is_symbolic_tensor(values):  # a graph, in which there are no values to judge by
            output = output or self._read(images, values.shape[1])
        elif self._found is None:
            output = self._found = self._seen(images, np.asarray(values, np.float32))
        self.single = values.shape[1] == 1 or isinstance(self.label, int)
        return outputs.as_logits(values, output, self.label, self.thresholds)

    def config(self) -> dict[str, Any]:
        """What it is, in JSON types: see `Configured.config`."""
        said: dict[str, Any] = {
            "input_range": self.input_range,
            "output": self.output,
            "label": self.label,
        }
        if self.thresholds is not None:
            said["thresholds"] = list(self.thresholds)
        return {"function": config_of(self.function), **said}

    def _values(self, images: tf.Tensor) -> Any:
        return self.function(in_range(images, self.input_range) if self.input_range else images)

    def _read(self, images: tf.Tensor, count: int) -> str | None:
        last = ending(self._values, images.shape)
        return outputs.resolved(last, self.output, self.label, count, self.name)

    def _seen(self, images: tf.Tensor, values: np.ndarray) -> str:
        """What the outputs are, when the first ones are seen."""
        if self.output or outputs.may_be_shares(values):
            output = self._read(images, values.shape[1])
        else:
            output = outputs.resolved("linear", None, self.label, values.shape[1], self.name)
        output = output or self._judge(values, self.label, self.name)
        outputs.check_values(values, output, self.name)
        return output
