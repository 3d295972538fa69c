"""What a request asks about: a class, or one of several labels, which becomes two classes."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from tfrobust.core.classifier import Classifier
from tfrobust.core.one_label import label_of_each
from tfrobust.core.outputs import logit


class Question(NamedTuple):
    """Which classes of which function a request is about.

    Args:
        logits_of: images (B, H, W, C), in the request's order → logits.
        target: int32 (B,), the class of each image; −1 for the predicted one.
        labels: int32 (B,), for a network of several labels the one that each image is asked about:
            its absence is class 0 of `logits_of`, and its presence class 1. Else None.
    """

    logits_of: Callable[[tf.Tensor], tf.Tensor]
    target: tf.Tensor
    labels: tf.Tensor | None

    def answered(self, found: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """What was found, with the label as `target` where it is about a label."""
        return found if self.labels is None else {**found, "target": self.labels}


def question(
    network: Classifier, images: tf.Tensor, target: tf.Tensor, *, at_thresholds: bool = False
) -> Question:
    """What a request asks about.

    Args:
        network: of classes, or of several labels.
        images: float32 (B, H, W, C).
        target: int32 (B,), a class or label for each image; −1 for the predicted class, or for the
            likeliest label.
        at_thresholds: whether the decision about a label is to turn at its threshold. Else the
            confidences of the two classes are those that the network gives.
    """
    if network.thresholds is None:
        return Question(network, target, None)
    logits = network(images)
    likeliest = tf.argmax(logits, axis=-1, output_type=tf.int32)
    labels = tf.where(target < 0, likeliest, tf.minimum(target, tf.shape(logits)[-1] - 1))
    absences = tf.zeros_like(logits[:, 0])
    if at_thresholds:
        absences += tf.gather(planes(network), labels)
    return Question(
        label_of_each(network, labels, absences), tf.ones_like(labels), tf.identity(labels)
    )


def planes(network: Classifier) -> tf.Tensor:
    """The logit above which each of several labels holds: float32 (K,)."""
    return tf.constant([logit(one) for one in network.thresholds or ()], tf.float32)
