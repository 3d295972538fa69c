"""A network of several labels, asked about one label at a time."""

import contextlib
import threading
from collections.abc import Callable, Iterator

import tensorflow as tf

from tfrobust.core.classifier import Classifier
from tfrobust.core.outputs import Form, logit

_KEPT = "_tfrobust_one_label"  # under which a network keeps its `OneLabel`


class OneLabel(Classifier):
    """A classifier of two classes, without and with a label, whose label can be changed.

    What TensorFlow compiles for one label serves for all of them.

    Args:
        network: what `as_labels` gives, of K labels.
    """

    def __init__(self, network: Classifier) -> None:
        # TensorFlow has no int32 variables on GPUs, and what XLA compiles for one reads no others.
        self._label = tf.Variable(0, trainable=False, dtype=tf.int64)
        self._absence = tf.Variable(0.0, trainable=False)
        self._absences = [logit(one) for one in network.thresholds or ()]
        self._lock = threading.RLock()

        def logits(images: tf.Tensor) -> tf.Tensor:
            present = tf.gather(network(images), self._label, axis=-1)
            return tf.stack([tf.zeros_like(present) + self._absence, present], axis=-1)

        super().__init__(
            logits,
            name=network.name,
            input_shape=network.input_shape,
            num_classes=2,
            has_gradient=network.has_gradient,
            input_range=network.input_range,
            form=Form(single=True),
        )
        self._own = True

    @contextlib.contextmanager
    def about(self, label: int) -> Iterator[None]:
        """Within it, the two classes are those of a label; other threads wait."""
        with self._lock:
            before = int(self._label)
            self._ask_about(label)
            try:
                yield
            finally:
                self._ask_about(before)

    def _ask_about(self, label: int) -> None:
        self._label.assign(label)
        self._absence.assign(self._absences[label])


def one_label(network: Classifier) -> OneLabel:
    """The network's `OneLabel`, always the same one: nothing is compiled twice for it.

    Args:
        network: what `as_labels` gives; K is known of it.
    """
    kept = vars(network)
    if _KEPT not in kept:
        kept[_KEPT] = OneLabel(network)
    return kept[_KEPT]


def label_of_each(
    logits_of: Callable[[tf.Tensor], tf.Tensor], labels: tf.Tensor, absences: tf.Tensor
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Of several labels the two classes without and with one of them, another for each image.

    Args:
        logits_of: images (B, H, W, C) → logits (B, K).
        labels: int (B,), which label of each image.
        absences: float32 (B,), the logit of the label's absence.

    Returns:
        Images (B, H, W, C), in this order → logits (B, 2).
    """

    def logits(images: tf.Tensor) -> tf.Tensor:
        logits = logits_of(images)
        # A gather for each row has a gradient that does not convert to ONNX.
        chosen = tf.one_hot(labels, tf.shape(logits)[-1], dtype=logits.dtype)
        present = tf.reduce_sum(chosen * logits, axis=-1)
        return tf.stack([absences, present], axis=-1)

    return logits
