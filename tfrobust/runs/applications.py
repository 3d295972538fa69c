"""The networks of keras.applications, with new weights or with trained ones."""

import contextlib
import difflib
import inspect
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from tfrobust.core.layers import InputNormalization
from tfrobust.datasets import DatasetInfo
from tfrobust.errors import InputError, reason_of
from tfrobust.models.weights import give_weights
from tfrobust.runs.network_section import IMAGENET

FIELD, WEIGHTS_FIELD = "network.architecture", "network.weights"
BATCH_NORM_MOMENTUM = 0.9  # as in the paper's networks


def application(name: str, info: DatasetInfo, weights: str | None) -> keras.Model:
    """One of keras.applications for a data set.

    With new weights, the network normalises images by the data's mean and deviation. With trained
    ones, it does to its images what it was trained with, a grey image is taken as three equal
    channels, and a pooling and a new last layer give the data's classes.

    The moving averages of batch normalisation follow by 0.9 in either case: by the .999 of some of
    these networks they would need thousands of steps, and the network that is measured uses them.

    Args:
        name: such as "EfficientNetV2B0".
        info: of the data set.
        weights: "imagenet", a file of the network's weights without its top, or None for new ones.

    Returns:
        Images (B, H, W, C) in [0, 1] → logits (B, K).

    Raises:
        InputError: there is no such network, it does not take such images, or its weights cannot
            be had.
    """
    make = _named(name)
    images = keras.Input(info.image_shape, name="images")
    with _in_words(f"keras:{name}", info):
        if weights is None:
            network = _new(make, images, info)
        else:
            network = _pretrained(make, images, info, _trained(name, make, info, weights))
    quicken(network)
    return network


def quicken(network: keras.Model) -> None:
    """Lets the moving averages of batch normalisation follow within a short training."""
    for layer in network._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = min(layer.momentum, BATCH_NORM_MOMENTUM)


def normalised(
    images: keras.KerasTensor,
    mean: Sequence[float],
    std: Sequence[float],
    order: Sequence[int] = (0, 1, 2),
) -> keras.KerasTensor:
    """Images in [0, 1], grey or of three channels, as trained weights want them.

    Args:
        images: (B, H, W, C).
        mean: that is subtracted, of three channels.
        std: that is divided by.
        order: of the channels, before they are normalised: this one or its reverse.

    Raises:
        InputError: the images have another number of channels.
    """
    if images.shape[-1] not in (1, 3):
        raise InputError(
            "expected grey or colour images for trained weights, got images "
            f"{tuple(images.shape[1:])}"
        )
    if images.shape[-1] == 1:
        images = keras.layers.Concatenate(name="grey")([images] * 3)
    if list(order) != [0, 1, 2]:
        images = keras.ops.flip(images, axis=-1)
    return InputNormalization(mean, std, dtype=keras.config.floatx())(images)


def _named(name: str) -> Callable[..., keras.Model]:
    # Beside the networks, which are functions, there are modules such as `resnet`.
    known = dict(inspect.getmembers(keras.applications, inspect.isfunction))
    if name in known:
        return known[name]
    cases = {one.lower(): one for one in known}
    near = [cases[one] for one in difflib.get_close_matches(name.lower(), cases, n=3)]
    raise InputError(
        f"expected `{FIELD}` keras:NAME, such as keras:EfficientNetV2B0, to name a network of "
        f"keras.applications, got {name!r}"
        + (f". Did you mean {' or '.join(near)}?" if near else "")
    )


def _new(make: Callable[..., keras.Model], images: Any, info: DatasetInfo) -> keras.Model:
    options: dict[str, Any] = {}
    mean, std = info.mean, info.std
    if "include_preprocessing" in inspect.signature(make).parameters:
        options["include_preprocessing"] = False
    elif not any(_preprocessing(make)[1]):
        mean, std = (0.0,) * len(mean), (1 / 255,) * len(std)  # EfficientNets divide by 255 inside
    normalize = InputNormalization(mean, std, dtype=keras.config.floatx())
    return make(
        weights=None,
        input_tensor=normalize(images),
        classes=info.num_classes,
        classifier_activation=None,
        **options,
    )


def _trained(
    name: str, make: Callable[..., keras.Model], info: DatasetInfo, weights: str
) -> list[np.ndarray]:
    """The weights of a network without its top."""
    shape = (*info.image_shape[:2], 3)
    try:
        with warnings.catch_warnings():
            # That the weights were trained at another size is said by the documentation.
            warnings.filterwarnings("ignore", "`input_shape` is undefined")
            return make(weights=weights, include_top=False, input_shape=shape).get_weights()
    except InputError:
        raise
    except Exception as error:
        # A size that is too small is no fault of the weights.
        make(weights=None, include_top=False, input_shape=shape)
        if weights == IMAGENET:
            raise InputError(
                f"expected to download the ImageNet weights of keras:{name}, but: "
                f"{reason_of(error)}. Download the file on another machine and give its path as "
                f"`{WEIGHTS_FIELD}`, or leave that out for new weights"
            ) from None
        raise InputError(
            f"expected {weights} to hold weights of keras:{name} without its top, as Keras names "
            f"them …_no_top.h5, but: {reason_of(error)}"
        ) from None


def _pretrained(
    make: Callable[..., keras.Model], images: Any, info: DatasetInfo, weights: list[np.ndarray]
) -> keras.Model:
    order, mean, std = _preprocessing(make)
    inputs = normalised(images, mean, std, order)
    body = make(weights=None, include_top=False, pooling="avg", input_tensor=inputs)
    give_weights(body, weights)
    _rescale(make, body)
    logits = keras.layers.Dense(info.num_classes, name="logits")(body.output)
    return keras.Model(images, logits, name=body.name)


def _rescale(make: Callable[..., keras.Model], body: keras.Model) -> None:
    """Lets EfficientNets of the first version see images as their trained weights saw them.

    Keras scales these images once more behind the normalisation, but only where it loads the
    weights "imagenet" itself. Here the normalisation does it.
    """
    deviations = getattr(sys.modules[make.__module__], "IMAGENET_STDDEV_RGB", None)
    if deviations is not None:
        (layer,) = (one for one in body.layers if isinstance(one, keras.layers.Normalization))
        mean, variance, count = layer.get_weights()
        give_weights(layer, [mean, variance * np.asarray(deviations, variance.dtype), count])


def _preprocessing(
    make: Callable[..., keras.Model],
) -> tuple[list[int], list[float], list[float]]:
    """What a network's `preprocess_input` does, read from what it makes of four colours.

    Returns:
        The order of the channels, and for each of them the mean and the deviation that images in
        [0, 1] are normalised by.
    """
    colours = np.concatenate([np.zeros((1, 3)), 255 * np.eye(3)]).astype(np.float32)
    preprocess = sys.modules[make.__module__].preprocess_input
    black, *pure = np.asarray(preprocess(colours.reshape(4, 1, 1, 3).copy())).reshape(4, 3)
    gains = np.stack(pure) - black
    order = gains.argmax(axis=0)
    gain = gains[order, range(3)]
    return order.tolist(), (-black / gain).tolist(), (1 / gain).tolist()


@contextlib.contextmanager
def _in_words(name: str, info: DatasetInfo) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except ValueError as error:
        raise InputError(
            f"{name} cannot be made for images {tuple(info.image_shape)}: {error} Images are "
            "brought to another size by `data.image_size`"
        ) from None
