"""The accuracy that a training is watched by."""

import math

import tensorflow as tf

from tfrobust.datasets import DataSource
from tfrobust.runs.config import Config
from tfrobust.training import losses
from tfrobust.training.classifier import RobustClassifier

IMAGES = 2000


class ValidationAccuracy:
    """The share of the first images to watch, or of their labels, that is decided rightly.

    Args:
        classifier: whose network it is.
        source: of the images: those for validation, or else the test images.
        config: for the size of a batch.
        jit: whether XLA compiles it.
    """

    def __init__(
        self, classifier: RobustClassifier, source: DataSource, config: Config, *, jit: bool
    ) -> None:
        self.classifier, self.source, self.config = classifier, source, config
        self.right = tf.function(self._right, jit_compile=jit)

    def __call__(self) -> float:
        """The accuracy now, from 0 to 1."""
        # Whole batches only, so that no second shape is compiled.
        watched = self.source.watched
        batches = watched.test(
            min(self.config.training.batch_size, watched.info.test_images),
            limit=IMAGES,
            drop_remainder=True,
        )
        right, total = 0.0, 0
        for images, labels in batches:
            right += float(self.right(images, labels))
            total += len(labels)
        # Nothing is left if pictures of a small set turned out to be broken.
        return right / total if total else math.nan

    def _right(self, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        logits = self.classifier.network(images, training=False)
        return tf.reduce_sum(losses.right(labels, logits, self.classifier.form))
