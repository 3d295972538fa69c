"""One table over all methods: the same call, the same record, the same refusals."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from marks import quick

from tfrobust.attacks import LinearizedMargin, SparseL1
from tfrobust.core.opaque import Opaque
from tfrobust.errors import InputError
from tfrobust.explanations import (
    LIME,
    RISE,
    Adversarial,
    Explanation,
    GradCAM,
    GradientsInputs,
    IntegratedGradients,
    Method,
    Occlusion,
    ScoreCAM,
    SmallestChange,
    SmoothGrad,
    SparseChange,
    VanillaGradients,
    rivals,
)

COMPILED = True  # what XLA makes of every method is held here
SHAPE = (8, 6, 2)
METHODS: list[Method] = [
    Adversarial(rho=0.1, batch_size=4),
    Adversarial(rho=0.05, direction=-1, batch_size=4),
    SmallestChange(attack=LinearizedMargin(steps=12, batch_size=4)),
    SparseChange(attack=SparseL1(steps=12, batch_size=4)),
    GradCAM(batch_size=4),
    VanillaGradients(batch_size=4),
    GradientsInputs(batch_size=4),
    IntegratedGradients(steps=4, batch_size=4),
    SmoothGrad(samples=3, batch_size=4),
    Occlusion(patch=3, batch_size=60),
    RISE(samples=10, cells=3, batch_size=4),
    LIME(samples=10, patch=3, batch_size=4),
    ScoreCAM(batch_size=4),
]
IDS = [method.name for method in METHODS]
# RISE speaks for the methods that hide parts of an image; the others are slow.
QUICK = quick(METHODS, *METHODS[:3], *METHODS[4:11])
IMAGES = np.random.default_rng(1).random((5, *SHAPE), np.float32)


def network_of(shape: tuple[int, int, int]) -> keras.Model:
    keras.utils.set_random_seed(4)
    return keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Conv2D(4, 3, padding="same", activation="softplus"),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )


def test_methods_are_told_apart_by_their_configurations() -> None:
    told = [method.config() for method in METHODS]
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert len({json.dumps(one) for one in told}) == len(METHODS)
    assert told[2]["class"] == "SmallestChange"
    assert told[2]["attack"] == LinearizedMargin(steps=12, batch_size=4).config()
    same = SmallestChange(attack=LinearizedMargin(steps=12, batch_size=4))
    assert METHODS[2] == same and hash(METHODS[2]) == hash(same)
    assert METHODS[2] != SmallestChange(attack=LinearizedMargin(steps=13, batch_size=4))


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return network_of(SHAPE)


def check(found: Explanation, images: np.ndarray) -> None:
    """What every record holds, whichever the method."""
    count = len(images)
    assert found.explanation.shape == found.difference.shape == images.shape
    assert found.map.shape == images.shape[:3]
    assert found.attribution.shape[:3] == images.shape[:3]
    for field in ("target", "confidence_before", "confidence_after", "rmse", "reached"):
        assert getattr(found, field).shape == (count,), field
    assert found.target.dtype == np.int32 and found.map.dtype == np.float32
    for field in ("explanation", "attribution", "map", "confidence_before", "confidence_after"):
        assert np.isfinite(getattr(found, field)).all(), field
    np.testing.assert_allclose(found.explanation, images + found.difference, atol=1e-6)
    np.testing.assert_array_equal(found.falls_short, ~found.reached)


@pytest.mark.parametrize("method", QUICK, ids=IDS)
def test_any_number_of_images_gives_what_each_alone_gives(method: Method, network) -> None:
    whole = method(network, IMAGES, [0, 1, 2, -1, 1])
    check(whole, IMAGES)
    check(method(network, IMAGES[:0]), IMAGES[:0])
    alone = method(network, IMAGES[2:3], 2)
    check(alone, IMAGES[2:3])
    # Of blocks of another size sums round otherwise, and a walk carries that on.
    np.testing.assert_allclose(whole.map[2], alone.map[0], rtol=1e-3, atol=1e-4)
    assert whole.target[2] == alone.target[0] == 2


@pytest.mark.parametrize("method", METHODS, ids=IDS)
def test_the_class_predicted_is_meant_by_none(method: Method, network) -> None:
    predicted = np.argmax(network(IMAGES), axis=-1)
    found = method(network, IMAGES)
    if isinstance(method, SmallestChange):
        assert (found.target != predicted).all()
    else:
        np.testing.assert_array_equal(found.target, predicted)
        shares = tf.nn.softmax(network(IMAGES)).numpy()[np.arange(5), predicted]
        np.testing.assert_allclose(found.confidence_before, shares, rtol=1e-5)


@pytest.mark.parametrize("method", QUICK, ids=IDS)
@pytest.mark.parametrize("shape", [(7, 1, 1), (1, 9, 3)])
def test_images_one_pixel_wide_and_constant_ones(method: Method, shape) -> None:
    network = network_of(shape)
    images = np.stack([np.zeros(shape), np.full(shape, 0.5), np.ones(shape)]).astype(np.float32)
    check(method(network, images, 1), images)


@pytest.mark.parametrize("method", METHODS, ids=IDS)
@pytest.mark.parametrize(
    ("images", "targets", "message"),
    [
        (IMAGES, 3, "targets from 0 to 2"),
        (IMAGES, -2, "targets from 0 to 2"),
        (IMAGES, 2**32, "targets from 0 to 2"),
        (IMAGES, [0, 1], "each of 5"),
        (IMAGES, 0.5, "whole number"),
        (IMAGES * 255, 0, "0 to 1"),
        (IMAGES[0], 0, "shape"),
    ],
)
def test_refuses(method: Method, network, images, targets, message: str) -> None:
    with pytest.raises(InputError, match=message):
        method(network, images, targets)


@pytest.mark.parametrize("method", METHODS, ids=IDS)
def test_what_only_answers_is_explained_where_answers_are_enough(method: Method, network) -> None:
    opaque = Opaque(
        lambda images: np.asarray(network(images)),
        name="answers",
        input_shape=(None, *SHAPE),
        num_classes=3,
    )
    if isinstance(method, Occlusion | RISE | LIME):
        np.testing.assert_allclose(
            method(opaque, IMAGES, 1).map, method(network, IMAGES, 1).map, atol=1e-6
        )
    else:
        with pytest.raises(InputError, match=r"gradient|expected a Keras network"):
            method(opaque, IMAGES, 1)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (GradCAM, {"batch_size": 0}, "batch_size of at least 1"),
        (IntegratedGradients, {"steps": 0}, "at least 1 step"),
        (IntegratedGradients, {"baseline": 2.0}, "a baseline from 0 to 1"),
        (SmoothGrad, {"samples": 0}, "at least 1 sample"),
        (SmoothGrad, {"noise": -0.1}, "noise not below 0"),
        (RISE, {"samples": 0}, "samples and cells of at least 1"),
        (RISE, {"shown": 1.0}, "shown between 0 and 1"),
        (RISE, {"fill": -0.5}, "a fill from 0 to 1"),
        (LIME, {"samples": 1}, "at least 2 samples"),
        (LIME, {"ridge": 0.0}, "a width and a ridge above 0"),
        (Occlusion, {"patch": 0}, "patches of at least 1 pixel"),
        (Occlusion, {"fill": float("nan")}, "a fill from 0 to 1"),
    ],
)
def test_refuses_hyper_parameters(kind: type[Method], options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        kind(**options)


def test_rivals_are_the_likeliest_others(network) -> None:
    logits = np.asarray(network(IMAGES))
    order = np.argsort(-logits, axis=-1)
    np.testing.assert_array_equal(rivals(network, IMAGES), order[:, 1])
    others = [row[row != 1][0] for row in order]
    np.testing.assert_array_equal(rivals(network, IMAGES, 1), others)
