"""Networks read back from disk, whatever form they were saved in. Nothing is ever unpickled."""

import json
import zipfile
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

# Registers the layers that our .keras files name.
import tfrobust.core.layers  # noqa: F401
from tfrobust.core import shipped
from tfrobust.core import version_folders as versions
from tfrobust.errors import InputError

EXPECTED = (
    "expected a .keras file, a SavedModel folder, or a folder of versions "
    "such as saved_models/fashion_mnist_mini"
)
KERAS_FILE = "network.keras"
SAVED_MODEL_FILE = "saved_model.pb"
CARD_FILE = "model_card.json"


class ServedModel:
    """A SavedModel's `serving_default`, to be called, differentiated and attacked like Keras.

    Args:
        folder: holds a SavedModel whose signature takes images and gives `logits`.

    Raises:
        InputError: the signature is another.
    """

    def __init__(self, folder: Path) -> None:
        # The loaded object owns the variables that the signature uses.
        self._owner = tf.saved_model.load(str(folder))
        signature = self._owner.signatures.get("serving_default")
        inputs = {} if signature is None else signature.structured_input_signature[1]
        outputs = {} if signature is None else signature.structured_outputs
        if len(inputs) != 1 or "logits" not in outputs:
            raise InputError(
                f"expected at {folder} a signature serving_default with one input and the output "
                f"logits, got inputs {sorted(inputs)} and outputs {sorted(outputs)}"
            )
        ((self._input, spec),) = inputs.items()
        self._signature = signature
        self.name = folder.name
        self.input_shape = _as_tuple(spec.shape)
        self.output_shape = _as_tuple(outputs["logits"].shape)

    def __call__(self, images: Any, training: bool = False) -> tf.Tensor:
        """Gives logits.

        Args:
            images: float32 (B, H, W, C) in [0, 1].
            training: as Keras layers take it; a SavedModel only ever infers.

        Returns:
            float32 (B, K), differentiable with respect to the images.
        """
        return self._signature(**{self._input: tf.convert_to_tensor(images, tf.float32)})["logits"]


def load(model: str | Path) -> keras.Model | ServedModel:
    """Loads a network: one that comes with the package, or one of yours.

    Args:
        model: the name of a network that comes with the package, such as "cifar10"; it needs no
            network connection. Or a path, as for `load_model`.

    Returns:
        A Keras network, float32 images (B, H, W, C) in [0, 1] → logits (B, K), for `evaluate`,
        `explain` and `export`. Its model card lies beside it.

    Raises:
        InputError: there is neither a network of that name nor a model at that path.
    """
    known = shipped.networks()
    if str(model) in known:
        return load_model(known[str(model)])
    if not Path(model).exists():
        names = ", ".join(sorted(known)) or "none"
        raise InputError(
            f"expected the name of a network that comes with the package ({names}), a .keras file, "
            f"a SavedModel's folder or a folder of versions; got {str(model)!r}"
        )
    return load_model(model)


def load_model(path: str | Path) -> keras.Model | ServedModel:
    """Reads a network back.

    A SavedModel is a program: load those only whose maker you trust. A .keras file with code in
    it (lambda layers) is refused.

    Args:
        path: a .keras file; a version folder, from which network.keras is taken if there, else
            the SavedModel; or a folder of versions, of which the newest is taken.

    Returns:
        float32 images (B, H, W, C) in [0, 1] → logits (B, K), differentiable, with
        `input_shape` and `output_shape`.

    Raises:
        InputError: there is no such model at the path.
    """
    path = Path(path)
    if path.is_dir():
        folder = version_folder(path)
        kept = folder / KERAS_FILE
        model = _read_keras(kept) if kept.is_file() else _read_saved_model(folder)
    elif not path.exists():
        raise InputError(f"{EXPECTED}; there is nothing at {path}")
    elif path.suffix != ".keras" or not zipfile.is_zipfile(path):
        raise InputError(f"{EXPECTED}; {path} is neither")
    else:
        model = _read_keras(path)
    shapes(model)
    return model


def class_names(path: str | Path) -> list[str] | None:
    """The classes of an exported network, from the model card beside it.

    Args:
        path: as for `load_model`.

    Returns:
        K names; None if there is no card.

    Raises:
        InputError: the path is no model, or the card is damaged.
    """
    path = Path(path)
    card = (version_folder(path) if path.is_dir() else path.parent) / CARD_FILE
    try:
        names = json.loads(card.read_text())["classes"]
        return [str(name) for name in names]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"expected a model card with classes at {card}, but: {error!r}") from None


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
    raise InputError(f"{EXPECTED}; the folder {path} holds none of them")


def shapes(network: Any) -> tuple[tuple[int, int, int], int]:
    """What a network maps to what: (H, W, C) of its images, and its number of classes K.

    Args:
        network: has `input_shape` and `output_shape` as Keras models do.

    Raises:
        InputError: says what was expected and what came.
    """
    # A Keras model that was never built has no shapes at all.
    taken: Any = getattr(network, "input_shape", None)
    given: Any = getattr(network, "output_shape", None)
    if not (_is_shape(taken, 4) and _is_shape(given, 2)):
        raise InputError(
            "expected a network with images (None, height, width, channels) of one size as its "
            f"input and logits (None, classes) as its output, got {taken} and {given}"
        )
    height, width, channels = taken[1:]
    return (height, width, channels), given[1]


def _is_shape(shape: Any, rank: int) -> bool:
    return (
        isinstance(shape, tuple)
        and len(shape) == rank
        and shape[0] is None
        and all(isinstance(size, int) for size in shape[1:])
    )


def _read_keras(path: Path) -> keras.Model:
    # What a damaged file raises is anything at all.
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        raise InputError(f"{EXPECTED}; {path} cannot be read: {error}") from None
    if not isinstance(model, keras.Model):
        raise InputError(f"{EXPECTED}; {path} holds a {type(model).__name__}")
    return model


def _read_saved_model(folder: Path) -> ServedModel:
    try:
        return ServedModel(folder)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{EXPECTED}; {folder} cannot be read: {error}") from None


def _as_tuple(shape: tf.TensorShape) -> tuple[int | None, ...] | None:
    return None if shape.rank is None else tuple(shape.as_list())
