"""Reads the networks that the paper's authors published for CIFAR-10."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfrobust.errors import InputError
from tfrobust.models import torch_checkpoint
from tfrobust.models.resnet import resnet_cifar

IMAGE_SIDE = 32  # of CIFAR-10; the weights would fit images of any size
HALF_HUBER_WIDTH = 0.5
NORM_PARTS = ("weight", "bias", "running_mean", "running_var")
TORCH_ENDINGS = (".pt", ".pth")


def load(path: str | Path) -> keras.Model:
    """Loads a published network.

    Depth, width, number of classes, normalisation and activation follow from its arrays. The
    networks "robust" and "all" have Half-Huber ReLUs, "standard" and "adv-train" have plain ones.

    Args:
        path: the PyTorch checkpoint, .pt (see `torch_checkpoint.read`); or an .npz file with one
            array for each name of its state dictionary ("pipe.1.0.main.0.weight", …), in which
            convolution kernels are laid out as O, I, H, W.

    Returns:
        A functional Keras model: float32 images (B, 32, 32, C) in [0, 1] → logits (B, K).

    Raises:
        InputError: the file is missing or of another kind, its arrays do not make such a network,
            or PyTorch is not installed to read a checkpoint.

    Source: arXiv 1906.02896, Methods; the networks of the authors' CIFAR-10 example.
    """
    path = Path(path)
    arrays = torch_checkpoint.read(path) if path.suffix in TORCH_ENDINGS else _read(path)
    network = resnet_cifar(**_structure(arrays))
    used = {"input_offset"}
    for layer, names in zip(_weighted_layers(network), _names(arrays), strict=True):
        values = []
        for name, variable in zip(names, layer.weights, strict=True):
            value = _array(arrays, name)
            if value.ndim == 4:
                value = value.transpose(2, 3, 1, 0)  # O, I, H, W → H, W, I, O
            if value.shape != tuple(variable.shape):
                raise InputError(
                    f"expected {name} to hold {tuple(variable.shape)} values (H, W, I, O), "
                    f"got {value.shape}"
                )
            values.append(value)
        layer.set_weights(values)
        used.update(names)
    if unknown := [name for name in _weights(arrays) if name not in used]:
        raise InputError(f"expected a pre-activation ResNet only, got also {_some(unknown)}")
    return network


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        file = np.load(path, allow_pickle=False)
        if isinstance(file, np.ndarray):
            raise InputError(f"expected an .npz of named arrays, got the one array of {path}")
        with file:
            return {name: file[name] for name in file.files}
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"expected an .npz of plain arrays, got {path}: {error}") from error


def _structure(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The arguments with which `resnet_cifar` makes a network that fits the arrays."""
    stem, head = _array(arrays, "pipe.0.weight"), _array(arrays, "pipe.7.weight")
    offset = _array(arrays, "input_offset")
    if stem.ndim != 4 or head.ndim != 4:
        raise InputError(
            f"expected 4-D kernels pipe.0.weight and pipe.7.weight, got {stem.shape}, {head.shape}"
        )
    channels = stem.shape[1]
    if offset.shape != (2, channels):
        raise InputError(
            f"expected input_offset to hold means and deviations, (2, {channels}), "
            f"got {offset.shape}"
        )
    widths = {float(value) for name, value in arrays.items() if name.endswith(".d")}
    if widths - {HALF_HUBER_WIDTH}:
        raise InputError(f"expected half-Huber ReLUs of width 0.5, got {sorted(widths)}")
    return {
        "depth": 6 * _blocks(arrays) + 2,
        "num_classes": head.shape[0],
        "input_shape": (IMAGE_SIDE, IMAGE_SIDE, channels),
        "width": stem.shape[0],
        "activation": "half_huber_relu" if widths else "relu",
        "mean": offset[0].tolist(),
        "std": offset[1].tolist(),
    }


def _blocks(arrays: Mapping[str, np.ndarray]) -> int:
    """The number of blocks in a group."""
    blocks = 0
    while f"pipe.1.{blocks}.main.0.weight" in arrays:
        blocks += 1
    if not blocks:
        raise InputError("expected blocks named pipe.1.0.main.0.weight and so on, got none")
    return blocks


def _names(arrays: Mapping[str, np.ndarray]) -> list[list[str]]:
    """The names of each weighted layer's arrays, in the order of `_weighted_layers`."""

    def norm(prefix: str) -> list[str]:
        return [f"{prefix}.{part}" for part in NORM_PARTS]

    names = [["pipe.0.weight"]]
    for group in (1, 2, 3):
        for block in range(_blocks(arrays)):
            prefix = f"pipe.{group}.{block}"
            names += [norm(f"{prefix}.pre.0"), [f"{prefix}.main.0.weight"]]
            names += [norm(f"{prefix}.main.1")]
            if group > 1 and block == 0:
                names += [[f"{prefix}.shortcut.weight"]]
            names += [[f"{prefix}.main.3.weight"]]
    return [*names, norm("pipe.4"), ["pipe.7.weight", "pipe.7.bias"]]


def _weighted_layers(network: keras.Model) -> list[keras.layers.Layer]:
    # Keras orders layers by their distance from the output. A shortcut's convolution is as far
    # from it as the last one of its block, and comes before it, as `Add` names it first.
    return [layer for layer in network.layers if layer.weights]


def _weights(arrays: Mapping[str, np.ndarray]) -> list[str]:
    """All names except those of the activations' widths and of PyTorch's counts of batches."""
    return [name for name in arrays if not name.endswith((".d", ".num_batches_tracked"))]


def _array(arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    if name not in arrays:
        raise InputError(f"expected an array named {name}, got {_some(sorted(arrays))}")
    if arrays[name].dtype.kind != "f" or not np.isfinite(arrays[name]).all():
        raise InputError(f"expected finite floats in {name}, got others ({arrays[name].dtype})")
    return arrays[name]


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
