"""Grad-CAM on networks whose maps NumPy can work out."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrobust.errors import InputError
from tfrobust.explanations import GradCAM
from tfrobust.models import resnet_cifar

rng = np.random.default_rng(3)
KERNEL = rng.uniform(-0.5, 1, (2, 2, 1, 3)).astype(np.float32)
# Evidence for and against in every class: guided gradients would drop the latter.
WEIGHTS = np.array([[1, -0.5, 0.3, -1], [-0.4, 0.9, -0.7, 0.5], [0.5, -0.2, 0.8, 0.7]], np.float32)
IMAGES = rng.random((5, 8, 6, 1), np.float32)


def network_of(weights: np.ndarray) -> keras.Model:
    """2×2 blocks → 3 features → mean → classes."""
    images = keras.Input((8, 6, 1))
    features = keras.layers.Conv2D(3, 2, strides=2, activation="relu", name="blocks")(images)
    pooled = keras.layers.GlobalAveragePooling2D(keepdims=True)(features)
    dense = keras.layers.Dense(weights.shape[1], use_bias=False)
    network = keras.Model(images, dense(keras.layers.Flatten()(pooled)))
    network.get_layer("blocks").set_weights([KERNEL, np.zeros(3)])
    dense.set_weights([weights])
    return network


def features_of(images: np.ndarray) -> np.ndarray:
    """(B, 8, 6, 1) → (B, 4, 3, 3)."""
    blocks = images.reshape(-1, 4, 2, 3, 2)
    return np.maximum(np.einsum("bhiwj,ijk->bhwk", blocks, KERNEL[:, :, 0]), 0)


def enlarged(small: np.ndarray) -> np.ndarray:
    """Bilinear, 4×3 → 8×6, pixels' centres at halves."""

    def along(values: np.ndarray, size: int) -> np.ndarray:
        at = (np.arange(size) + 0.5) * len(values) / size - 0.5
        return np.stack([np.interp(at, range(len(values)), column) for column in values.T], axis=1)

    return along(along(small, 8).T, 6).T


def expected_map(image: np.ndarray, target: int) -> np.ndarray:
    # Each logit is a mean of features times weights, so the mean gradient is weights/12.
    evidence = np.maximum(features_of(image[None])[0] @ WEIGHTS[:, target] / 12, 0)
    large = enlarged(evidence)
    return large / large.max() if large.max() > 0 else large


def test_maps_are_grad_cams_formula() -> None:
    network = network_of(WEIGHTS)
    targets = np.array([3, 1, 0, 1, -1])
    maps = GradCAM()(network, IMAGES, targets).map
    predicted = (features_of(IMAGES[4:]).mean(axis=(1, 2)) @ WEIGHTS).argmax()
    expected = [
        expected_map(image, predicted if target < 0 else target)
        for image, target in zip(IMAGES, targets, strict=True)
    ]
    assert maps.dtype == np.float32 and maps.shape == (5, 8, 6)
    assert sum(np.any(one) for one in expected) >= 3, "maps of nothing would test nothing"
    np.testing.assert_allclose(maps, expected, atol=1e-5)  # float32, values up to 1
    np.testing.assert_array_equal(maps, GradCAM(layer="blocks")(network, IMAGES, targets).map)


def test_without_evidence_the_map_is_zero_not_stretched() -> None:
    maps = GradCAM()(network_of(-np.abs(WEIGHTS)), IMAGES, 2).map
    np.testing.assert_array_equal(maps, 0)


@pytest.mark.slow
def test_default_layer_is_the_last_larger_than_one_pixel() -> None:
    network = resnet_cifar(depth=8, width=4, input_shape=(16, 16, 3))
    images = rng.random((2, 16, 16, 3), np.float32)
    last = [layer.name for layer in network.layers if layer.output.shape[1:3] == (4, 4)][-1]
    maps = GradCAM()(network, images).map
    np.testing.assert_array_equal(maps, GradCAM(layer=last)(network, images).map)
    first = next(layer.name for layer in network.layers if layer.name.startswith("conv"))
    assert not np.allclose(maps, GradCAM(layer=first)(network, images).map, atol=0.05)


def test_a_nested_model_is_one_layer_of_the_network_it_is_used_in() -> None:
    plain = network_of(WEIGHTS)
    base = keras.Model(plain.inputs, plain.get_layer("blocks").output, name="base")
    images = keras.Input((8, 6, 1))
    keras.layers.Activation("relu")(base(images * 2))  # another use, elsewhere
    pooled = keras.layers.GlobalAveragePooling2D()(base(images))
    network = keras.Model(images, keras.layers.Dense(4, use_bias=False)(pooled))
    network.layers[-1].set_weights([WEIGHTS])
    targets = [3, 1, 0, 1, 2]
    expected = GradCAM()(plain, IMAGES, targets).map
    np.testing.assert_allclose(GradCAM()(network, IMAGES, targets).map, expected, atol=1e-6)
    named = GradCAM(layer="base")(network, IMAGES, targets).map
    np.testing.assert_allclose(named, expected, atol=1e-6)


@pytest.mark.slow
def test_a_nested_model_that_pools_inside_is_opened() -> None:
    plain = network_of(WEIGHTS)
    images = keras.Input((8, 6, 1))
    nested = keras.Model(images, keras.Sequential([keras.Input((8, 6, 1)), plain])(images * 1.0))
    expected = GradCAM()(plain, IMAGES, 1).map
    np.testing.assert_allclose(GradCAM()(nested, IMAGES, 1).map, expected, atol=1e-6)
    named = GradCAM(layer="blocks")(nested, IMAGES, 1).map
    np.testing.assert_allclose(named, GradCAM(layer="blocks")(plain, IMAGES, 1).map, atol=1e-6)
    np.testing.assert_allclose(nested(IMAGES), plain(IMAGES), atol=1e-6)


def test_the_network_stays_as_it_was_and_no_images_give_no_maps() -> None:
    network = network_of(WEIGHTS)
    before = network(IMAGES)
    GradCAM()(network, IMAGES)
    np.testing.assert_array_equal(network(IMAGES), before)
    assert GradCAM()(network, IMAGES[:0]).map.shape == (0, 8, 6)


def test_networks_without_a_spatial_layer_are_refused() -> None:
    flat = keras.Sequential(
        [
            keras.Input((8, 6, 1)),
            keras.layers.Rescaling(2.0),  # the image, normalised: no features yet
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )
    with pytest.raises(InputError, match="1×1"):
        GradCAM()(flat, IMAGES)
    with pytest.raises(InputError, match="1×1"):
        GradCAM()(lambda images: tf.reshape(images, (-1, 48)), IMAGES)


@pytest.mark.parametrize(
    ("images", "targets", "layer", "message"),
    [
        (IMAGES, 0, "absent", "absent"),
        (IMAGES, 0, "flatten", "blocks"),
        (IMAGES, 4, None, "targets from 0 to 3"),
        (IMAGES, -2, None, "targets from 0 to 3"),
        (IMAGES, [0, 1], None, "each of 5"),
        (IMAGES * 255, 0, None, "0 to 1"),
        (IMAGES[0], 0, None, "shape"),
    ],
)
def test_refuses(images: np.ndarray, targets, layer: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        GradCAM(layer=layer)(network_of(WEIGHTS), images, targets)
