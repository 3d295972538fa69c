"""What a batch must be before it is trained on: labels among the classes, pixels in the range."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfrobust.errors import InputError, reason_of

# How far pixels may lie outside of the range, as a share of it: noise and perturbations leave it a
# little, while 8-bit images and standardised ones leave it by more.
MARGIN = 0.5


def checked_images(images: tf.Tensor, input_range: tuple[float, float]) -> tf.Tensor:
    """The images, once it is sure that their pixels are about in the network's range.

    Args:
        images: numbers (B, H, W, C).
        input_range: the network's lowest and highest pixel.

    Raises:
        InputError: pixels are NaN, or lie outside of the range by more than half of its width. In
            a program that TensorFlow compiles an assertion fails, which `told` makes this error of.
    """
    low, high = input_range
    reach = MARGIN * (high - low)
    pixels = tf.cast(images, tf.float32)
    # A comparison with NaN is false.
    right = tf.reduce_all((pixels >= low - reach) & (pixels <= high + reach))
    expected = f"expected pixels from {low:g} to {high:g}"

    def text() -> tf.Tensor:
        return tf.strings.format(
            expected + ", the range of the network, got a batch from {} to {}. Divide 8-bit images "
            "by 255, and put a standardisation into the network",
            (tf.reduce_min(pixels), tf.reduce_max(pixels)),
        )

    return _after(right, text, images)


def checked_labels(labels: tf.Tensor, num_classes: int) -> tf.Tensor:
    """The labels, once it is sure that each names one of the classes.

    Args:
        labels: numbers (B,) or (B, 1), one class an image; or (B, K), rows of shares that sum to
            1, such as one-hot labels.
        num_classes: K.

    Raises:
        InputError: another shape, a label that is no class, a row that does not sum to 1, or NaN.
            In a program that TensorFlow compiles, labels that are wrong fail an assertion, which
            `told` makes this error of.
    """
    if labels.dtype == tf.string:
        raise InputError("expected labels that are numbers, got text: number the classes from 0")
    values = tf.cast(labels, tf.float32)
    if are_rows(labels, num_classes):
        sums = tf.reduce_sum(values, axis=-1)
        # bfloat16 rows sum to 1 within a hundredth.
        right_each = tf.reduce_all(values >= 0, axis=-1) & (tf.abs(sums - 1) <= 1e-2)
        values = sums
        expected = (
            f"expected one-hot labels, rows of {num_classes} shares that sum to 1 and none below "
            "0, got a row that sums to {}. RobustClassifier trains one label an image"
        )
    else:
        values = tf.reshape(values, [-1])
        right_each = (values >= 0) & (values < num_classes) & (values == tf.floor(values))
        expected = (
            f"expected labels from 0 to {num_classes - 1}, for the {num_classes} classes of the "
            "network, got {}. Take 1 from labels that count from 1"
        )

    def text() -> tf.Tensor:
        first = tf.argmin(tf.cast(right_each, tf.int32))
        return tf.strings.format(expected, [values[first]])

    return _after(tf.reduce_all(right_each), text, labels)


def checked_label_rows(labels: tf.Tensor, num_labels: int) -> tf.Tensor:
    """The labels that may hold together, once it is sure that they are shares from 0 to 1.

    Args:
        labels: numbers (B, K), 1 where a label holds and 0 where it does not.
        num_labels: K.

    Raises:
        InputError: another shape, or numbers outside of [0, 1]; see `checked_labels`.
    """
    if labels.dtype == tf.string or labels.shape.rank != 2 or labels.shape[1] != num_labels:
        raise InputError(
            f"expected labels of shape (B, {num_labels}), a 0 or 1 for each label that may hold "
            f"together with others, got {labels.dtype.name} of shape {tuple(labels.shape)}"
        )
    values = tf.cast(labels, tf.float32)
    right = tf.reduce_all((values >= 0) & (values <= 1))

    def text() -> tf.Tensor:
        return tf.strings.format(
            "expected labels from 0 to 1, 1 where a label holds, got some from {} to {}",
            (tf.reduce_min(values), tf.reduce_max(values)),
        )

    return _after(right, text, labels)


def are_rows(labels: tf.Tensor, num_classes: int) -> bool:
    """Whether labels are rows of shares (B, K), such as one-hot; if not, they are classes.

    Raises:
        InputError: they are neither.
    """
    shape = labels.shape
    if shape.rank == 2 and shape[1] == num_classes:
        return True
    if shape.rank in (None, 1) or (shape.rank == 2 and shape[1] in (None, 1)):
        return False
    raise InputError(
        f"expected labels of shape (B,), or (B, {num_classes}) for one-hot ones of the network's "
        f"{num_classes} classes, got {tuple(shape)}"
    )


def told(function: Callable[..., Any]) -> Callable[..., Any]:
    """Makes a failed check in a compiled function an `InputError` with the check's own words."""

    def call(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except tf.errors.InvalidArgumentError as error:
            reason = reason_of(error)
            if not reason.startswith("expected"):
                raise
            raise InputError(reason) from None

    return call


def _after(right: tf.Tensor, text: Callable[[], tf.Tensor], value: tf.Tensor) -> tf.Tensor:
    """The value, which nothing can use before `right` was found to be true."""
    if tf.executing_eagerly():
        if not bool(right):
            raise InputError(text().numpy().decode())
        return value

    def fail() -> tf.Tensor:
        with tf.control_dependencies([tf.debugging.Assert(False, [text()])]):
            return tf.constant(False)

    # The text is made only when it is needed.
    with tf.control_dependencies([tf.cond(right, lambda: tf.constant(True), fail)]):
        return tf.identity(value)
