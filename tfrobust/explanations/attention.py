"""Learned attention as a map: where a network with an attention gate says that it looked."""

import dataclasses
from typing import Any, ClassVar

import keras
import tensorflow as tf

from tfrobust.core.classifier import Classifier
from tfrobust.errors import InputError
from tfrobust.explanations.base import MapMethod
from tfrobust.explanations.feature_layer import opened, shown_large
from tfrobust.models.attention import AttentionPooling


@dataclasses.dataclass(frozen=True, kw_only=True)
class Attention(MapMethod):
    """The weights that a network's `AttentionPooling` gives the places of an image, from 0 to 1.

    The network is one of Keras with such a layer, as `models.resnet_cifar(attention=True)` has it.
    The map is the same for all classes.

    Args:
        batch_size: images that the network sees at a time.

    Source: Jetley et al., arXiv 1804.02391.
    """

    name: ClassVar[str] = "Attention"
    needs_gradient: ClassVar[bool] = False

    def check_model(self, model: Classifier) -> None:
        """Refuses a model without such a layer."""
        super().check_model(model)
        _gate(model)

    def attribution(self, model: Classifier, images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """See `Method.attribution`: (B, H, W, 1)."""
        network, gate, features = _gate(model)
        seen = keras.Model(network.inputs, features)(images, training=False)
        weights = gate.attention(tf.cast(seen, gate.compute_dtype))
        return shown_large(weights[..., 0], images.shape[1], images.shape[2])


def _gate(model: Classifier) -> tuple[keras.Model, AttentionPooling, Any]:
    """The network, with nested models opened; its layer of attention, and what goes into that."""
    network: Any = opened(model.network)
    graph: Any = getattr(network, "_functional", None) or network
    found = [
        (node.operation, node.input_tensors[0])
        for nodes in getattr(graph, "_nodes_by_depth", {}).values()
        for node in nodes
        if isinstance(node.operation, AttentionPooling)
    ]
    if len(found) != 1:
        raise InputError(
            f"expected a network with one layer AttentionPooling, got {len(found)}: train one with "
            "tfrobust.models.resnet_cifar(attention=True) or --attention"
        )
    return network, *found[0]
