"""The one door for a network: whatever a user brings becomes a `Classifier`."""

import functools
import types
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrobust.core.batching import in_batches
from tfrobust.core.config import config_of
from tfrobust.core.logits import logits_network, with_input_range
from tfrobust.errors import InputError

# What every entrance takes: a Keras classifier, a `Classifier`, or a function of images
# (B, H, W, C) that gives logits (B, K).
Model = Callable[..., Any]

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

    Attributes:
        name: as given.
        input_shape: as given.
        num_classes: as given, or found by `check`.
        has_gradient: as given.
        network: as given.

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
    ) -> None:
        if input_shape is not None and len(input_shape) != 4:
            raise InputError(f"expected input_shape as (None, H, W, C), got {input_shape}")
        self._logits = logits
        self.name, self.input_shape, self.num_classes = name, input_shape, num_classes
        self.has_gradient, self.network = has_gradient, network
        self._checked: dict[tuple[int, ...], int] = {}

    @property
    def output_shape(self) -> tuple[None, int | None]:
        """(None, K), as Keras models tell it."""
        return (None, self.num_classes)

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
            self.num_classes = self._checked[asked] = self._ask(images, needs_gradient)
        return self._checked[asked]

    def _ask(self, images: np.ndarray, needs_gradient: bool) -> int:
        # Always two images, because TensorFlow 2.21 crashes on some CPUs where it derives a 1×1
        # convolution with stride 2 of one image (Conv2DBackpropFilter by oneDNN, uncompiled).
        pair = tf.constant(images[[0, -1]], tf.float32)
        try:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(pair)
                logits = self._logits(pair)
        except InputError:
            raise
        except Exception as error:  # a stranger's network may raise anything
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise InputError(
                f"expected a network that takes a tensor of images of shape {images.shape[1:]}, "
                f"but {self.name} raised {type(error).__name__}: {reason}. If it takes NumPy "
                "arrays, wrap it as tfrobust.attacks.Opaque"
            ) from error
        shape = getattr(logits, "shape", None)
        if shape is None or len(shape) != 2 or shape[0] != 2 or shape[1] < 2:
            got = type(logits).__name__ if shape is None else f"shape {tuple(shape)} for two images"
            raise InputError(
                f"expected a network that gives logits (B, K) of at least 2 classes, got {got}"
            )
        found = tf.is_tensor(logits) and (not needs_gradient or _has_gradient(tape, logits, pair))
        if self.has_gradient and not found:
            raise InputError(
                "expected a network whose logits have a gradient with respect to the images in "
                f"TensorFlow, got one without, {self.name}: attacks cannot search through NumPy, "
                "ONNX or rounding. Let the gradient pass quantised images, "
                "x + tf.stop_gradient(tf.round(x) - x), or wrap the network as "
                "tfrobust.attacks.Opaque and attack it without gradients"
            )
        check_logits(np.asarray(tf.cast(logits, tf.float32)))
        return int(shape[1])


def as_classifier(model: Model, *, input_range: tuple[float, float] | None = None) -> Classifier:
    """Makes a `Classifier` of whatever can be one.

    The same model gives the same Classifier, so that nothing is compiled twice for it.

    Args:
        model: a Keras classifier of images (B, H, W, C) that ends in logits or in a softmax, which
            is left out; a function in TensorFlow of such images that gives logits (B, K); or a
            Classifier, such as `Opaque`, which is given back as it is.
        input_range: the lowest and the highest pixel that the network takes, as (0, 255) or
            (-1, 1). The Classifier takes pixels from 0 to 1 all the same. None for (0, 1).

    Raises:
        InputError: it is nothing of that kind.
    """
    if isinstance(model, Classifier):
        if input_range is not None:
            raise InputError(
                f"expected no input_range beside a Classifier, got {input_range}: {model.name} "
                "takes pixels from 0 to 1 already"
            )
        return model
    kept, key = _kept(model), (getattr(model, "__func__", None), input_range)
    if key not in kept:
        kept[key] = _made(model, input_range)
    return kept[key]


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Makes a TensorFlow program of a function of a Classifier and more.

    XLA compiles it, unless the Classifier gives no gradient: then it runs Python, which XLA does
    not know.
    """
    by_xla, plain = tf.function(function, jit_compile=True), tf.function(function)

    @functools.wraps(function)
    def call(model: Any, *rest: Any) -> Any:
        # Some entrances still hand over what is no Classifier yet.
        return (by_xla if getattr(model, "has_gradient", True) else plain)(model, *rest)

    return call


@compiled
def answers(model: Classifier, images: tf.Tensor) -> tf.Tensor:
    """The logits (B, K) of images (B, H, W, C), compiled."""
    return model(images)


def logits_of(model: Classifier, images: np.ndarray, batch_size: int) -> np.ndarray:
    """The logits float32 (N, K) of images (N, H, W, C), N at least 1, batch by batch."""
    return in_batches(functools.partial(answers, model), batch_size, images.astype(np.float32))


def check_logits(logits: np.ndarray) -> None:
    """Refuses answers that are no logits.

    Args:
        logits: float32 (N, K).

    Raises:
        InputError: they are not finite, or they are probabilities.
    """
    if not np.all(np.isfinite(logits)):
        bad = int((~np.isfinite(logits)).any(axis=1).sum())
        raise InputError(
            f"expected finite logits, got NaN or infinity for {bad} of {len(logits)} images; "
            "did the training diverge?"
        )
    if are_probabilities(logits):
        raise InputError(
            "expected logits, got rows of probabilities that sum to 1. Give the network without "
            "its softmax: behind it gradients vanish, and sizes would come out too large"
        )


def are_probabilities(logits: np.ndarray) -> bool:
    """Whether all rows of (N, K) are probabilities: none negative, of sum 1."""
    return bool(logits.size and logits.min() >= 0 and np.allclose(logits.sum(axis=1), 1, atol=1e-3))


def _has_gradient(tape: tf.GradientTape, logits: tf.Tensor, images: tf.Tensor) -> bool:
    return tape.gradient(logits, images) is not None


def _kept(model: Model) -> dict[Any, Classifier]:
    """The classifiers made of a model so far, which the model itself holds.

    A table of ours would keep every model for good, because a Classifier holds its model.
    """
    # A bound method is a new object at each look, and what it holds is its function's.
    owner = model.__self__ if isinstance(model, types.MethodType) else model
    attributes = getattr(owner, "__dict__", None)
    # Not by setattr, because Keras tracks what is set so.
    return attributes.setdefault(_KEPT, {}) if isinstance(attributes, dict) else {}


def _made(model: Model, input_range: tuple[float, float] | None) -> Classifier:
    if input_range is not None:
        low, high = map(float, input_range)
        if not (np.isfinite([low, high]).all() and low < high):
            raise InputError(
                "expected input_range as (lowest, highest) pixel, such as (0, 255), got "
                f"{input_range}"
            )
    if isinstance(model, keras.Model):
        network = logits_network(model)
        shape = network.input_shape
        if len(shape) != 4:
            raise InputError(
                f"expected a network of images (None, height, width, channels), got one of {shape}"
            )
        if input_range is not None:
            network = with_input_range(network, low, high)
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
    if input_range is not None:
        inner, function = function, lambda images: inner(low + images * (high - low))
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
