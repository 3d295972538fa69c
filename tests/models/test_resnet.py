"""The structure of the ResNets, counted by hand."""

from pathlib import Path

import keras
import numpy as np
import pytest

from tfrobust.errors import InputError
from tfrobust.models import HalfHuberReLU, resnet_cifar, resnet_imagenet


def layers_of(network: keras.Model, kind: type) -> list[keras.layers.Layer]:
    return [layer for layer in network.layers if isinstance(layer, kind)]


def parameters(depth: int, width: int, channels: int, classes: int) -> int:
    """Counted by hand, batch normalisation's moving statistics included."""
    blocks = (depth - 2) // 6
    total, inner = 9 * channels * width, width
    for group in range(3):
        outer = width * 2**group
        for block in range(blocks):
            total += 4 * inner + 9 * inner * outer + 4 * outer + 9 * outer * outer
            if group and block == 0:
                total += 9 * inner * outer
            inner = outer
    return total + 4 * inner + inner * classes + classes


@pytest.mark.parametrize(
    ("depth", "width", "shape", "classes"),
    [(8, 16, (28, 28, 1), 10), (14, 4, (32, 32, 3), 7), (44, 16, (32, 32, 3), 10)],
)
def test_resnet_cifar_has_as_many_parameters_as_the_paper_says(
    depth: int, width: int, shape: tuple[int, int, int], classes: int
) -> None:
    network = resnet_cifar(depth=depth, width=width, input_shape=shape, num_classes=classes)
    assert network.count_params() == parameters(depth, width, shape[-1], classes)
    assert network.output_shape == (None, classes)
    # Depth counts the layers on the longest way. Shortcuts do not count.
    assert len(layers_of(network, keras.layers.Conv2D)) == depth + 2


def test_resnet_cifar_starts_as_section_7_says() -> None:
    network = resnet_cifar(depth=14, width=4)
    convolutions = layers_of(network, keras.layers.Conv2D)
    zero = [layer for layer in convolutions if not np.any(layer.kernel)]
    assert len(zero) == 6  # one a block
    assert [layer.use_bias for layer in convolutions] == [False] * 15 + [True]
    for norm in layers_of(network, keras.layers.BatchNormalization):
        assert (norm.momentum, norm.epsilon) == (0.9, 1e-5)
    first = convolutions[0].kernel
    limit = np.sqrt(6 / (3 * 3 * 3))  # He-uniform
    # The largest of 108 uniform draws is within 10 % of the limit, except once in 9e4 times.
    assert 0.9 * limit < np.abs(first).max() <= limit


def test_activation_is_what_was_asked_for() -> None:
    assert len(layers_of(resnet_cifar(depth=8), HalfHuberReLU)) == 7
    relu = resnet_cifar(depth=8, activation="relu")
    assert not layers_of(relu, HalfHuberReLU)
    assert len(layers_of(relu, keras.layers.ReLU)) == 7


def test_normalisation_is_inside() -> None:
    images = np.random.default_rng(0).random((2, 16, 16, 1), np.float32)
    plain = resnet_cifar(depth=8, width=4, input_shape=(16, 16, 1), mean=[0], std=[1])
    inside = resnet_cifar(depth=8, width=4, input_shape=(16, 16, 1), mean=[0.3], std=[0.2])
    inside.set_weights(plain.get_weights())
    expected = plain((images - 0.3) / np.float32(0.2))
    # A dozen float32 layers on logits of about 1.
    np.testing.assert_allclose(inside(images), expected, atol=2e-5)


@pytest.mark.parametrize("build", [resnet_cifar, resnet_imagenet])
@pytest.mark.parametrize("activation", ["relu", "half_huber_relu"])
def test_save_and_load(build, activation: str, tmp_path: Path) -> None:
    depth = 8 if build is resnet_cifar else 18
    network = build(
        depth=depth, width=4, num_classes=3, input_shape=(32, 32, 3), activation=activation
    )
    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    images = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
    np.testing.assert_array_equal(loaded(images), network(images))


def test_a_stem_of_stride_2_halves_every_feature_map() -> None:
    whole, halved = (
        resnet_cifar(depth=8, width=4, input_shape=(28, 28, 1), stem_stride=stride)
        for stride in (1, 2)
    )
    assert halved.count_params() == whole.count_params()
    sizes = [
        [layer.output.shape[1] for layer in layers_of(network, keras.layers.BatchNormalization)]
        for network in (whole, halved)
    ]
    assert sizes[0] == [28, 28, 28, 14, 14, 7, 7]
    assert sizes[1] == [14, 14, 14, 7, 7, 4, 4]


@pytest.mark.parametrize(("depth", "shortcuts"), [(18, 3), (34, 3), (50, 4)])
def test_resnet_imagenet_builds(depth: int, shortcuts: int) -> None:
    network = resnet_imagenet(depth=depth, width=8, num_classes=5, input_shape=(64, 64, 3))
    images = np.random.default_rng(0).random((2, 64, 64, 3), np.float32)
    logits = np.asarray(network(images))
    assert logits.shape == (2, 5) and np.isfinite(logits).all()
    # Bottlenecks change the number of channels already in the first group.
    assert len(layers_of(network, keras.layers.Conv2D)) == depth + shortcuts


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 2}, "depth of 6n"),
        ({"depth": 45}, "depth of 6n"),
        ({"stem_stride": 3}, "stem_stride of 1 or 2"),
        ({"num_classes": 1}, "at least 2 classes"),
        ({"activation": "swish"}, "got 'swish'"),
        ({"mean": [0.5]}, "as many means"),
        ({"std": [0.25, 0.25, 0.0]}, "positive deviations"),
    ],
)
def test_resnet_cifar_refuses(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        resnet_cifar(**{"depth": 8, **arguments})


def test_resnet_imagenet_refuses_other_depths() -> None:
    with pytest.raises(ValueError, match="expected a depth of"):
        resnet_imagenet(depth=101)
