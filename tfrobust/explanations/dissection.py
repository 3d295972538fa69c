"""Network dissection: which units of a network look at which concepts."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfrobust.core.batching import in_batches
from tfrobust.core.classifier import Model
from tfrobust.core.door import as_classifier
from tfrobust.core.images import checked_images
from tfrobust.core.presenters import Presented
from tfrobust.errors import InputError
from tfrobust.explanations.feature_layer import feature_layers

# Of all places where a unit is seen, the share at which it counts as active, and the overlap from
# which it counts as a detector of a concept. Both are the paper's.
ACTIVE_SHARE = 0.005
DETECTOR = 0.04


class Unit(NamedTuple):
    """A unit of a layer and the concept that it fits best.

    Args:
        layer: the layer's name.
        unit: the channel, from 0.
        concept: the one of the largest overlap.
        iou: intersection over union of the unit's active places and the concept's, over all
            images, from 0 to 1.
        by_chance: the largest overlap with any concept's places in other images.
    """

    layer: str
    unit: int
    concept: str
    iou: float
    by_chance: float

    @property
    def is_detector(self) -> bool:
        """Whether the unit fits the concept better than the paper's limit and than chance."""
        return self.iou > max(DETECTOR, self.by_chance)


@dataclasses.dataclass(frozen=True)
class Dissection(Presented):
    """How well each unit of some layers fits each concept.

    Args:
        concepts: their names, C of them.
        iou: layer → float (units, C), intersection over union over all images.
        by_chance: layer → the same with each image's concepts taken from another image.
    """

    concepts: tuple[str, ...]
    iou: Mapping[str, np.ndarray]
    by_chance: Mapping[str, np.ndarray]

    def units(self) -> list[Unit]:
        """Each unit with the concept that it fits best, in the network's order."""
        return [
            Unit(layer, unit, self.concepts[best], float(row[best]), float(chance.max()))
            for layer, rows in self.iou.items()
            for unit, (row, chance) in enumerate(zip(rows, self.by_chance[layer], strict=True))
            for best in [int(row.argmax())]
        ]

    def detectors(self, layer: str | None = None) -> dict[str, list[Unit]]:
        """For each concept the units that detect it, the best one first.

        Args:
            layer: only this one's; None for all.
        """
        found: dict[str, list[Unit]] = {concept: [] for concept in self.concepts}
        for unit in sorted(self.units(), key=lambda unit: -unit.iou):
            if unit.is_detector and layer in (None, unit.layer):
                found[unit.concept].append(unit)
        return found


def dissect(
    model: Model,
    images: Any,
    concepts: Mapping[str, Any],
    *,
    layers: Sequence[str] | None = None,
    active_share: float = ACTIVE_SHARE,
    batch_size: int = 32,
    seed: int = 0,
) -> Dissection:
    """Compares where units are active with where concepts are.

    A unit, one channel of a layer, is active where its value is among the largest `active_share`
    of all its values in all images. Maps of values are enlarged bilinearly to the images' size. All
    values of one layer are in memory at once.

    Args:
        model: a Keras network, or what `as_classifier` makes of one.
        images: float (N, H, W, C) in [0, 1], or uint8.
        concepts: name → bool (N, H, W), where the concept is in each image.
        layers: names of layers with outputs (B, h, w, units); None for the last one of each size.
        active_share: above 0 and below 1.
        batch_size: images that the network sees at a time.
        seed: of which image's concepts another one is given, for `by_chance`.

    Returns:
        The overlap of every unit with every concept.

    Raises:
        InputError: the network's layers are not known, a layer is not there, a concept's shape is
            not the images' or it is nowhere, or a number is out of its range.

    Source: Bau et al., arXiv 1704.05796, section 2.
    """
    if not 0 < active_share < 1:
        raise InputError(f"expected an active_share above 0 and below 1, got {active_share}")
    classifier = as_classifier(model)
    images = checked_images(images, classifier, at_least_one=True)
    network, outputs = feature_layers(classifier, layers)
    masks = _masks(concepts, images.shape[:3])
    # No image keeps its own concepts, unless it is the only one.
    order = np.random.default_rng(seed).permutation(len(images))
    others = np.empty_like(masks)
    others[order] = masks[np.roll(order, 1)]
    iou, by_chance = {}, {}
    for name, output in outputs.items():
        features = keras.Model(network.inputs, output)
        values = in_batches(
            lambda block, of=features: of(block, training=False), batch_size, images
        )
        values = values.astype(np.float32)
        limits = np.quantile(values, 1 - active_share, axis=(0, 1, 2)).astype(np.float32)
        iou[name] = _overlap(values, limits, masks, batch_size)
        by_chance[name] = _overlap(values, limits, others, batch_size)
    return Dissection(tuple(concepts), iou, by_chance)


def _masks(concepts: Mapping[str, Any], shape: tuple[int, ...]) -> np.ndarray:
    """The concepts side by side: bool (N, H, W, C)."""
    if not concepts:
        raise InputError("expected at least one concept, a name and its masks, got none")
    masks = []
    for name, mask in concepts.items():
        mask = np.asarray(mask)
        if mask.shape != shape or mask.dtype != bool:
            raise InputError(
                f"expected masks of {name} as bool {shape}, as the images are, got {mask.dtype} "
                f"{mask.shape}"
            )
        if not mask.any():
            raise InputError(f"expected {name} to be somewhere in the images; leave it out")
        masks.append(mask)
    return np.stack(masks, axis=-1)


def _overlap(
    values: np.ndarray, limits: np.ndarray, masks: np.ndarray, batch_size: int
) -> np.ndarray:
    """Intersection over union of where units are above their limits and where concepts are.

    Args:
        values: float32 (N, h, w, U).
        limits: float32 (U,).
        masks: bool (N, H, W, C).
        batch_size: images at a time.

    Returns:
        float64 (U, C).
    """
    units, concepts = values.shape[-1], masks.shape[-1]
    both, either = np.zeros((units, concepts)), np.zeros((units, concepts))
    for first in range(0, len(values), batch_size):
        part = np.s_[first : first + batch_size]
        large = tf.image.resize(values[part], masks.shape[1:3], method="bilinear").numpy()
        active = (large > limits).reshape(-1, units).astype(np.float32)
        there = masks[part].reshape(-1, concepts).astype(np.float32)
        shared = active.T @ there
        both += shared
        either += active.sum(axis=0)[:, None] + there.sum(axis=0) - shared
    # A unit that is the same everywhere is active nowhere, and a concept is somewhere.
    return both / either
