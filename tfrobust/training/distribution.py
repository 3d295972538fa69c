"""Which devices train together."""

from collections.abc import Sequence

import tensorflow as tf


def choose(devices: Sequence[str] | None = None) -> tf.distribute.Strategy:
    """MirroredStrategy over more than one device, TensorFlow's own single-device way otherwise.

    Args:
        devices: names such as "GPU:0"; None for every GPU of this machine.

    Returns:
        The strategy in whose scope the network is to be made.
    """
    names = devices or [device.name for device in tf.config.list_logical_devices("GPU")]
    return tf.distribute.MirroredStrategy(names) if len(names) > 1 else tf.distribute.get_strategy()
