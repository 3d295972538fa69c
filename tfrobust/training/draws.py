"""The random numbers of a training step: they depend on the seed and the iteration alone."""

from typing import TYPE_CHECKING, Any

import tensorflow as tf

if TYPE_CHECKING:
    from tfrobust.training.classifier import RobustClassifier

# Random numbers have a stream for each purpose, so that one purpose does not change the other's.
PENALTY_DRAWS, PERTURBATION_DRAWS, EVIDENCE_DRAWS, PART_DRAWS = range(4)


def draws(
    classifier: "RobustClassifier",
    classes: tf.Tensor,
    columns: int = 2,
    stream: int = PENALTY_DRAWS,
) -> tf.Tensor:
    """Uniform random numbers (B, columns), by an image's place in the batch of all devices."""
    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync if context else 1
    count = tf.shape(classes)[0]
    # The stream is in the upper 32 bits, where no seed reaches.
    first = tf.constant(classifier.seed + (stream << 32), tf.int64)
    seed = tf.stack([first, iteration(classifier)])
    uniform = tf.random.stateless_uniform([count * replicas, columns], seed)
    if replicas == 1:
        return uniform
    start = count * context.replica_id_in_sync_group
    return uniform[start : start + count]


def drawn_part(uniform: tf.Tensor, fraction: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Draws one image of each of fraction·B groups of neighbours, which are about as large.

    So every image is as likely to be drawn as its weight says: the weighted sum of any value of
    the drawn images is in expectation the mean over all. Devices draw alike, whether one has the
    whole batch or each has whole groups.

    Args:
        uniform: float (B,), in [0, 1).
        fraction: above 0 and at most 1. At least one image is drawn.

    Returns:
        The places of the drawn images, int32 (M,), and their weights, float (M,), which sum to 1:
        the sizes of their groups, divided by B.
    """
    count = tf.shape(uniform)[0]
    groups = tf.cast(tf.round(fraction * tf.cast(count, tf.float32)), tf.int32)
    groups = tf.maximum(groups, 1)
    edges = tf.range(groups + 1) * count // groups
    starts, sizes = edges[:-1], edges[1:] - edges[:-1]
    shares = tf.cast(sizes, uniform.dtype)
    within = tf.cast(tf.gather(uniform, starts) * shares, tf.int32)
    # Rounding may carry a draw just below 1 up to the next group.
    places = starts + tf.minimum(within, sizes - 1)
    return places, shares / tf.cast(count, uniform.dtype)


def iteration(classifier: "RobustClassifier") -> tf.Tensor:
    """How many batches the optimizer has seen."""
    optimizer = unscaled(classifier.optimizer)
    # Not `iterations`, which counts updates: where gradients are accumulated, batches between two
    # of them would draw the same.
    return tf.cast(tf.convert_to_tensor(optimizer._iterations), tf.int64)


def unscaled(optimizer: Any) -> Any:
    """The optimizer itself, which may stand behind one that scales the loss."""
    return getattr(optimizer, "inner_optimizer", optimizer)
