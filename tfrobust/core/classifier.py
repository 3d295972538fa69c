"""The one door for a network: whatever a user brings becomes a `Classifier`."""

import functools
import types
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrobust.core import logit_checks
from tfrobust.core.batching import in_batches
from tfrobust.core.config import config_of
from tfrobust.core.logits import logits_network, with_input_range
from tfrobust.errors import InputError

# What every entrance takes: a Keras classifier, a `Classifier`, or a function of images
# (B, H, W, C) that gives logits (B, K).
Model = Callable[..., Any]

# The lowest and the highest pixel that a network takes.
Range = tuple[float, float]

# The name under which a model keeps its classifiers. They live as long as the model does, because
# TensorFlow compiles anew for every object that it does not know.
_KEPT = "_tfrobust_classifiers"


class Classifier:
    """A network as all of this package asks it: images go in, logits come out.

    A Classifier always infers: layers for training, such as Dropout and augmentation, do nothing.
    It may be an argument of compiled functions.

    Args:
        logits: a function of float32 images (B, H, W, C) with pixels from 0 to 1 that gives
            logits (B, K) of any float type.
        name: what reports call the network.
        input_shape: (None, H, W, C); H and W may be None. None where nothing is known.
        num_classes: K; None where it is not known before the network is asked.
        has_gradient: whether TensorFlow can differentiate the logits with respect to the images,
            and compile the network by XLA.
        network: the Keras network behind it, if there is one. It gives the same logits.
        input_range: the lowest and the highest pixel that what is behind it takes; None where
            nobody said it, and pixels from 0 to 1 are taken for granted.

    Attributes:
        name: as given.
        input_shape: as given.
        num_classes: as given, or found by `check`.
        has_gradient: as given.
        network: as given.
        input_range: as given.

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
    ) -> None:
        if input_shape is not None and len(input_shape) != 4:
            raise InputError(f"expected input_shape as (None, H, W, C), got {input_shape}")
        self._logits = logits
        self.name, self.input_shape, self.num_classes = name, input_shape, num_classes
        self.has_gradient, self.network = has_gradient, network
        self.input_range = input_range
        self._checked: dict[tuple[int, ...], int] = {}

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

    def __call__(self, images: Any) -> tf.Tensor:
        """Gives the logits of images.

        Args:
            images: float (B, H, W, C) in [0, 1].

        Returns:
            float32 (B, K).
        """
        return tf.cast(self._logits(tf.cast(images, tf.float32)), tf.float32)

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
        return self._checked[asked]


def as_classifier(model: Model, *, input_range: Range | None = None) -> Classifier:
    """Makes a `Classifier` of whatever can be one.

    The same model gives the same Classifier, so that nothing is compiled twice for it.

    Args:
        model: a Keras classifier of images (B, H, W, C) that ends in logits or in a softmax, which
            is left out; a function in TensorFlow of such images that gives logits (B, K); or a
            Classifier, such as `tfrobust.load` gives for an ONNX file.
        input_range: the lowest and the highest pixel that the network takes, as (0, 255) or
            (-1, 1). The Classifier takes pixels from 0 to 1 all the same. None for (0, 1), or for
            what a given Classifier knows.

    Raises:
        InputError: it is nothing of that kind, or the range is not what a Classifier knows.
    """
    if input_range is not None:
        input_range = _checked_range(input_range)
    kept, key = _kept(model), (getattr(model, "__func__", None), input_range)
    if key not in kept:
        if input_range is None:
            kept[key] = model if isinstance(model, Classifier) else _made(model)
        elif isinstance(model, Classifier):
            kept[key] = _in_range(model, input_range)
        else:
            kept[key] = as_classifier(as_classifier(model), input_range=input_range)
    return kept[key]


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Makes a TensorFlow program of a function of a Classifier and more.

    XLA compiles it, unless the Classifier gives no gradient: then it runs Python, which XLA does
    not know.
    """
    by_xla, plain = tf.function(function, jit_compile=True), tf.function(function)

    @functools.wraps(function)
    def call(model: Classifier, *rest: Any) -> Any:
        return (by_xla if model.has_gradient else plain)(model, *rest)

    return call


@compiled
def answers(model: Classifier, images: tf.Tensor) -> tf.Tensor:
    """The logits (B, K) of images (B, H, W, C), compiled."""
    return model(images)


def logits_of(model: Classifier, images: np.ndarray, batch_size: int) -> np.ndarray:
    """The logits float32 (N, K) of images (N, H, W, C), N at least 1, batch by batch."""
    return in_batches(functools.partial(answers, model), batch_size, images.astype(np.float32))


def _kept(model: Model) -> dict[Any, Classifier]:
    """The classifiers made of a model so far, which the model itself holds.

    A table of ours would keep every model for good, because a Classifier holds its model.
    """
    # A bound method is a new object at each look, and what it holds is its function's.
    owner = model.__self__ if isinstance(model, types.MethodType) else model
    attributes = getattr(owner, "__dict__", None)
    # Not by setattr, because Keras tracks what is set so.
    return attributes.setdefault(_KEPT, {}) if isinstance(attributes, dict) else {}


def _checked_range(input_range: Range) -> Range:
    try:
        low, high = map(float, input_range)
    except (TypeError, ValueError):
        low = high = np.nan
    if not (np.isfinite([low, high]).all() and low < high):
        raise InputError(
            f"expected input_range as (lowest, highest) pixel, such as (0, 255), got {input_range}"
        )
    return low, high


def _in_range(classifier: Classifier, input_range: Range) -> Classifier:
    """The classifier of pixels from 0 to 1 whose network takes those of another range."""
    if classifier.input_range == input_range:
        return classifier
    if classifier.input_range is not None:
        raise InputError(
            f"expected no other input_range than {classifier.input_range}, which {classifier.name} "
            f"was given already, got {input_range}"
        )
    low, high = input_range
    if (network := classifier.network) is not None:
        network = with_input_range(network, low, high)
        logits: Callable[..., Any] = functools.partial(network, training=False)
    else:

        def logits(images: tf.Tensor) -> tf.Tensor:
            return classifier(low + images * (high - low))

    return Classifier(
        logits,
        name=classifier.name,
        input_shape=classifier.input_shape,
        num_classes=classifier.num_classes,
        has_gradient=classifier.has_gradient,
        network=network,
        input_range=input_range,
    )


def _made(model: Any) -> Classifier:
    if isinstance(model, keras.Model):
        network = logits_network(model)
        shape = network.input_shape
        if len(shape) != 4:
            raise InputError(
                f"expected a network of images (None, height, width, channels), got one of {shape}"
            )
        return Classifier(
            functools.partial(network, training=False),
            name=model.name,
            input_shape=shape,
            num_classes=network.output_shape[-1],
            network=network,
        )
    if not callable(model):
        kind = type(model).__name__
        raise InputError(
            "expected a network: a Keras model, a function from images to logits, or what "
            f"tfrobust.load(path) reads from a file, got {kind} {model!r:.60}"
        )
    function = model
    if isinstance(model, keras.layers.Layer):
        function = functools.partial(model, training=False)
    taken, given = getattr(model, "input_shape", None), getattr(model, "output_shape", None)
    # Both a lambda and an object of a class of its own are told by their type.
    called = getattr(model, "__name__", "<")
    called = type(model).__name__ if called.startswith("<") else called
    return Classifier(
        function,
        name=str(getattr(model, "name", called)),
        input_shape=taken if isinstance(taken, tuple) and len(taken) == 4 else None,
        num_classes=given[-1] if isinstance(given, tuple) and len(given) == 2 else None,
    )
