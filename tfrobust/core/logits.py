"""Any Keras classifier as a plain network that gives logits, on the classifier's own weights."""

import functools
from typing import Any, NamedTuple

import keras
import numpy as np

from tfrobust.core import outputs
from tfrobust.core.activations import before_activation, fresh_name, has_graph, last_operation
from tfrobust.core.endings import ending
from tfrobust.core.input_range import FREE_SIDE
from tfrobust.core.outputs import Form, Label, Output, Thresholds
from tfrobust.errors import InputError

PROBES = 4  # images that an ending is judged by


class Logits(NamedTuple):
    """A network that gives logits, and how the network that it is made of ends.

    Args:
        network: functional or Sequential, images → logits (B, K), K at least 2.
        form: of its own outputs.
        thresholds: of labels that may hold together, as far as it says them.
    """

    network: keras.Model
    form: Form
    thresholds: Thresholds | None = None


def logits_network(
    network: keras.Model, *, output: Output | None = None, label: int | None = None
) -> keras.Model:
    """The plain network that gives a classifier's logits, on the classifier's own weights.

    A last softmax or sigmoid is left out, whether it is a layer, an operation or the activation of
    the last layer. One output z becomes the logits 0 and z of two classes. A network that gives
    logits stays as it is. A subclassed model becomes the one layer of a functional network; of its
    softmax the logarithm is taken.

    Args:
        network: a built functional, Sequential or subclassed Keras model, images (B, …) → logits
            or probabilities (B, K).
        output: what its outputs are; None to read it from the network.
        label: of outputs that may hold together, the one that becomes two classes: without it, and
            with it.

    Returns:
        A functional or Sequential model, images → logits (B, K), K at least 2. It is `network`
        itself where that is one already. Both share their weights: training the one trains the
        other.

    Raises:
        InputError: it is no Keras model, it is not built, it has several inputs or outputs, its
            output is not (B, K), or it cannot be told whether these are logits.
    """
    return read(network, output, label).network


def read(
    network: Any,
    output: str | None = None,
    label: Label = None,
    thresholds: Thresholds | None = None,
) -> Logits:
    """`logits_network`, and what it found."""
    if not isinstance(network, keras.Model):
        raise InputError(f"expected a Keras model, got a {type(network).__name__}")
    outputs.checked(output, label)
    network = unwrapped(network)
    if not has_graph(network):
        network = _wrapped(network)
    if len(network.inputs) != 1 or len(network.outputs) != 1:
        raise InputError(
            f"expected a network from images to logits (B, K), got {len(network.inputs)} inputs "
            f"and {len(network.outputs)} outputs; take one of each: keras.Model(network.inputs[0], "
            "network.outputs[0])"
        )
    images, given = network.inputs[0], network.outputs[0]
    if len(given.shape) != 2 or given.shape[-1] is None:
        raise InputError(
            f"expected a network whose output is logits (B, K), got {given.shape}; add a "
            "keras.layers.Flatten() if other sizes are 1"
        )
    if thresholds is not None:
        outputs.checked_thresholds(thresholds, given.shape[-1])
    last = last_operation(given)
    if isinstance(last, outputs.AsLogits) and last.label == "all":
        if label is None:
            raise outputs.hold_together(network.name, f"has {given.shape[-1]} labels")
        if label == "all" and thresholds in (None, last.thresholds):
            return Logits(network, Form(several=True), last.thresholds)
        thresholds = thresholds or last.thresholds
    values, activation = before_activation(given)
    kind = _kind(network, activation, output, label)
    taken_off = values is not given
    single = given.shape[-1] == 1 or isinstance(label, int)
    ends = "logits" if taken_off else kind
    logits = values
    if single or ends != "logits" or label == "all":
        name = fresh_name(network, "logits")
        logits = outputs.AsLogits(ends, label, thresholds, dtype="float32", name=name)(logits)
    elif taken_off and logits.dtype != given.dtype:  # a float32 softmax on half precision
        name = fresh_name(network, "logits")
        logits = keras.layers.Activation("linear", dtype=given.dtype, name=name)(logits)
    listed = (network.input_shape, network.output_shape) != (images.shape, given.shape)
    if logits is not given or listed:  # listed: its input or output comes in a list or mapping
        network = keras.Model(images, logits, name=network.name)
    made = activation if taken_off else {"logits": "linear"}.get(kind, kind)
    return Logits(network, Form(made or "linear", single, label == "all"), thresholds)


def unwrapped(network: keras.Model) -> keras.Model:
    """The network that a `RobustClassifier` trains, and any other model as it is."""
    # By its name, because what trains stands on this room.
    names = map(keras.saving.get_registered_name, type(network).__mro__)
    return network.network if "tfrobust>RobustClassifier" in names else network


def _wrapped(network: keras.Model) -> keras.Model:
    """A functional network of one layer: the subclassed model."""
    built_on = network.get_build_config() if network.built else None
    shape = (built_on or {}).get("input_shape")
    if not shape:
        raise InputError(
            "expected a network built on one input, so that its shapes are known: call it once on "
            f"a batch of images; got {network.name}, built on {built_on}"
        )
    images = keras.Input(tuple(shape[1:]), name="images")
    return keras.Model(images, network(images), name=network.name)


def _kind(network: keras.Model, activation: str | None, output: str | None, label: Label) -> str:
    """What the outputs of a network are, one of `outputs.OUTPUTS`."""
    count = network.outputs[0].shape[-1]
    if activation is None and output is None:
        images = _noise(network)
        values = np.asarray(keras.ops.cast(network(images, training=False), "float32"))
        if not outputs.may_be_shares(values):
            activation = "linear"
        else:
            activation = ending(functools.partial(network, training=False), images.shape)
    kind = outputs.resolved(activation, output, label, count, network.name)
    return kind or outputs.judged(values, label, network.name)


def _noise(network: keras.Model) -> np.ndarray:
    """A few images that the network takes."""
    taken = network.inputs[0]
    shape = [taken.shape[0] or PROBES, *(size or FREE_SIDE for size in taken.shape[1:])]
    largest = 1 if keras.backend.is_float_dtype(taken.dtype) else 255
    return largest * np.random.default_rng(0).random(shape, np.float32)
