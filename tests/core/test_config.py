"""Configurations: JSON, the same in every process, and another wherever something differs."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrobust.core.config import Configured, config_of


class Step(Configured):
    def __init__(self, size: float, inner: object = None) -> None:
        self.size, self.inner = size, inner
        self._calls = 0


class Stride(Step):
    pass


def doubled(images):
    return 2 * images


def scaled(factor: float):
    return lambda images: factor * images


def following(model):
    return lambda images: model(images)


def network(activation: str = "relu", seed: int = 0) -> keras.Model:
    keras.utils.set_random_seed(seed)
    images = keras.Input((4, 4, 1))
    features = keras.layers.Conv2D(2, 3, activation=activation)(images)
    features = keras.ops.mean(features + 1, axis=(1, 2))
    inner = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    return keras.Model(images, inner(features))


def test_json_types() -> None:
    values = {"a": (1, 2.5, None, True), "b": np.float32(0.5), "c": {3, 1}, "d": np.inf, 4: "x"}
    expected = {"a": [1, 2.5, None, True], "b": 0.5, "c": [1, 3], "d": "inf", "4": "x"}
    assert config_of(values) == expected
    assert config_of(Path("/tmp/a")) == "/tmp/a" and config_of(Step).endswith(".Step")
    assert config_of(np.tanh) == {"class": "ufunc", "name": "tanh"}


def test_the_class_and_its_public_attributes() -> None:
    step = Step(0.5, Stride(2))
    step._calls = 7
    inner = {"class": "Stride", "size": 2, "inner": None}
    assert step.config() == {"class": "Step", "size": 0.5, "inner": inner}
    assert step == Step(0.5, Stride(2)) and hash(step) == hash(Step(0.5, Stride(2)))
    assert step != Step(0.5, Step(2)) and step != Step(0.25, Stride(2)) and step != 0.5
    step.inner = step
    assert step.config()["inner"] == "itself"


DIFFERENT = {
    "arrays": [np.zeros(3), np.zeros(4), np.ones(3), np.zeros(3, np.float32), tf.ones(3)],
    "functions": [
        doubled,
        lambda images: 2 * images,
        lambda images: 3 * images,
        scaled(2.0),
        scaled(3.0),
        functools.partial(doubled, images=1),
        functools.partial(doubled, images=2),
        Step(1.0).config,
        Step(2.0).config,
    ],
    "networks": [network(), network(seed=1), network("tanh")],
    "functions of networks": [
        following(network()),
        following(network(seed=1)),
    ],
}


@pytest.mark.parametrize("values", DIFFERENT.values(), ids=DIFFERENT)
def test_what_differs_has_another_configuration(values: list) -> None:
    told = [json.dumps(config_of(value), allow_nan=False) for value in values]
    assert len(set(told)) == len(values)


def test_made_again_it_has_the_same_configuration() -> None:
    assert config_of(network()) == config_of(network())
    assert config_of(scaled(2.0)) == config_of(scaled(2.0))
    assert config_of(tf.function(scaled(2.0))) == config_of(tf.function(scaled(2.0)))
    assert config_of(tf.Variable([1.0])) == config_of(np.ones(1, np.float32))


PROGRAM = """
import json, sys
sys.path.insert(0, {folder!r})
import keras
[keras.layers.Dense(2) for _ in range({other})]  # layers' automatic names count these
import test_config
values = [network := test_config.network(), test_config.scaled(2.0), {{"b", "a"}}]
values += [lambda images: network(images) in {{"a", "b", "c"}}]
print(json.dumps([test_config.config_of(value) for value in values]))
"""


@pytest.mark.slow
def test_another_process_tells_the_same() -> None:
    told = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM.format(folder=str(Path(__file__).parent), other=other)],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": str(other)},
        ).stdout
        for other in (1, 5)
    ]
    assert told[0] == told[1]
    assert json.loads(told[0])[0] == config_of(network())
