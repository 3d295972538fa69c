"""Exports a network as a version folder that TF Serving, Keras and onnxruntime can use."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfrobust.core import version_folders as versions
from tfrobust.core.classifier import Classifier
from tfrobust.core.door import as_classifier
from tfrobust.core.images import checked_images
from tfrobust.core.input_range import Range
from tfrobust.core.interruption import deferred
from tfrobust.core.loading import KERAS_FILE
from tfrobust.errors import InputError
from tfrobust.exporting import card, extras, onnx, parity
from tfrobust.exporting.forms import EXPLAINER_FILE, ONNX_FILE
from tfrobust.exporting.signatures import signatures_of


def export(
    network: keras.Model | Classifier,
    directory: str | Path,
    *,
    class_names: Sequence[str],
    input_range: Range | None = None,
    name: str | None = None,
    provenance: str | None = None,
    recipe: Mapping[str, Any] | None = None,
    figures: Mapping[str, Any] | None = None,
    reference_images: Any = None,
    picture: Path | None = None,
    explainer: bool = True,
    bits: int | None = None,
) -> Path:
    """Writes a network as the next version, if all its forms give the same answers.

    The version folder holds a SavedModel with the signatures of `signatures_of`; in assets.extra/
    its labels, input specification, card and warm-up requests; network.keras, classifier.onnx,
    explainer.onnx, model_card.json and MODEL_CARD.md. It appears whole. After an error or Ctrl-C
    nothing is left behind.

    Args:
        network: a Keras classifier of images (B, H, W, C) in [0, 1] that ends in logits or in a
            softmax, which is left out; or what `as_classifier` made of one.
        directory: the folder of versions, such as saved_models/fashion_mnist_mini. It is made if
            it is missing.
        class_names: K names.
        input_range: the lowest and the highest pixel that the network takes, as (0, 255), for a
            network that does not take pixels from 0 to 1. What is written takes pixels from 0
            to 1 all the same.
        name: the model's name; the directory's name when None.
        provenance: for the card: which images the network was trained on, where they are from, and
            their licence.
        recipe: for the card: how it was trained.
        figures: for the card: what was measured. A figure with an interval and the attacks' names
            is a mapping of its own.
        reference_images: float (N, H, W, C) in [0, 1]. The forms are compared on the first 64.
            Seeded noise when None.
        picture: for the card: a PNG file of explanations.
        explainer: whether to write explainer.onnx, which takes most of the time for a ResNet-44.
        bits: how many bits of each sample carried the picture in the 16-bit files that it was
            trained on (`DatasetInfo.bits`); `predict_bytes` reads such files likewise.

    Returns:
        `<directory>/<version>`.

    Raises:
        InputError: an argument is not as described. It is raised before anything is computed.
        ParityError: the forms disagree.
    """
    if "://" in str(directory):
        raise InputError(f"expected a folder on this machine, got {directory}")
    directory = Path(directory)
    classifier, network = _checked_network(network, input_range)
    names = _checked_names(class_names, network.output_shape[-1])
    images = None
    if reference_images is not None:
        images = checked_images(reference_images, classifier, at_least_one=True)
    _check_card(recipe, figures)
    if picture is not None and not picture.is_file():
        raise InputError(f"expected a picture at {picture}, there is none")
    with versions.staging(directory) as folder:
        with deferred() as look:
            signatures = _write_saved_model(network, folder, names, bits)
            look()
            network.save(folder / KERAS_FILE)
            look()
            onnx.write_classifier(network, folder / ONNX_FILE, class_names=names)
            look()
            if explainer:
                onnx.write_explainer(network, folder / EXPLAINER_FILE, class_names=names)
                look()
            content = card.build(
                name=name or directory.resolve().name,
                input_shape=network.input_shape,
                class_names=names,
                signatures=signatures,
                parity=parity.check(network, folder, class_names=names, images=images),
                provenance=provenance,
                recipe=recipe,
                figures=figures,
            )
            look()
            if picture is not None:
                shutil.copyfile(picture, folder / card.PICTURE_FILE)
            extras.write(folder, content, images=images)
            for path in folder.glob("*.onnx"):
                onnx.attach_card(path, content)
            content["file_bytes"] = card.file_bytes(folder)
        while True:
            version = max(versions.numbers(directory), default=0) + 1
            card.write(folder, content, version=version)
            if versions.rename(folder, version):
                return directory / str(version)


def _write_saved_model(
    network: keras.Model, folder: Path, class_names: Sequence[str], bits: int | None
) -> dict[str, Any]:
    """Writes the SavedModel, and gives the types and shapes of its signatures for the card."""
    functions = {
        name: function.get_concrete_function()
        for name, function in signatures_of(network, class_names, bits).items()
    }
    # keras.export.ExportArchive would store the weights twice. A module that owns the variables
    # themselves stores them once.
    module = tf.Module()
    module.weights = [variable.value for variable in network.variables]
    # Custom gradients are kept so that the loaded model can be differentiated: attacks and
    # explanations need it.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=True)
    tf.saved_model.save(module, str(folder), signatures=functions, options=options)
    return {
        name: {
            "inputs": _specs({spec.name: spec for spec in function.structured_input_signature[0]}),
            "outputs": _specs(function.structured_outputs),
        }
        for name, function in functions.items()
    }


def _specs(specs: Mapping[str, tf.TensorSpec]) -> dict[str, Any]:
    return {
        name: {"dtype": spec.dtype.name, "shape": spec.shape.as_list()}
        for name, spec in specs.items()
    }


def _checked_network(network: Any, input_range: Range | None) -> tuple[Classifier, keras.Model]:
    """The classifier and its Keras network, which gives logits for images of one size."""
    classifier = as_classifier(network, input_range=input_range)
    if classifier.network is None:
        raise InputError(f"expected a Keras network to export, got a {type(network).__name__}")
    _ = classifier.image_shape  # refuses a network of images of several sizes
    return classifier, classifier.network


def _checked_names(class_names: Any, outputs: int) -> list[str]:
    if isinstance(class_names, str) or not isinstance(class_names, Sequence):
        raise InputError(f"expected class_names as a list of names, got {class_names!r}")
    if len(class_names) != outputs:
        raise InputError(
            f"expected {outputs} class names, one for each output of the network, "
            f"got {len(class_names)}"
        )
    return [str(name) for name in class_names]


def _check_card(recipe: Any, figures: Any) -> None:
    try:
        card.plain([recipe, figures])
    except TypeError as error:
        raise InputError(f"expected a recipe and figures that JSON can hold, but {error}") from None
