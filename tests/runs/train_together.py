"""A process of other tests: trains the same network on one device and on two, or on one host.

    python train_together.py {CPU,GPU,host} FOLDER [ARCHITECTURE]

CPU and GPU are split into two devices.

Writes FOLDER/<name>-64.npz, weights after 20 steps in float64, and FOLDER/<name>-32.npz, the
optimizer's slots after one step in float32, of devices alone: a slot is then −rate·gradient.
"""

import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfrobust import datasets
from tfrobust.runs import distribution
from tfrobust.runs.build import build, total_steps
from tfrobust.runs.loop import fit
from tfrobust.runs.recipes import fashion_mnist_mini

sys.path.append(str(Path(__file__).resolve().parents[1] / "support"))  # an architecture's module

MEMORY_MIB = 2048  # of each half of a GPU
CONFIG = fashion_mnist_mini().replace(
    {
        "network.width": 2,
        "training.batch_size": 16,
        "data.augmentation": "crop_flip",
        "psi.loss_target": 2.3,
        "psi.initial": 1.0,
        "psi.gain": 0.5,
        "training.checkpoint_every": 7,
    }
)


def train(
    strategy: tf.distribute.Strategy, floatx: str, steps: int, folder: Path, architecture: str
) -> None:
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(floatx)
    network = {
        "network.architecture": architecture,
        "network.synchronized": architecture == "resnet_cifar",  # another's layers say so
    }
    config = CONFIG.replace({"training.max_steps": steps, **network})
    folder = folder.with_name(f"{folder.name}-{floatx[-2:]}")
    folder.mkdir()
    with strategy.scope():
        source = datasets.load(config.data.name)
        classifier = build(config, source.info, total_steps(config, source))
    fit(classifier, source, config, folder, strategy=strategy, jit=False)
    kept = [*classifier.network.variables, classifier.psi.integral]
    if floatx == "float32":
        kept = classifier.optimizer.variables
    np.savez(folder.with_suffix(".npz"), *[variable.numpy() for variable in kept])


def main(kind: str, folder: Path, architecture: str = "resnet_cifar") -> None:
    if kind == "host":
        strategy = distribution.choose(peer_timeout=120)
        runs = [(f"host{distribution.place(strategy)[0]}", strategy)]
    else:
        limit = MEMORY_MIB if kind == "GPU" else None
        part = tf.config.LogicalDeviceConfiguration(memory_limit=limit)
        device = tf.config.list_physical_devices(kind)[0]
        tf.config.set_visible_devices([device], kind)
        tf.config.set_logical_device_configuration(device, [part] * 2)
        runs = [("one", distribution.choose([f"{kind}:0"])), ("two", distribution.choose())]
    for name, strategy in runs:
        train(strategy, "float64", 20, folder / name, architecture)
        if kind != "host":
            train(strategy, "float32", 1, folder / name, architecture)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
