"""A network as all of this package asks it, and the ways to ask it."""

import copy
import functools
import re
from collections.abc import Callable
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from tfrobust.core import logit_checks
from tfrobust.core.batching import in_batches
from tfrobust.core.config import config_of
from tfrobust.core.input_range import UNIT, Range
from tfrobust.core.outputs import Form, Thresholds, checked_thresholds
from tfrobust.core.temperature import checked_temperature
from tfrobust.errors import InputError

# What every entrance takes: a Keras classifier, a `Classifier`, or a function of images
# (B, H, W, C) that gives logits (B, K).
Model = Callable[..., Any]

LOGITS = Form()
# What TensorFlow says where XLA lacks an operation.
_NOT_FOR_XLA = re.compile("unsupported operations|not compilable")


class Classifier:
    """A network as all of this package asks it: images go in, logits come out.

    A Classifier always infers: layers for training, such as Dropout and augmentation, do nothing.
    The softmax of its logits are the confidences that the network itself gives, unless
    `at_temperature` says otherwise. It may be an argument of compiled functions.

    Args:
        logits: a function of float32 images (B, H, W, C) with pixels from 0 to 1 that gives
            logits (B, K) of any float type.
        name: what reports call the network.
        input_shape: (None, H, W, C); H and W may be None. None where nothing is known.
        num_classes: K; None where it is not known before the network is asked.
        has_gradient: whether TensorFlow can differentiate the logits with respect to the images.
        network: the Keras network behind it, if there is one. It gives the same logits.
        input_range: the lowest and the highest pixel that what is behind it takes; None where
            nobody said it, and pixels from 0 to 1 are taken for granted.
        form: of the network's own outputs.
        thresholds: of labels that may hold together, the confidence above which each holds.

    Attributes:
        name, input_shape, has_gradient, network, input_range, form: as given.
        num_classes: as given, or found by `check`.
        compiles: whether XLA can compile the network, as far as it was tried.
        temperature: see `at_temperature`.

    Raises:
        InputError: an input_shape of another length.
    """

    def __init__(
        self,
        logits: Callable[[tf.Tensor], Any],
        *,
        name: str,
        input_shape: tuple[int | None, ...] | None = None,
        num_classes: int | None = None,
        has_gradient: bool = True,
        network: keras.Model | None = None,
        input_range: Range | None = None,
        form: Form = LOGITS,
        thresholds: Thresholds | None = None,
    ) -> None:
        if input_shape is not None and len(input_shape) != 4:
            raise InputError(f"expected input_shape as (None, H, W, C), got {input_shape}")
        self._logits = logits
        self.name, self.input_shape, self.num_classes = name, input_shape, num_classes
        self.has_gradient, self.network, self.input_range = has_gradient, network, input_range
        self.form, self.compiles = form, has_gradient
        self._thresholds = thresholds
        self.temperature, self._own = 1.0, False
        self._checked: dict[tuple[int, ...], int] = {}

    @property
    def task(self) -> str:
        """ "multi-class", "binary" where one output was made into two classes, or "multi-label"."""
        if self.form.several or getattr(self._logits, "label", None) == "all":
            return "multi-label"
        single = self.form.single or getattr(self._logits, "single", False)
        return "binary" if single else "multi-class"

    @property
    def thresholds(self) -> Thresholds | None:
        """For each of several labels the confidence above which it holds; None for other tasks."""
        if self.task != "multi-label":
            return None
        said = self._thresholds or getattr(self._logits, "thresholds", None)
        return said or (0.5,) * (self.num_classes or 0)

    @property
    def output_shape(self) -> tuple[None, int | None]:
        """(None, K), as Keras models tell it."""
        return (None, self.num_classes)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C), where the network takes images of one size.

        Raises:
            InputError: it takes images of several sizes.
        """
        _, height, width, channels = self.input_shape or (None, None, None, None)
        if height is None or width is None or channels is None:
            raise InputError(
                f"expected a network of images of one size, but {self.name} takes "
                f"{self.input_shape or 'any'}. Fix the size of a Keras network so: "
                "keras.Model(images := keras.Input((224, 224, 3)), network(images))"
            )
        return height, width, channels

    def __repr__(self) -> str:
        sizes = (self.input_shape or (None, None, None, None))[1:]
        shape = ", ".join(str(size or letter) for size, letter in zip(sizes, "HWC", strict=True))
        if self.network is not None:
            source = "Keras"
        elif self.has_gradient:
            asked = getattr(self._logits, "function", self._logits)
            source = getattr(asked, "runtime", "a function in TensorFlow")
        else:
            source = "a function without a gradient"
        low, high = self.input_range or UNIT
        return (
            f"<Classifier {self.name}: images ({shape}), {self.num_classes or 'K'} classes, "
            f"{self.task}, pixels from {low:g} to {high:g} inside, answered by {source}>"
        )

    def __call__(self, images: Any) -> tf.Tensor:
        """Gives the logits of images.

        Args:
            images: float (B, H, W, C) in [0, 1].

        Returns:
            float32 (B, K).
        """
        return tf.cast(self._logits(tf.cast(images, tf.float32)), tf.float32)

    def at_temperature(self, temperature: float | None, *, own: bool = False) -> Self:
        """The same network, whose explanations tell its confidences at a temperature.

        Args:
            temperature: by which logits are divided before they become confidences, such as
                `temperature_of` reads from a model card; None for 1. Logits, decisions, attacks
                and explanations stay as they are.
            own: whether the second of two classes is a label, whose confidence is the sigmoid of
                its own logit, wherever its threshold is.

        Raises:
            InputError: the temperature is no number above 0.
        """
        divisor = checked_temperature(temperature)
        if (divisor, own) == (self.temperature, self._own):
            return self
        other = copy.copy(self)
        other.temperature, other._own = divisor, own
        return other

    def shown(self, logits: Any) -> Any:
        """The logits whose softmax a person is shown: float (B, K), of the logits (B, K)."""
        if self._own:
            logits = tf.concat([tf.zeros_like(logits[:, :1]), logits[:, 1:]], axis=-1)
        return logits if self.temperature == 1 else logits / self.temperature

    def config(self) -> dict[str, Any]:
        """What it is, in JSON types: see `Configured.config`."""
        asked = self._logits if self.network is None else self.network
        return {"class": type(self).__name__, "network": config_of(asked)}

    def check(self, images: np.ndarray, *, needs_gradient: bool = True) -> int:
        """Asks the network about two images, so that what cannot work fails early.

        It asks once for each shape of images. They are the first and the last of those given.

        Args:
            images: float32 (N, H, W, C) in [0, 1], N at least 1.
            needs_gradient: whether a network that TensorFlow can look into must have a gradient.

        Returns:
            K, the number of classes.

        Raises:
            InputError: the network does not take these images, does not give finite logits
                (B, K), or should have a gradient and has none.
        """
        asked = (*images.shape[1:], needs_gradient)
        if asked not in self._checked:
            self.num_classes = self._checked[asked] = logit_checks.ask(
                self._logits,
                images,
                name=self.name,
                has_gradient=self.has_gradient,
                needs_gradient=needs_gradient,
            )
            if self.thresholds is not None:
                checked_thresholds(self.thresholds, self.num_classes)
        return self._checked[asked]


def compiled(
    function: Callable[..., Any],
    within: Callable[[Callable[..., Any]], Callable[..., Any]] | None = None,
) -> Callable[..., Any]:
    """Makes a TensorFlow program of a function of a Classifier and more.

    XLA compiles it, unless it cannot: where the Classifier gives no gradient it runs Python, and
    XLA lacks some of TensorFlow's operations.

    Args:
        function: what is compiled.
        within: makes a larger program that calls the compiled one, such as a loop. TensorFlow
            runs the rest of it: in a loop of XLA's own convolutions have no threads on a CPU, and
            took 7 times as long.

    Returns:
        The program, with the function's arguments.
    """
    by_xla, plain = tf.function(function, jit_compile=True), tf.function(function)
    if within is not None:
        by_xla, plain = tf.function(within(by_xla)), tf.function(within(function))

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        (model,) = (one for one in arguments if isinstance(one, Classifier))
        if model.compiles:
            try:
                return by_xla(*arguments)
            except tf.errors.InvalidArgumentError as error:
                if not _NOT_FOR_XLA.search(str(error)):
                    raise
                model.compiles = False
        return plain(*arguments)

    return call


@compiled
def answers(model: Classifier, images: tf.Tensor) -> tf.Tensor:
    """The logits (B, K) of images (B, H, W, C), compiled."""
    return model(images)


def logits_of(model: Classifier, images: np.ndarray, batch_size: int) -> np.ndarray:
    """The logits float32 (N, K) of images (N, H, W, C), N at least 1, batch by batch."""
    return in_batches(functools.partial(answers, model), batch_size, images.astype(np.float32))
