"""The temperature of a run's network: on images for validation, and on no others."""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest
from scipy.special import logsumexp

from tfrobust import datasets
from tfrobust.datasets.arrays import ArraySource
from tfrobust.runs.folder import Run
from tfrobust.runs.recipes import fashion_mnist_mini
from tfrobust.runs.temperature import fitted

PIXELS = np.random.default_rng(0).integers(0, 256, (60, 4, 4, 1), np.uint8)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Flatten(), keras.layers.Dense(3)]
    made = keras.Sequential([keras.Input((4, 4, 1)), *layers])
    made.layers[-1].kernel.assign(8 * made.layers[-1].kernel)  # it is too sure
    return made


def run(validation: np.ndarray | None) -> Run:
    """A run whose images for validation have these labels."""
    loaded = datasets.load("fashion_mnist_mini").info
    info = dataclasses.replace(
        loaded, image_shape=(4, 4, 1), class_names=("a", "b", "c"), train_images=4, test_images=4
    )
    rest = (PIXELS[:4], np.arange(4) % 3)
    source = ArraySource(info, lambda: rest, lambda: rest)
    if validation is not None:
        kept = (PIXELS, validation)
        source.validation = ArraySource(info.of_validation(60), lambda: rest, lambda: kept)
    # Batches of 25 leave ten images for the last one.
    config = fashion_mnist_mini().replace({"training.batch_size": 25})
    return Run(config, source, Path())


def test_by_brute_force_on_images_for_validation(network: keras.Model) -> None:
    logits = np.asarray(network(PIXELS / np.float32(255)), np.float64)
    labels = np.where(np.arange(60) % 3 == 0, np.arange(60) // 3 % 3, logits.argmax(axis=1))
    found = fitted(run(labels), network)
    grid = np.geomspace(0.06, 18, 20001)
    divided = logits / grid[:, None, None]
    losses = (logsumexp(divided, axis=2) - divided[:, np.arange(60), labels]).mean(axis=1)
    # The grid's steps are .03 %.
    assert found.value == pytest.approx(grid[losses.argmin()], rel=3e-4)
    assert found.told == f"{found.value:.3g}, fitted on 60 images for validation"


def test_without_them_none_is_fitted(network: keras.Model) -> None:
    value, told = fitted(run(None), network)
    assert value is None and "no images for validation" in told


def test_none_is_the_best_where_all_are_right(network: keras.Model) -> None:
    """The surer the better then, without an end."""
    logits = np.asarray(network(PIXELS / np.float32(255)))
    value, told = fitted(run(logits.argmax(axis=1)), network)
    assert value is None and "none is the best for the 60 images" in told
