"""Networks read back from disk, whatever form they were saved in. Nothing is ever unpickled."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

# Registers the layers that our .keras files name.
import tfrobust.core.layers  # noqa: F401
from tfrobust.core import keras_file, onnx_file, python_function, saved_model, shipped
from tfrobust.core import version_folders as versions
from tfrobust.core.classifier import Classifier
from tfrobust.core.door import as_classifier, as_whole
from tfrobust.core.input_range import Range
from tfrobust.core.outputs import Output
from tfrobust.core.temperature import checked_temperature
from tfrobust.errors import InputError

KERAS_FILE = "network.keras"
SAVED_MODEL_FILE = "saved_model.pb"
CARD_FILE = "model_card.json"

READERS: dict[str, Callable[[Path], keras.Model | Classifier]] = {
    ".keras": keras_file.read,
    ".h5": keras_file.read,
    ".onnx": onnx_file.read,
}


def load(
    model: str | Path,
    *,
    input_range: Range | None = None,
    output: Output | None = None,
    label: int | None = None,
) -> keras.Model | Classifier:
    """Reads a network: one that comes with the package, or one of yours.

    Only an address needs a network connection. A SavedModel and a Python function are programs:
    load those only whose maker you trust. A Keras file with code in it (Lambda layers) is refused.

    Args:
        model: a path, or else the name of a network that comes with the package, such as
            "cifar10". At the path is a .keras, .h5 or .onnx file, a SavedModel's folder, or a
            folder of versions, of which the newest is taken. An address leads to the same:
            hf://owner/repository, https://host/x.keras#sha256=…, s3://…, gs://… (see
            `tfrobust.core.remote.fetch`; extra "remote"). "python:package.module:function"
            names a function of NumPy images, in an installed module or one in this folder (see
            `Opaque`), or a network of Keras or PyTorch there.
        input_range, output, label: what the file does not say of the network, as `as_classifier`
            takes it.

    Returns:
        A Keras network for what Keras saved, else a `Classifier`, as always where something is
        said of the network. That of a SavedModel has a gradient; so has that of an ONNX file, if
        the extra "torch" is installed and can read its graph. Others are `Opaque`. `evaluate`,
        `explain` and `as_classifier` take all of them.

    Raises:
        InputError: there is no such network, it cannot be read, or what is said of it contradicts
            what is known.
    """
    network = _read(model)
    if (input_range, output, label) == (None, None, None):
        return network
    if label is None:
        return as_whole(network, input_range=input_range, output=output)
    return as_classifier(network, input_range=input_range, output=output, label=label)


def _read(model: str | Path) -> keras.Model | Classifier:
    if str(model).startswith(shipped.PREFIX):
        return python_function.read(str(model))
    path = shipped.find(model)
    if path.is_dir():
        folder = version_folder(path)
        kept = folder / KERAS_FILE
        return keras_file.read(kept) if kept.is_file() else saved_model.read(folder)
    if path.suffix.lower() not in READERS:
        raise InputError(f"expected {shipped.EXPECTED}; {path} is none of them")
    return READERS[path.suffix.lower()](path)


def class_names(model: str | Path) -> list[str] | None:
    """The classes of an exported network, from the model card beside it.

    Args:
        model: as for `load`.

    Returns:
        K names; None if there is no card.

    Raises:
        InputError: there is no such network, or the card is damaged.
    """
    found = card(model)
    return None if found is None else [str(name) for name in found["classes"]]


def training_data(model: str | Path) -> dict[str, Any]:
    """Which data an exported network was trained on, from the model card beside it.

    Args:
        model: as for `load`.

    Returns:
        The section `data` of the run's configuration; empty if there is no card, or if it does not
        tell.

    Raises:
        InputError: as `class_names`.
    """
    recipe = (card(model) or {}).get("recipe")
    # Version 0.1 wrote all fields into one section, and a user may write anything.
    data = recipe.get("data") if isinstance(recipe, dict) else None
    return data if isinstance(data, dict) else {}


def temperature_of(model: str | Path) -> float | None:
    """By what an exported network's logits are divided for its probabilities, from the card.

    Args:
        model: as for `load`.

    Returns:
        The temperature; None if there is no card, or if nobody fitted one.

    Raises:
        InputError: as `class_names`, or the card's temperature is no number above 0.
    """
    told = (card(model) or {}).get("temperature")
    return None if told is None else checked_temperature(told)


def reading(model: str | Path) -> dict[str, Any]:
    """How the pictures were read that an exported network was trained on, from the card beside it.

    Args:
        model: as for `load`.

    Returns:
        `bits`, `frame` and `fit`, as `datasets.load` takes them; those that the card tells.

    Raises:
        InputError: as `class_names`.
    """
    told = (card(model) or {}).get("input")
    told = {**training_data(model), **(told if isinstance(told, dict) else {})}
    return {name: told[name] for name in ("bits", "frame", "fit") if name in told}


def card(model: str | Path) -> dict[str, Any] | None:
    """The model card beside a network, which has a list of classes.

    Args:
        model: as for `load`.

    Returns:
        What model_card.json holds; None if there is none.

    Raises:
        InputError: there is no such network, or the card is damaged.
    """
    if str(model).startswith(shipped.PREFIX):
        return None
    path = shipped.find(model)
    file = (version_folder(path) if path.is_dir() else path.parent) / CARD_FILE
    try:
        found: dict[str, Any] = json.loads(file.read_text(), parse_constant=_refused)
        list(found["classes"])
        return found
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"expected a model card with classes at {file}, but: {error!r}") from None


def _refused(constant: str) -> float:
    raise ValueError(f"{constant} is no number in JSON")


def version_folder(path: Path) -> Path:
    """The folder that holds a model: the path itself, or its newest version.

    Args:
        path: a folder.

    Raises:
        InputError: no model in it.
    """
    for folder in (path, *(path / str(number) for number in reversed(versions.numbers(path)))):
        if (folder / KERAS_FILE).is_file() or (folder / SAVED_MODEL_FILE).is_file():
            return folder
    raise InputError(f"expected {shipped.EXPECTED}; the folder {path} holds none of them")
