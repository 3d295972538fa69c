"""The classification loss: the cross-entropy, or the one that `compile` was given."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfrobust.core import criteria
from tfrobust.core.outputs import Form, Output, as_logits
from tfrobust.errors import InputError
from tfrobust.training.batch_checks import are_rows

# Keras' losses that take a probability for what lies between 0 and 1, unless told otherwise.
OF_PROBABILITIES = (
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "crossentropy",
    "kl_divergence",
    "sparse_categorical_crossentropy",
)
SPARSE = "sparse_categorical_crossentropy"


def single(loss: Any) -> Any:
    """The one loss of a network with one output, also where it comes in a list or a mapping.

    Raises:
        InputError: there are several.
    """
    if isinstance(loss, str | keras.losses.Loss) or not isinstance(loss, Mapping | Sequence):
        return loss
    if len(loss) != 1:
        raise InputError(f"expected one loss, for the network's one output, got {len(loss)}")
    return next(iter(loss.values() if isinstance(loss, Mapping) else loss))


def check_form(loss: Any, form: Form) -> None:
    """Refuses a loss of probabilities for a network that gives none, or of several classes for one
    with a single output.

    Args:
        loss: as Keras takes it.
        form: of what the network gives.

    Raises:
        InputError: Keras would clip logits to [0, 1], or compare with another class, without a
            word.
    """
    name, from_logits = kind(loss)
    independent = form.single or form.several
    if independent and name in OF_PROBABILITIES and not name.startswith("binary"):
        of = "a single output" if form.single else "labels that may hold together"
        raise InputError(
            f"expected a loss of {of}, such as binary_crossentropy, but the loss {name} is one of "
            "classes that exclude one another"
        )
    activation, probabilities = form.activation, "sigmoid" if independent else "softmax"
    if name in OF_PROBABILITIES and activation != probabilities and not from_logits:
        advice = f"end the network in a {probabilities}"
        if name != "kl_divergence":
            advice = f"give the loss from_logits=True, or {advice}"
        gives = "logits" if activation == "linear" else f"outputs of {activation}"
        raise InputError(
            f"expected a loss of what the network gives, but the loss {name} is one of "
            f"probabilities and the network gives {gives}: {advice}"
        )


def check_labels(loss: Any, labels: tf.Tensor, num_classes: int, form: Form) -> None:
    """Refuses labels that are not in the form which the loss takes.

    Args:
        loss: as Keras takes it; nothing is known of a function of the user's own.
        labels: (B,), (B, 1) or (B, K).
        num_classes: K.
        form: of what the network gives.

    Raises:
        InputError: one-hot labels for a sparse loss or a single output, or the other way round.
    """
    name, _ = kind(loss)
    if form.several:
        return
    rows = are_rows(labels, num_classes)
    if form.single and rows:
        raise InputError(
            "expected labels (B,) of 0 and 1 for a network with a single output, got "
            f"{tuple(labels.shape)}: take labels.argmax(axis=1)"
        )
    if form.single:
        return
    if name == SPARSE and rows:
        raise InputError(
            f"expected labels (B,) for the loss {name}, got {tuple(labels.shape)}: take "
            "categorical_crossentropy for one-hot labels"
        )
    if name not in ("", "crossentropy", SPARSE) and not rows:
        raise InputError(
            f"expected one-hot labels (B, {num_classes}) for the loss {name}, got "
            f"{tuple(labels.shape)}: take {SPARSE}, or keras.utils.to_categorical(labels)"
        )


def cross_entropy(outputs: tf.Tensor, labels: tf.Tensor, form: Form) -> tf.Tensor:
    """−Σ label·log softmax(logits) of each image; of labels that may hold together, the mean of
    their binary cross-entropies.

    Args:
        outputs: float (B, K), or (B, 1), what the activation made of logits.
        labels: (B,), (B, 1) or (B, K).
        form: of the outputs.

    Returns:
        (B,).
    """
    logits = outputs
    # Keras' activations leave their logits with the result, for losses to be exact.
    before = getattr(outputs, "_keras_logits", None)
    if form.single or form.several:
        ends: Output = "sigmoid" if form.activation == "sigmoid" and before is None else "logits"
        logits = as_logits(outputs if before is None else before, ends, "all")
    elif form.activation == "softmax":
        logits = before
        if logits is None:
            logits = tf.math.log(tf.maximum(outputs, outputs.dtype.as_numpy_dtype(1e-7)))
    if form.several:
        return criteria.label_cross_entropy(logits, labels)
    if not are_rows(labels, logits.shape[-1]):
        return criteria.cross_entropy(logits, classes(labels, logits.shape[-1]))
    return -tf.reduce_sum(tf.cast(labels, logits.dtype) * tf.nn.log_softmax(logits), axis=-1)


def accuracy(form: Form) -> list[Any]:
    """The metric of a network whose `compile` was given none."""
    if form.several:
        threshold = 0.5 if form.activation == "sigmoid" else 0.0
        return [keras.metrics.MeanMetricWrapper(decided, "accuracy", threshold=threshold)]
    if form == Form(single=True):  # Keras takes a single output for a probability
        return [keras.metrics.BinaryAccuracy("accuracy", threshold=0.0)]
    return ["accuracy"]


def decided(labels: tf.Tensor, outputs: tf.Tensor, threshold: float = 0.0) -> tf.Tensor:
    """Where a network decides rightly about labels that may hold together: float32 (B, K).

    Args:
        labels: (B, K), from 0 to 1. A label holds above one half.
        outputs: float (B, K).
        threshold: the output above which the network says that a label holds.
    """
    return tf.cast((outputs > threshold) == (tf.cast(labels, tf.float32) > 0.5), tf.float32)


def right(labels: tf.Tensor, logits: tf.Tensor, form: Form) -> tf.Tensor:
    """Which images a network is right about; of several labels the share of each image's labels.

    Args:
        labels: int (B,), the classes; (B, K) from 0 to 1 of several labels.
        logits: float (B, K).
        form: of the network's outputs.

    Returns:
        float32 (B,) from 0 to 1.
    """
    if form.several:
        return tf.reduce_mean(decided(labels, logits), axis=-1)
    return tf.cast(tf.argmax(logits, axis=-1, output_type=labels.dtype) == labels, tf.float32)


def classes(labels: tf.Tensor, num_classes: int) -> tf.Tensor:
    """Each image's class, of rows the one with the largest share: → int32 (B,)."""
    if are_rows(labels, num_classes):
        return tf.argmax(labels, axis=-1, output_type=tf.int32)
    return tf.cast(tf.reshape(labels, [-1]), tf.int32)


def weighted_mean(values: tf.Tensor, weights: tf.Tensor | None) -> tf.Tensor:
    """Mean of values·weights over the images, as Keras has it: (B,), (B,) or (B, 1) → scalar."""
    if weights is None:
        return tf.reduce_mean(values)
    return tf.reduce_mean(values * tf.cast(tf.reshape(weights, [-1]), values.dtype))


def kind(loss: Any) -> tuple[str, bool]:
    """The name of one of Keras' own losses, "" of others, and whether it takes logits."""
    if loss in ("crossentropy", "ce"):
        return "crossentropy", False
    loss = keras.losses.get(loss)
    function: Callable[..., Any] = getattr(loss, "fn", loss)
    if not getattr(function, "__module__", "").startswith("keras."):
        return "", False
    return getattr(function, "__name__", ""), bool(getattr(loss, "from_logits", False))
