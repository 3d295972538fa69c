"""A network of several labels, asked about one label at a time."""

from collections.abc import Iterator

import tensorflow as tf

from tfrobust.core.classifier import Classifier
from tfrobust.core.outputs import Form


def one_by_one(network: Classifier) -> Iterator[Classifier]:
    """Makes a classifier of two classes, without and with a label, for each label in turn.

    It is one object, whose label changes: what TensorFlow compiled for the first label serves for
    all of them. So use it up before you take the next one. To keep classifiers of several labels,
    make them by `as_classifier(model, label=…)`.

    Args:
        network: what `as_labels` gives, of K labels.

    Yields:
        The classifier, K times.
    """
    # TensorFlow has no int32 variables on GPUs, and what XLA compiles for one reads no others.
    label = tf.Variable(0, trainable=False, dtype=tf.int64)

    def logits(images: tf.Tensor) -> tf.Tensor:
        present = tf.gather(network(images), label, axis=-1)
        return tf.stack([tf.zeros_like(present), present], axis=-1)

    one = Classifier(
        logits,
        name=network.name,
        input_shape=network.input_shape,
        num_classes=2,
        has_gradient=network.has_gradient,
        input_range=network.input_range,
        form=Form(single=True),
    )
    for number in range(network.num_classes or 0):
        label.assign(number)
        one.name = f"{network.name}, label {number}"
        yield one
