"""Exports a network as a version folder that TF Serving, Keras and onnxruntime can use."""

import shutil
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrobust.core import version_folders as versions
from tfrobust.core.classifier import Classifier
from tfrobust.core.door import as_whole
from tfrobust.core.images import checked_images
from tfrobust.core.input_range import Range
from tfrobust.core.interruption import deferred
from tfrobust.core.loading import KERAS_FILE
from tfrobust.core.temperature import at_temperature, checked_temperature
from tfrobust.datasets.names import Fit
from tfrobust.errors import InputError, reason_of
from tfrobust.exporting import card, extras, onnx, parity
from tfrobust.exporting.arguments import (
    NOT_ASKED,
    check_card,
    checked_names,
    checked_network,
    in_full_precision,
    not_wanted,
)
from tfrobust.exporting.forms import FILES, keras_file
from tfrobust.exporting.parity import ParityError
from tfrobust.exporting.signatures import signatures_of
from tfrobust.models.depthwise_convolution import depthwise


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
    forms: Sequence[str] = tuple(FILES),
    explainer: bool = True,
    bits: int | None = None,
    fit: Fit = "crop",
    temperature: float | None = None,
) -> Path:
    """Writes a network as the next version, in forms that give the same answers.

    The version folder holds a SavedModel with the signatures of `signatures_of`; in assets.extra/
    its labels, input specification, card and warm-up requests; network.keras, classifier.onnx,
    explainer.onnx, model_card.json and MODEL_CARD.md. It appears whole. After an error or Ctrl-C
    nothing is left behind.

    The SavedModel is always there. Another form is left out where it cannot be made, or gives
    other answers: ONNX has no form for some layers, and a layer of one's own may not be readable
    from a Keras file. A warning and the card tell which form it is and why. A network that
    computes in half precision is exported in float32. Convolutions of one group for each channel
    are written as depthwise ones (`models.depthwise`), but in network.keras.

    Args:
        network: a Keras classifier of images (B, H, W, C) in [0, 1] that ends in logits or in a
            softmax, which is left out; or what `as_classifier` made of one. A network that ends in
            K sigmoids, and what `as_labels` made of one with thresholds, is written as one of
            labels that may hold together.
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
        reference_images: float (N, H, W, C) in [0, 1]. The forms are compared on the first 64, and
            the first six go along as sample pictures. Seeded noise and none when None.
        picture: for the card: a PNG file of explanations.
        forms: which forms to write besides the SavedModel: "keras" for network.keras,
            "classifier" for classifier.onnx, "explainer" for explainer.onnx.
        explainer: whether "explainer" is among the forms. It takes most of the time.
        bits: how many bits of each sample carried the picture in the 16-bit files that it was
            trained on (`DatasetInfo.bits`); `predict_bytes` reads such files likewise.
        fit: how `predict_bytes` brings pictures of other proportions to the network's size
            (`DatasetInfo.fit`).
        temperature: by which logits are divided before they become `probabilities`, from
            `robustness.fit_temperature`. Logits, decisions and explanations stay as they are; the
            thresholds of labels become those of the new probabilities. None for 1.

    Returns:
        `<directory>/<version>`.

    Raises:
        InputError: an argument is not as described. It is raised before anything is computed.
        ParityError: the SavedModel gives other answers than the network.
    """
    if "://" in str(directory):
        raise InputError(f"expected a folder on this machine, got {directory}")
    directory = Path(directory)
    classifier, network = checked_network(network, input_range)
    names = checked_names(class_names, network.output_shape[-1])
    images = None
    if reference_images is not None:
        images = checked_images(reference_images, classifier, at_least_one=True)
    network = in_full_precision(network)
    served = depthwise(network)
    check_card(recipe, figures, names, name or str(directory), provenance)
    if picture is not None and not picture.is_file():
        raise InputError(f"expected a picture at {picture}, there is none")
    left_out = not_wanted(forms, explainer)
    divisor = checked_temperature(temperature)
    several = classifier.thresholds
    with versions.staging(directory) as folder:
        with deferred() as look:
            signatures = _write_saved_model(served, folder, names, bits, fit, divisor)
            look()
            for form, file in FILES.items():
                if file not in left_out:
                    one = network if file == KERAS_FILE else served
                    _write_form(form, one, folder / file, names, left_out, divisor)
                    look()
            compared = _compared(network, folder, names, images, left_out, divisor)
            content = card.build(
                name=name or directory.resolve().name,
                input_shape=network.input_shape,
                class_names=names,
                task=classifier.task,
                thresholds=None if several is None else at_temperature(several, divisor),
                temperature=temperature and divisor,
                signatures=signatures,
                left_out=left_out,
                parity=compared,
                provenance=provenance,
                recipe=recipe,
                figures=figures,
                bits=bits,
                fit=fit,
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
                break
    for file, reason in left_out.items():
        if reason != NOT_ASKED:
            warnings.warn(f"{file} is left out: {reason}", stacklevel=2)
    return directory / str(version)


def rehearse(
    network: keras.Model, folder: Path, *, class_names: Sequence[str], bits: int | None = None
) -> dict[str, str]:
    """Writes a network in all forms into nothing, to see beforehand which cannot be made.

    Args:
        network: as for `export`. It need not be trained, because no form is compared.
        folder: an existing folder, in which a temporary one is made and taken away.
        class_names: K names.
        bits: as for `export`.

    Returns:
        A file → why `export` will leave it out.

    Raises:
        InputError: an argument is not as described.
        Exception: the SavedModel cannot be made; a layer's own code may raise anything.
    """
    _, network = checked_network(network, None)
    names = checked_names(class_names, network.output_shape[-1])
    network = in_full_precision(network)
    served = depthwise(network)
    left_out: dict[str, str] = {}
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        _write_saved_model(served, Path(temporary), names, bits)
        for form, file in FILES.items():
            one = network if file == KERAS_FILE else served
            _write_form(form, one, Path(temporary) / file, names, left_out)
        if KERAS_FILE not in left_out:
            try:
                keras_file(Path(temporary))
            except Exception as error:
                left_out[KERAS_FILE] = f"it cannot be read back: {reason_of(error)}"
    return left_out


def _write_form(
    form: str,
    network: keras.Model,
    path: Path,
    class_names: Sequence[str],
    left_out: dict[str, str],
    temperature: float = 1.0,
) -> None:
    """Writes a form that may be left out; if it cannot be made, `left_out` is told the reason."""
    try:
        if form == "keras":
            network.save(path)
        elif form == "classifier":
            onnx.write_classifier(network, path, class_names=class_names, temperature=temperature)
        else:
            onnx.write_explainer(network, path, class_names=class_names, temperature=temperature)
    except (InputError, OSError):  # no room on the disk is no fault of the form
        raise
    except Exception as error:  # a layer's own code may raise anything
        path.unlink(missing_ok=True)
        left_out[path.name] = reason_of(error)


def _compared(
    network: keras.Model,
    folder: Path,
    class_names: Sequence[str],
    images: np.ndarray | None,
    left_out: dict[str, str],
    temperature: float,
) -> parity.Parity:
    """Compares all forms. One that may be left out, and gives other answers, is taken away.

    Args:
        network: what all forms are made of.
        folder: of the version.
        class_names: K names.
        images: as for `parity.check`.
        left_out: a file → why it is left out. What is taken away is added.
        temperature: as for `parity.check`.

    Raises:
        ParityError: the SavedModel gives other answers.
    """
    while True:
        try:
            return parity.check(
                network, folder, class_names=class_names, images=images, temperature=temperature
            )
        except ParityError as error:
            wrong = {name: found for name, found in error.faults.items() if name in FILES.values()}
            if not wrong:
                raise
            for file, found in wrong.items():
                (folder / file).unlink()
                left_out[file] = "; ".join(found)


def _write_saved_model(
    network: keras.Model,
    folder: Path,
    class_names: Sequence[str],
    bits: int | None,
    fit: Fit = "crop",
    temperature: float = 1.0,
) -> dict[str, Any]:
    """Writes the SavedModel, and gives the types and shapes of its signatures for the card."""
    functions = {
        name: function.get_concrete_function()
        for name, function in signatures_of(network, class_names, bits, fit, temperature).items()
    }
    # keras.export.ExportArchive would store the weights twice. A module that owns the variables
    # themselves stores them once.
    module = tf.Module()
    module.weights = [variable.value for variable in network.variables]
    if (thresholds := as_whole(network).thresholds) is not None:
        # Those of the logits' sigmoids. The signature gives those of its probabilities.
        module.thresholds = tf.Variable(thresholds, trainable=False, dtype=tf.float32)
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
