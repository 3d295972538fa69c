"""Sets of TensorFlow Datasets whose images may have several labels, each by one adapter.

COCO gives the objects in an image: a label holds if there is such an object. CheXpert gives 14
observations of a radiograph, each positive, negative, uncertain or not mentioned: a label holds if
it is positive.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from tfrobust.errors import InputError

# Their order in CheXpert's CSV (Irvin et al., arXiv 1901.07031, table 1).
OBSERVATIONS = (
    *("No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion"),
    *("Edema", "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion"),
    *("Pleural Other", "Fracture", "Support Devices"),
)
POSITIVE = "positive"


class SeveralLabels(NamedTuple):
    """Where the records of a set keep the labels of an image.

    Args:
        key: the name of the feature, numbers int64 (n,) in a record.
        class_names: of the K labels.
        state: the number that a label has where it holds, for a feature with a state for each
            label; None for one that lists the labels that hold.
    """

    key: str
    class_names: tuple[str, ...]
    state: int | None = None

    def vector(self, numbers: tf.Tensor) -> tf.Tensor:
        """What a record holds, int64 (n,), as 0 or 1 for each label, int32 (K,)."""
        count = len(self.class_names)
        if self.state is not None:
            return tf.cast(tf.ensure_shape(numbers, (count,)) == self.state, tf.int32)
        each = tf.one_hot(numbers, count, on_value=True, off_value=False, dtype=tf.bool)
        return tf.cast(tf.reduce_any(each, axis=0), tf.int32)


def adapted(builder: Any) -> SeveralLabels | None:
    """Where a set keeps the labels of an image.

    Args:
        builder: a tfds.core.DatasetBuilder.

    Returns:
        None for a set without an adapter.

    Raises:
        InputError: this configuration of the set has no such labels.
    """
    adapter = ADAPTERS.get(builder.name)
    if adapter is None:
        return None
    try:
        return adapter(builder.info.features)
    except (KeyError, AttributeError) as error:
        raise InputError(
            f"{builder.info.full_name} does not have the labels that are expected of "
            f"{builder.name}; choose another configuration, such as coco/2017"
        ) from error


def _coco(features: Any) -> SeveralLabels:
    label = features["objects"].feature["label"]
    return SeveralLabels("objects/label", tuple(label.names))


def _chexpert(features: Any) -> SeveralLabels:
    return SeveralLabels("label", OBSERVATIONS, features["label"].feature.str2int(POSITIVE))


ADAPTERS: dict[str, Callable[[Any], SeveralLabels]] = {"coco": _coco, "chexpert": _chexpert}
