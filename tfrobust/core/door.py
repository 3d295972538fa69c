"""The one door for a network: whatever a user brings becomes a `Classifier`."""

import functools
import types
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tfrobust.core import logits, outputs, saved_model
from tfrobust.core.classifier import Classifier, Model
from tfrobust.core.function_logits import FunctionLogits
from tfrobust.core.input_range import FREE_SIDE, Range, checked_range, read_range
from tfrobust.core.keras_inputs import unit_network
from tfrobust.core.outputs import HoldTogether, Label, Output, Thresholds
from tfrobust.core.torch_module import TorchFunction, is_torch
from tfrobust.errors import InputError

# The name under which a model keeps its classifiers. They live as long as the model does, because
# TensorFlow compiles anew for every object that it does not know.
_KEPT = "_tfrobust_classifiers"


def as_classifier(
    model: Model,
    *,
    input_range: Range | None = None,
    output: Output | None = None,
    label: int | None = None,
) -> Classifier:
    """Makes a `Classifier` of whatever can be one.

    The same model gives the same Classifier, so that nothing is compiled twice for it.

    Args:
        model: a Keras classifier of images, (B, H, W, C) or (B, C, H, W), that ends in logits, a
            softmax or sigmoids; a function in TensorFlow of images (B, H, W, C) that gives such
            outputs (B, K); a PyTorch module of images (B, C, H, W), which is put into its
            evaluation mode; what `tf.saved_model.load` gives; or a Classifier, such as
            `tfrobust.load` gives for an ONNX file.
        input_range: the lowest and the highest pixel that the network takes, as (0, 255) or
            (-1, 1). The Classifier takes pixels from 0 to 1 all the same. None to read it from the
            first layers of a Keras network, and else for (0, 1).
        output: what the network's outputs are: "logits", the probabilities of a "softmax", or
            those of one or several "sigmoid"s. None to read it from the network. A single output
            stands for two classes: its logit is that of class 1, and class 0 has the logit 0.
        label: of K outputs that may hold together (multi-label), the one that is asked about. It
            becomes two classes, without the label (0) and with it (1). The second one is the
            likelier where the label's confidence is above its threshold.

    Raises:
        InputError: it is nothing of that kind; its outputs can be read in two ways; what is said
            here contradicts what is known; or it has several labels and none is named.
    """
    made = _classifier(model, input_range, output, label)
    if made.task == "multi-label":
        raise outputs.hold_together(made.name, f"has {made.num_classes} labels")
    return made


def as_labels(
    model: Model,
    *,
    input_range: Range | None = None,
    output: Output | None = None,
    thresholds: Sequence[float] | None = None,
) -> Classifier:
    """Makes a `Classifier` of a network of several labels that may hold together (multi-label).

    Each of its K logits is one label's own, and the sigmoid of it the label's confidence. Attacks
    take it with the criterion `LabelFlip`. What asks about classes that exclude one another takes
    one label at a time: `as_classifier(model, label=0)`.

    Args:
        model: as for `as_classifier`; it ends in K sigmoids or in their logits.
        input_range: as for `as_classifier`.
        output: "logits" or "sigmoid"; None to read it from the network.
        thresholds: K numbers between 0 and 1: the confidence above which each label holds. The
            Classifier, and what is exported of it, keep them. None for those that the network has
            already, and else for one half.

    Raises:
        InputError: as for `as_classifier`, a network of one output or of a softmax, or thresholds
            that do not fit its labels.
    """
    if thresholds is not None:
        thresholds = outputs.checked_thresholds(thresholds, None)
    return _classifier(model, input_range, output, "all", thresholds)


def as_whole(
    model: Model, *, input_range: Range | None = None, output: Output | None = None
) -> Classifier:
    """`as_labels` of a network that is known to have several labels, else `as_classifier`.

    It is for what takes networks of either task.
    """
    try:
        made = as_classifier(model, input_range=input_range, output=output)
        if getattr(made._logits, "output", None) == "sigmoid":
            # Of a function it is only told by an answer whether there is one sigmoid or several.
            sizes = [size or FREE_SIDE for size in (made.input_shape or (None, None, None, 1))[1:]]
            made.check(np.zeros((2, *sizes), np.float32), needs_gradient=False)
        return made
    except HoldTogether:
        return as_labels(model, input_range=input_range, output=output)


def _classifier(
    model: Model,
    input_range: Range | None,
    output: Output | None,
    label: Label,
    thresholds: Thresholds | None = None,
) -> Classifier:
    outputs.checked(output, label)
    label = label if label in (None, "all") else int(label)
    if input_range is not None:
        input_range = checked_range(input_range)
    said = (input_range, output, label, thresholds)
    kept, method = _kept(model), getattr(model, "__func__", None)
    if (method, *said) not in kept:
        if isinstance(model, Classifier):
            made = _told(model, *said).at_temperature(model.temperature, own=model._own)
        elif isinstance(model, keras.Model):
            made = _of_keras(model, *said)
            # What is read from the network might have been said as well.
            made = kept.setdefault((method, made.input_range, *said[1:]), made)
        elif said == (None, None, None, None):
            made = _of_function(model)
        else:
            made = _classifier(_classifier(model, None, None, None), *said)
        kept[(method, *said)] = made
    return kept[(method, *said)]


