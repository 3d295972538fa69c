"""How often each class came in the training so far: what a guess knows without an image."""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tfrobust")
class BaseRates(keras.layers.Layer):
    """Counts the classes of the images that were trained on, by their weights.

    Each class begins with the count of one image, so that no rate is ever 0 and the first ones are
    those of classes that come equally often.

    Args:
        num_classes: K.
    """

    def __init__(self, num_classes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.counts = self.add_weight(
            name="counts",
            shape=(num_classes,),
            initializer="ones",
            trainable=False,
            dtype=keras.config.floatx(),
            aggregation="only_first_replica",  # every device adds what is of all devices
        )
        self.built = True

    def update(self, classes: tf.Tensor, weights: tf.Tensor | None) -> tf.Tensor:
        """Adds a batch.

        Args:
            classes: int (B,), of this device's part of the batch; or rows of shares (B, K).
            weights: of the images, (B,) or (B, 1); None for equal ones.

        Returns:
            The logarithms of the rates, float (K,), the batch included.
        """
        if classes.shape.rank == 2:
            found = tf.cast(classes, self.counts.dtype)
        else:
            found = tf.one_hot(classes, self.num_classes, dtype=self.counts.dtype)
        if weights is not None:
            found *= tf.cast(tf.reshape(weights, [-1, 1]), found.dtype)
        counted = tf.reduce_sum(found, axis=0)
        context = tf.distribute.get_replica_context()
        if context is not None and context.num_replicas_in_sync > 1:
            counted = context.all_reduce(tf.distribute.ReduceOp.SUM, counted)
        self.counts.assign_add(counted)
        counts = tf.convert_to_tensor(self.counts)
        return tf.math.log(counts) - tf.math.log(tf.reduce_sum(counts))

    def load_own_variables(self, store: Any) -> None:
        """Loads the counts; files of before there were any have none."""
        if len(store.keys()):
            super().load_own_variables(store)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same layer."""
        return {**super().get_config(), "num_classes": self.num_classes}
