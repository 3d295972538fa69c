"""What ψ's target lies between: the loss of a network that sees nothing, and the least of all."""

import math
from typing import Any

import keras
import tensorflow as tf

from tfrobust.core.outputs import Form
from tfrobust.errors import InputError
from tfrobust.training.batch_checks import are_rows
from tfrobust.training.losses import kind

# Losses whose least value is that of the labels' own shares. None is our own cross-entropy.
CROSS_ENTROPIES = ("binary_crossentropy", "categorical_crossentropy")
SMALLEST = 1e-30  # share in a logarithm; times it, it is 0


def check_target(loss: Any, activation: str, num_classes: int, target: float | None) -> None:
    """Refuses a target of ψ that label smoothing keeps the loss above.

    Args:
        loss: as Keras takes it.
        activation: the network's last one.
        num_classes: K.
        target: what ψ holds the loss at; None for the default, which the loss can reach.

    Raises:
        InputError: the loss of the best answer lies above the target.
    """
    name, _ = kind(loss)
    smoothing = getattr(loss, "label_smoothing", 0.0)
    if not smoothing or target is None:
        return
    label = tf.one_hot([0], num_classes)
    binary = name.startswith("binary")
    best = label * (1 - smoothing) + smoothing / (2 if binary else num_classes)
    if activation == "linear":
        best = tf.math.log(best / (1 - best)) if binary else tf.math.log(best)
    reached = float(loss(label, best))
    if not reached < target:
        raise InputError(
            f"expected a loss that can fall below the target of psi, {target:.3g}, but with "
            f"label smoothing {smoothing} no answer's loss is below {reached:.3g}. Give "
            "PsiController a loss_target above that, or none"
        )


def of_rates(loss: Any, rates: tf.Tensor, logits: tf.Tensor, *, single: bool = False) -> tf.Tensor:
    """The logits of a network that knows how often each class comes, and says so of every image.

    No answer to every image has a smaller cross-entropy: with smoothed labels it is the mean of
    these.

    Args:
        loss: as Keras takes it, with a label smoothing of its own or without.
        rates: the logarithms of the classes' rates, float (K,).
        logits: float (B, K), of the shape and dtype that are wanted.
        single: whether the network's own output is one, the difference of two logits.
    """
    name, _ = kind(loss)
    binary = name.startswith("binary")
    if smoothing := getattr(loss, "label_smoothing", 0.0):
        count = 2 if binary else rates.shape[0]
        rates = tf.math.log((1 - smoothing) * tf.exp(rates) + smoothing / count)
    if binary and not single:  # one of K independent answers is right
        answer = rates - tf.math.log1p(-tf.exp(rates))
    else:
        # Losses of other kinds than the cross-entropy take 0 for "all classes are as likely".
        answer = rates - tf.reduce_mean(rates)
    return tf.broadcast_to(tf.cast(answer, logits.dtype), tf.shape(logits))


def of_labels(
    loss: Any, labels: tf.Tensor, weights: tf.Tensor | None, logits: tf.Tensor
) -> tf.Tensor:
    """The logits (B, K) that say of every image how often each label holds in the batch.

    Args:
        loss: as Keras takes it, with a label smoothing of its own or without.
        labels: (B, K), from 0 to 1.
        weights: of the images in the loss, (B,) or (B, 1); None for equal ones.
        logits: float (B, K), of the dtype that is wanted.

    Returns:
        Finite numbers also where a label always holds, or never.
    """
    holds = tf.cast(labels, logits.dtype)
    if weights is None:
        rates = tf.reduce_mean(holds, axis=0, keepdims=True)
    else:
        counts = tf.cast(tf.reshape(weights, [-1, 1]), logits.dtype)
        rates = tf.math.divide_no_nan(
            tf.reduce_sum(counts * holds, axis=0, keepdims=True), tf.reduce_sum(counts)
        )
    half = 0.5 / tf.cast(tf.shape(logits)[0], logits.dtype)
    rates = tf.clip_by_value(rates, half, 1 - half)
    if smoothing := getattr(loss, "label_smoothing", 0.0):
        rates = (1 - smoothing) * rates + smoothing / 2
    return tf.broadcast_to(tf.math.log(rates) - tf.math.log1p(-rates), tf.shape(logits))


def best(loss: Any, labels: tf.Tensor, logits: tf.Tensor, form: Form) -> tf.Tensor | None:
    """The logits (B, K) whose cross-entropy is least: of labels that share their weight, not 0.

    Args:
        loss: as Keras takes it, with a label smoothing of its own or without; None for ours.
        labels: as the loss gets them.
        logits: float (B, K), of the dtype that is wanted.
        form: of what the network gives.

    Returns:
        None where the least loss is 0, or where it is not known: of other losses.
    """
    name, _ = kind(loss)
    if loss is not None and name not in CROSS_ENTROPIES:
        return None
    smoothing, count = getattr(loss, "label_smoothing", 0.0), logits.shape[-1]
    rows = form.several or are_rows(labels, count)
    if not rows and not smoothing:
        return None
    if not rows:
        labels = tf.one_hot(tf.cast(tf.reshape(labels, [-1]), tf.int32), count)
    binary = name.startswith("binary") or form.several
    shares = tf.cast(labels, logits.dtype)
    shares = (1 - smoothing) * shares + smoothing / (2 if binary else count)
    told = tf.math.log(tf.maximum(shares, SMALLEST))
    if binary and not form.single:
        told -= tf.math.log(tf.maximum(1 - shares, SMALLEST))
    return told


def equal_rates(num_classes: int) -> tf.Tensor:
    """The logarithms of the rates of classes that come equally often, float (K,)."""
    return tf.fill([num_classes], tf.constant(-math.log(num_classes), keras.config.floatx()))