def _kept(model: Model) -> dict[Any, Classifier]:
    """The classifiers made of a model so far, which the model itself holds.

    A table of ours would keep every model for good, because a Classifier holds its model.
    """
    # A bound method is a new object at each look, and what it holds is its function's.
    owner = model.__self__ if isinstance(model, types.MethodType) else model
    attributes = getattr(owner, "__dict__", None)
    if not isinstance(attributes, dict):
        return {}
    # functools.wraps and copies carry attributes over to what is another model.
    if attributes.get(_KEPT, (None,))[0] != id(owner):
        attributes[_KEPT] = id(owner), {}  # not by setattr, because Keras tracks what is set so
    return attributes[_KEPT][1]


def _of_keras(
    model: keras.Model,
    input_range: Range | None,
    output: Output | None,
    label: Label,
    thresholds: Thresholds | None,
) -> Classifier:
    found = logits.read(model, output, label, thresholds)
    shape = found.network.inputs[0].shape
    if len(shape) != 4:
        raise InputError(
            f"expected a network of images (None, height, width, channels), got one of {shape}"
        )
    input_range = input_range or read_range(found.network)
    found = found._replace(network=unit_network(found.network, input_range))
    return _on_network(found, _named(model.name, label), input_range)


def _on_network(found: logits.Logits, name: str, input_range: Range | None) -> Classifier:
    network = found.network
    return Classifier(
        functools.partial(network, training=False),
        name=name,
        input_shape=network.input_shape,
        num_classes=network.output_shape[-1],
        network=network,
        input_range=input_range,
        form=found.form,
        thresholds=found.thresholds,
    )


def _of_function(model: Any) -> Classifier:
    if isinstance(getattr(model, "signatures", None), Mapping):
        return saved_model.of_loaded(model)
    if not callable(model):
        kind = type(model).__name__
        raise InputError(
            "expected a network: a Keras model, a function from images to logits, a PyTorch "
            "module, or what "
            f"tfrobust.load(path) reads from a file, got {kind} {model!r:.60}"
        )
    function = TorchFunction(model) if is_torch(model) else model
    if isinstance(model, keras.layers.Layer):
        function = functools.partial(model, training=False)
    taken, given = getattr(model, "input_shape", None), getattr(model, "output_shape", None)
    # Both a lambda and an object of a class of its own are told by their type.
    called = getattr(model, "__name__", "<")
    called = type(model).__name__ if called.startswith("<") else called
    name = str(getattr(model, "name", called))
    return Classifier(
        FunctionLogits(function, name),
        name=name,
        input_shape=taken if isinstance(taken, tuple) and len(taken) == 4 else None,
        num_classes=given[-1] if isinstance(given, tuple) and len(given) == 2 else None,
    )


def _told(
    model: Classifier,
    input_range: Range | None,
    output: Output | None,
    label: Label,
    thresholds: Thresholds | None,
) -> Classifier:
    """The same network, with what is said of it now."""
    known = "all" if model.task == "multi-label" else None
    nothing_new = (model.input_range, None, known, model.thresholds)
    asked_for = known if label is None else label
    told = (input_range or model.input_range, output, asked_for, thresholds or model.thresholds)
    if told == nothing_new:
        return model
    if model.input_range is not None and input_range not in (None, model.input_range):
        raise InputError(
            f"expected input_range={model.input_range}, which is known of {model.name} already, "
            f"got {input_range}"
        )
    name = _named(model.name, label)
    if model.network is not None:
        found = logits.Logits(model.network, model.form, model.thresholds)
        if (output, label) != (None, None):
            if label is not None:  # the ending that was taken off still counts
                ending = model.form.activation if model.form.activation == "softmax" else None
                count = (
                    1 if model.form.single and label == "all" else model.network.output_shape[-1]
                )
                outputs.resolved(ending, output, label, count, model.name)
            found = logits.read(model.network, output, label, thresholds)
        if model.input_range is None:
            found = found._replace(network=unit_network(found.network, input_range))
        form = found.form if label is not None else model.form
        found = found._replace(form=form)
        return _on_network(found, name, input_range or model.input_range)
    asked = model._logits
    if not isinstance(asked, FunctionLogits):
        asked = FunctionLogits(asked, model.name)
    return Classifier(
        asked.told(input_range, output, label, thresholds),
        name=name,
        input_shape=model.input_shape,
        num_classes=2 if isinstance(label, int) else model.num_classes,
        has_gradient=model.has_gradient,
        input_range=input_range or model.input_range,
    )


def _named(name: str, label: Label) -> str:
    return name if label in (None, "all") else f"{name}, label {label}"
