"""How fast a whole network's margins can shrink, from the graph of its layers."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np

from tfrobust.certification.growth import Growth
from tfrobust.certification.layer_growth import Shapes, through
from tfrobust.certification.rounding import UNIT_32, UNIT_64, gamma
from tfrobust.core.activations import has_graph
from tfrobust.core.outputs import AsLogits, logit

# What may follow the last dense layer and change nothing.
NOTHING = (keras.layers.Flatten, keras.layers.Identity, keras.layers.Reshape)


class Seen(NamedTuple):
    """What was seen of N images, and how far from them is looked.

    Args:
        norms: by the identity of a tensor of the network's graph, float64 (N,), the tensor's L2
            norms if nothing is rounded.
        reach: float64 (N,), an L2 distance from each image.
    """

    norms: Mapping[int, np.ndarray]
    reach: np.ndarray


def margins_growth(
    network: keras.Model, labels: np.ndarray, seen: Seen
) -> tuple[np.ndarray, np.ndarray]:
    """How fast the margins f_label − f_k of a network can change, and what rounding does to them.

    The bound is the product of what its layers do to distances. If the network ends in a dense
    layer, the last factor is the length of the difference of two of its rows, which is exact;
    else it is √2. Where two logits are made of one output, only one of them moves: its row is the
    difference, and without a dense layer the factor is 1.

    Args:
        network: images (B, H, W, C) → logits (B, K), functional or Sequential.
        labels: int (N,).
        seen: of the images; the norms of the network's own input at least.

    Returns:
        The slopes, for an L2 distance of 1, and the largest change of a margin by rounding to
        float32: float64 (N, K) each; they mean nothing where k is the label.

    Raises:
        InputError: of some layer nothing is known.
    """
    count = network.output_shape[-1]
    given, single = _single(network.outputs[0])
    last, taken = _last_dense(given)
    if last is None:
        whole = growth_at(network, given, seen)
        both = np.sqrt(2) if single is None else 1.0
        slopes = np.full((len(labels), count), both * whole.lipschitz)
        rounded = both * whole.error + UNIT_32 * (0.0 if single is None else abs(single.absence))
        return slopes * (1 + 4 * UNIT_64), np.tile(rounded[:, None], count)
    features = growth_at(network, taken, seen)
    kernel = np.asarray(last.kernel, np.float64)
    bias = np.abs(np.asarray(last.bias, np.float64)) if last.use_bias else np.zeros(len(kernel.T))
    if single is not None:
        own = kernel[:, single.output]
        kernel = np.stack([np.zeros_like(own), own], axis=1)
        bias = np.array([abs(single.absence), bias[single.output]])
    differences = np.linalg.norm(kernel[:, labels, None] - kernel[:, None, :], axis=0)
    differences *= 1 + 2 * gamma(len(kernel) + 4, UNIT_64)
    lengths = np.linalg.norm(kernel, axis=0)
    reached = (features.norm + features.error)[:, None]
    rounded = (lengths[labels, None] + lengths) * reached + bias[labels, None] + bias
    rounded *= gamma(len(kernel) + 2, UNIT_32)
    return features.lipschitz * differences, differences * features.error[:, None] + rounded


def growth_at(network: keras.Model, tensor: Any, seen: Seen, image: Growth | None = None) -> Growth:
    """What is known of a tensor inside a network.

    Args:
        network: functional or Sequential, with one input.
        tensor: one of its graph's.
        seen: of the images.
        image: what is known of its input; None if it is the image itself.
    """
    graph = getattr(network, "_functional", None) or network
    taken = graph.inputs[0]
    if image is None:
        image = Growth(1.0, seen.norms[id(taken)] + seen.reach, np.zeros_like(seen.reach))
    known = {id(taken): image}
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            inputs = [known[id(one)] for one in node.input_tensors if id(one) in known]
            if node.is_input or len(inputs) < len(node.input_tensors):
                continue
            made = id(node.outputs[0])
            known[made] = _behind(node, seen, inputs)
            if made in seen.norms:
                known[made] = known[made].within(seen.norms[made], seen.reach)
    return known[id(tensor)]


def _behind(node: Any, seen: Seen, inputs: list[Growth]) -> Growth:
    inner = node.operation
    if isinstance(inner, keras.Model) and has_graph(inner):
        return growth_at(inner, inner.outputs[0], seen, inputs[0])
    shapes = Shapes([one.shape for one in node.input_tensors], node.outputs[0].shape)
    return through(inner, shapes, inputs)


class Single(NamedTuple):
    """The output that two logits are made of.

    Args:
        output: its number.
        absence: the logit of the first of the two classes, which does not move.
    """

    output: int
    absence: float


def _single(logits: Any) -> tuple[Any, Single | None]:
    """The tensor of outputs that two logits are made of, and which of them; else the logits."""
    layer, taken = _made_by(logits)
    if type(layer) is not AsLogits or layer.kind != "logits" or logits.shape[-1] != 2:
        return logits, None
    if not isinstance(layer.label, int):
        return (taken, Single(0, 0.0)) if taken.shape[-1] == 1 else (logits, None)
    threshold = layer.thresholds[layer.label] if layer.thresholds else 0.5
    return taken, Single(layer.label, logit(threshold))


def _last_dense(given: Any) -> tuple[Any, Any]:
    """The dense layer that gives a tensor and the tensor that it takes; None if there is none."""
    layer, taken = _made_by(given)
    while type(layer) in NOTHING or _only_says(layer):
        layer, taken = _made_by(taken)
    if type(layer) is keras.layers.Dense and _linear(layer) and len(taken.shape) == 2:
        return layer, taken
    return None, None


def _only_says(layer: Any) -> bool:
    """Whether it passes its values on, as what says that logits are those of several labels."""
    if type(layer) is AsLogits:
        return bool(layer.kind == "logits" and layer.label == "all")
    return type(layer) is keras.layers.Activation and _linear(layer)


def _made_by(tensor: Any) -> tuple[Any, Any]:
    """The operation that makes a tensor, and the first tensor that it takes."""
    operation, node, _ = tensor._keras_history
    return operation, next(iter(operation._inbound_nodes[node].input_tensors), None)


def _linear(layer: Any) -> bool:
    return layer.activation is keras.activations.linear
