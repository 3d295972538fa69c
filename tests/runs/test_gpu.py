"""What only a GPU can show; TFROBUST_GPU_TESTS_ON=CPU runs the same tests, smaller, without one."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfrobust import datasets
from tfrobust.runs.build import build
from tfrobust.runs.config import Config
from tfrobust.runs.recipes import cifar10_published_robust, fashion_mnist_mini
from tfrobust.training import RobustClassifier

DEVICE = os.environ.get("TFROBUST_GPU_TESTS_ON", "GPU")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not tf.config.list_physical_devices(DEVICE), reason="no GPU here"),
]
SMALL = fashion_mnist_mini().replace(
    {
        "network.width": 4,
        "training.batch_size": 20,
        "training.max_steps": 3,
        "psi.loss_target": 2.0,
    }
)


def batch_of(config: Config, shape: tuple[int, ...]) -> tuple[tf.Tensor, tf.Tensor]:
    rng = np.random.default_rng(0)
    images = rng.random((config.training.batch_size, *shape), np.float32)
    return tf.constant(images), tf.constant(
        rng.integers(0, 10, config.training.batch_size, np.int32)
    )


def stepper(classifier: RobustClassifier, compiled: bool) -> tf.types.experimental.GenericFunction:
    return tf.function(classifier.optimize, jit_compile=compiled)


def test_one_gpu_split_into_two_trains_as_one(tmp_path: Path) -> None:
    script = Path(__file__).with_name("train_together.py")
    done = subprocess.run(
        [sys.executable, str(script), DEVICE, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=900,
        env={**os.environ, "TF_FORCE_GPU_ALLOW_GROWTH": "true"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    one, two = np.load(tmp_path / "one-32.npz"), np.load(tmp_path / "two-32.npz")
    slots = [key for key in one.files if one[key].ndim]
    whole = np.sqrt(sum(np.sum(one[key].astype(float) ** 2) for key in slots))
    for key in slots:
        # float32 sums in another order, on GPUs also from run to run.
        assert np.linalg.norm(two[key] - one[key]) < 1e-4 * whole
    one, two = np.load(tmp_path / "one-64.npz"), np.load(tmp_path / "two-64.npz")
    for key in one.files:
        np.testing.assert_allclose(two[key], one[key], rtol=0, atol=1e-9)


def test_the_compiled_step_is_the_uncompiled_one() -> None:
    info = datasets.load("fashion_mnist_mini").info
    # XLA's random numbers are others than TensorFlow's: here nothing depends on them.
    config = SMALL.replace({"penalty.tandem": 1.0})
    batch = batch_of(config, info.image_shape)
    gradients = []
    with tf.device(f"/{DEVICE}:0"):
        for compiled in (True, False):
            classifier = build(config, info, steps=3)
            values = stepper(classifier, compiled)(*batch)
            assert all(np.isfinite(value) for value in values.values())
            slots = [one.numpy() for one in classifier.optimizer.variables if one.shape.rank]
            gradients.append(np.concatenate([slot.ravel() for slot in slots]))
    difference = np.linalg.norm(gradients[0] - gradients[1])
    # Other kernels sum in another order; TF32 would be 1e-3.
    assert difference < 1e-4 * np.linalg.norm(gradients[1])


@pytest.mark.parametrize("compiled", [True, False])
def test_bfloat16_keeps_loss_penalty_and_psi_in_float32(compiled: bool) -> None:
    info = datasets.load("fashion_mnist_mini").info
    batch = batch_of(SMALL, info.image_shape)
    values = []
    with tf.device(f"/{DEVICE}:0"):
        for precision in ("float32", "bfloat16"):
            config = SMALL.replace({"training.precision": precision})
            values.append(stepper(build(config, info, steps=3), compiled)(*batch))
    for name in ("loss", "penalty", "psi"):
        assert values[1][name].dtype == tf.float32
        # bfloat16 keeps 8 bits, in each of a dozen layers.
        assert float(values[1][name]) == pytest.approx(float(values[0][name]), rel=0.1)


def test_images_per_second() -> None:
    """Prints; what must hold is that the penalty's step is at most 2.5 times the plain one."""
    whole = DEVICE == "GPU"
    info = datasets.DatasetInfo(
        "random", (32, 32, 3), tuple("0123456789"), 1, 1, "", (0.5,) * 3, (0.25,) * 3
    )
    seconds = {}
    for precision in ("float32", "bfloat16") if whole else ("float32",):
        for penalty in (False, True):
            config = cifar10_published_robust().replace(
                {
                    "network.depth": 44 if whole else 8,
                    "training.batch_size": 128 if whole else 16,
                    "training.precision": precision,
                    "penalty.on": penalty,
                }
            )
            batch = batch_of(config, info.image_shape)
            with tf.device(f"/{DEVICE}:0"):
                step = stepper(build(config, info, steps=100), True)
                for _ in range(3):
                    float(step(*batch)["loss"])
                times = []
                for _ in range(20 if whole else 5):
                    began = time.perf_counter()
                    float(step(*batch)["loss"])
                    times.append(time.perf_counter() - began)
            seconds[precision, penalty] = float(np.median(times))
            print(
                f"ResNet-{config.network.depth}, batch {config.training.batch_size}, {precision}, "
                f"{'penalty' if penalty else 'plain'}: "
                f"{config.training.batch_size / seconds[precision, penalty]:.0f} images/s"
            )
    for precision in {one for one, _ in seconds}:
        # A small network on a loaded CPU is mostly overhead.
        most = 2.5 if whole else 5.0
        assert seconds[precision, True] <= most * seconds[precision, False]
