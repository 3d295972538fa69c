"""What `export` is given, checked before anything is computed."""

import json
from collections.abc import Sequence
from typing import Any

import keras

from tfrobust.core.classifier import Classifier
from tfrobust.core.door import as_whole
from tfrobust.core.files import check_utf8
from tfrobust.core.input_range import Range
from tfrobust.errors import InputError, reason_of
from tfrobust.exporting import card
from tfrobust.exporting.forms import FILES
from tfrobust.models.convert import full_precision

SAVED_MODEL = "saved_model"  # it may be named among the forms, and is always there
NOT_ASKED = "not asked for"


def checked_network(network: Any, input_range: Range | None) -> tuple[Classifier, keras.Model]:
    """The classifier and its Keras network, which gives logits for images of one size."""
    classifier = as_whole(network, input_range=input_range)
    if classifier.network is None:
        raise InputError(f"expected a Keras network to export, got a {type(network).__name__}")
    _ = classifier.image_shape  # refuses a network of images of several sizes
    return classifier, classifier.network


def in_full_precision(network: keras.Model) -> keras.Model:
    """The network, or its copy in float32 where a layer computes in half precision.

    Half precision is for training. Runtimes round it each in their own way, or do not know it.
    """
    layers = network._flatten_layers(include_self=False)
    half = sorted({layer.compute_dtype for layer in layers} & {"bfloat16", "float16"})
    if not half:
        return network
    try:
        return full_precision(network)
    except Exception as error:  # a layer's own code may raise anything
        raise InputError(
            f"expected a network that can be copied in float32, as it computes in {half[0]}, but: "
            f"{reason_of(error)}. Build it in float32 and give it these weights"
        ) from error


def checked_names(class_names: Any, outputs: int) -> list[str]:
    """The names of the classes, one for each output of the network."""
    if isinstance(class_names, str) or not isinstance(class_names, Sequence):
        raise InputError(f"expected class_names as a list of names, got {class_names!r}")
    if len(class_names) != outputs:
        raise InputError(
            f"expected {outputs} class names, one for each output of the network, "
            f"got {len(class_names)}"
        )
    return [str(name) for name in class_names]


def not_wanted(forms: Any, explainer: bool) -> dict[str, str]:
    """The files of the forms that are not asked for, and that reason."""
    if isinstance(forms, str) or set(forms) - {SAVED_MODEL, *FILES}:
        raise InputError(f"expected forms as a list out of {', '.join(FILES)}, got {forms!r}")
    wanted = set(forms) - (set() if explainer else {"explainer"})
    return {file: NOT_ASKED for form, file in FILES.items() if form not in wanted}


def check_card(*parts: Any) -> None:
    """Refuses what a card cannot hold.

    Args:
        *parts: the recipe, the figures, and texts.

    Raises:
        InputError: JSON has no type for a part, or a text is not UTF-8.
    """
    try:
        told = card.plain(parts)
    except TypeError as error:
        raise InputError(f"expected a recipe and figures that JSON can hold, but {error}") from None
    check_utf8(json.dumps(told, ensure_ascii=False))
