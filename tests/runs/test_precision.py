"""Training in bfloat16: what is in float32 all the same, and what ships."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrobust import datasets
from tfrobust.errors import InputError
from tfrobust.runs import distribution
from tfrobust.runs.build import build
from tfrobust.runs.config import Config
from tfrobust.runs.folder import Run
from tfrobust.runs.metrics_log import read_metrics
from tfrobust.runs.recipes import fashion_mnist_mini
from tfrobust.runs.stages import train
from tfrobust.training import RobustClassifier

CONFIG = fashion_mnist_mini().replace(
    {
        "network.width": 4,
        "training.batch_size": 20,
        "training.max_steps": 3,
        "psi.loss_target": 2.0,
    }
)
HALF = CONFIG.replace({"training.precision": "bfloat16"})


def built(config: Config) -> RobustClassifier:
    return build(config, datasets.load("fashion_mnist_mini").info, steps=3)


def test_one_step_is_near_the_one_in_float32() -> None:
    images, labels = datasets.load("fashion_mnist_mini").test_arrays(20)
    batch = tf.constant(images), tf.constant(labels)
    full, half = (built(config) for config in (CONFIG, HALF))
    assert keras.config.dtype_policy().name == "float32"
    values = [
        {name: value.numpy() for name, value in one.optimize(*batch).items()}
        for one in (full, half)
    ]
    for name, value in values[1].items():
        assert value.dtype == np.float32, name
    # bfloat16 keeps 8 bits: 0.4 % a layer, of which the gradient passes a dozen twice.
    for name in ("loss", "cross_entropy", "penalty"):
        assert values[1][name] == pytest.approx(values[0][name], rel=0.1), name
    assert values[1]["cross_entropy"] != values[0]["cross_entropy"]
    # ψ's own arithmetic is not rounded: it follows from its loss to float32's last bits.
    assert values[1]["psi"] == pytest.approx(values[0]["psi"], rel=1e-3)
    assert {variable.dtype for variable in half.network.variables} == {"float32"}
    assert {layer.compute_dtype for layer in half.network.layers} == {"float32", "bfloat16"}


@pytest.mark.slow
def test_what_ships_is_float32_on_the_trained_weights(tmp_path: Path) -> None:
    source = datasets.load("fashion_mnist_mini")
    with distribution.choose().scope():
        classifier = built(HALF)
    strategy = distribution.choose()
    trained = train(classifier, Run(HALF, source, tmp_path), strategy=strategy)
    network = trained.network
    assert trained.seconds > 0
    assert {layer.compute_dtype for layer in network.layers} == {"float32"}
    for ours, theirs in zip(network.variables, classifier.network.variables, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    assert len(read_metrics(tmp_path / "metrics.csv")) == 3
    assert np.isfinite(network.predict(source.test_arrays(4)[0], verbose=0)).all()


@pytest.mark.slow
def test_what_ships_sees_the_mirror_image_where_the_configuration_says_so(tmp_path: Path) -> None:
    source, config = datasets.load("fashion_mnist_mini"), HALF.replace({"network.mirrored": True})
    run = Run(config, source, tmp_path)
    network = train(built(config), run, strategy=distribution.choose(), jit=False).network
    images = source.test_arrays(4)[0]
    there, back = (network.predict(each, verbose=0) for each in (images, images[:, :, ::-1]))
    # float32's last bits: the mean's order alone differs.
    np.testing.assert_allclose(there, back, atol=1e-5)
    assert {layer.compute_dtype for layer in network.layers} == {"float32"}


def test_another_precision_is_another_configuration() -> None:
    assert CONFIG.differences(HALF) == ["`training.precision`: float32 here, bfloat16 there"]
    with pytest.raises(InputError, match=r"`training.precision` to be 'float32' or 'bfloat16'"):
        CONFIG.replace({"training.precision": "float16"})
