"""What a training is watched by: the accuracy of images for validation, and their AUC."""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from scipy.special import softmax

from tfrobust.core.classifier import Classifier, logits_of
from tfrobust.core.door import as_classifier, as_labels
from tfrobust.datasets import DataSource
from tfrobust.robustness.ranking import macro_auc
from tfrobust.runs.config import Config
from tfrobust.training import losses
from tfrobust.training.classifier import RobustClassifier

IMAGES = 2000


class ValidationAccuracy:
    """The share of the first images to watch, or of their labels, that is decided rightly.

    Of a smoke run they are one batch.

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
        watched, training = self.source.watched, self.config.training
        batch_size = min(training.batch_size, watched.info.test_images)
        batches = watched.test(
            batch_size,
            limit=IMAGES if training.max_steps is None else batch_size,
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


class ValidationAuc(keras.callbacks.Callback):
    """Finds the macro AUC of the first images to watch, at the end of each epoch.

    It is the mean over classes, each against the rest by its probability, or over labels.

    Args:
        source: of the images, as for `ValidationAccuracy`.
        batch_size: images computed at a time.
    """

    columns = ("val_auc",)

    def __init__(self, source: DataSource, batch_size: int) -> None:
        super().__init__()
        self.source, self.batch_size = source, batch_size

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds it to the logs."""
        several = self.source.info.multi_label
        classifier = (as_labels if several else as_classifier)(self.model.network)
        logits, labels = answered(classifier, self.source.watched, self.batch_size)
        if logs is not None and len(labels):
            logs[self.columns[0]] = macro_auc(logits if several else softmax(logits, 1), labels)


def answered(
    classifier: Classifier, source: DataSource, batch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """What a network answers to the first test images of a source, at most 2,000.

    Args:
        classifier: the network.
        source: of the images.
        batch_size: images computed at a time.

    Returns:
        The logits float32 (N, K), and the labels int (N,) or (N, K); nothing if no image can be
        read any more.
    """
    batches = source.test(batch_size, limit=IMAGES).as_numpy_iterator()
    pairs = [(logits_of(classifier, images, batch_size), labels) for images, labels in batches]
    if not pairs:
        return np.zeros((0, 1), np.float32), np.zeros(0, np.int32)
    logits, labels = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    return logits, labels
