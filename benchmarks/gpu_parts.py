"""The parts of gpu.py, each run by it in a process of its own; each row is a line of JSON."""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import turns

if TYPE_CHECKING:
    from tfrobust.datasets import DatasetInfo
    from tfrobust.runs.config import Config

SHARED = Path(__file__).resolve().parents[2] / "shared" / "tfds"
KINDS = ("plain", "penalty", "adversarial")
WARMUP = 3


def row(**values: Any) -> None:
    """Hands a figure to the process that collects them."""
    print(json.dumps(values), flush=True)


def device(on: str, halves: int = 1) -> list[str]:
    """The names of the devices to use, made of one."""
    import tensorflow as tf

    if halves > 1:
        limit = None if on == "CPU" else 16384  # MiB of each half
        part = tf.config.LogicalDeviceConfiguration(memory_limit=limit)
        one = tf.config.list_physical_devices(on)[0]
        tf.config.set_visible_devices([one], on)
        tf.config.set_logical_device_configuration(one, [part] * halves)
    return [f"{on}:{number}" for number in range(halves)]


def config_of(kind: str, precision: str, small: bool) -> "Config":
    """The published recipe's configuration, with or without its penalty and attack."""
    from tfrobust.runs import recipes

    make = recipes.cifar10_published_all if kind == "adversarial" else None
    return (make or recipes.cifar10_published_robust)().replace(
        {
            "penalty.on": kind != "plain",
            "network.depth": 8 if small else 44,
            "training.batch_size": 16 if small else 128,
            "training.precision": "bfloat16" if precision == "bfloat16" else "float32",
        }
    )


def info_of(side: int, classes: int) -> "DatasetInfo":
    """What random images are like."""
    from tfrobust.datasets import DatasetInfo

    names = tuple(map(str, range(classes)))
    return DatasetInfo(
        "random", (side, side, 3), names, 50_000, 10_000, "random", (0.45,) * 3, (0.25,) * 3
    )


def step_seconds(
    config: "Config", info: "DatasetInfo", *, compiled: bool, devices: list[str], steps: int
) -> float:
    """The median second of a step, compiled and warm. The loss is read only behind the last one."""
    import numpy as np
    import tensorflow as tf

    from tfrobust.runs import distribution
    from tfrobust.runs.build import build

    random, size = np.random.default_rng(0), config.training.batch_size
    images = random.random((size, *info.image_shape), np.float32)
    labels = random.integers(len(info.class_names), size=size, dtype=np.int32)
    strategy = distribution.choose(devices)
    with strategy.scope():
        classifier = build(config, info, steps=1000)
    batches = tf.data.Dataset.from_tensors((images, labels)).repeat()
    parts = batches.unbatch().batch(size)
    stream = iter(strategy.experimental_distribute_dataset(parts) if len(devices) > 1 else batches)
    train = tf.function(
        lambda *batch: strategy.run(classifier.optimize, batch), jit_compile=compiled
    )

    def wait(values: dict[str, Any]) -> None:
        float(strategy.reduce("SUM", values["loss"], axis=None))

    with tf.device(f"/{devices[0]}") if len(devices) == 1 else strategy.scope():
        for _ in range(WARMUP):
            wait(train(*next(stream)))
        seconds = []
        for _ in range(3):
            began = time.perf_counter()
            for _ in range(steps):
                values = train(*next(stream))
            wait(values)
            seconds.append((time.perf_counter() - began) / steps)
    return statistics.median(seconds)


def steps(on: str, small: bool, precision: str, compiled: bool) -> None:
    """One precision, compiled or not: every kind of step."""
    import tensorflow as tf

    tf.config.experimental.enable_tensor_float_32_execution(precision == "tf32")
    for kind in KINDS:
        config = config_of(kind, precision, small)
        seconds = step_seconds(
            config,
            info_of(32, 10),
            compiled=compiled,
            devices=device(on),
            steps=2 if small else 5 if kind == "adversarial" else 20,
        )
        row(
            kind=kind,
            precision=precision,
            compiled=compiled,
            step_s=round(seconds, 5),
            images_per_s=round(config.training.batch_size / seconds, 1),
        )


def two(on: str, small: bool) -> None:
    """The penalty's step on both halves of the device; `steps` has the one on the whole."""
    config = config_of("penalty", "float32", small)
    seconds = step_seconds(
        config,
        info_of(32, 10),
        compiled=False,
        devices=device(on, 2),
        steps=2 if small else 20,
    )
    row(kind="penalty, two halves", step_s=round(seconds, 5))


def presets(on: str, small: bool) -> None:
    """Seconds of evaluate's presets, with what they compile and again."""
    import tfrobust

    name, count = ("fashion_mnist_mini", 4) if small else ("cifar10", 200)
    network = tfrobust.load(name)
    images, labels = tfrobust.datasets.load("fashion_mnist_mini").test_arrays(count)
    if name == "cifar10":
        # The work does not depend on what is shown: garments, enlarged and in grey.
        import tensorflow as tf

        images = tf.image.resize(images, (32, 32)).numpy().repeat(3, axis=-1)
    for preset in ("fast",) if small else ("fast", "standard"):
        for run in ("first", "second"):
            began = time.perf_counter()
            tfrobust.evaluate(network, images, labels, preset=preset, progress=False)
            row(
                preset=preset,
                run=run,
                network=name,
                images=count,
                seconds=round(time.perf_counter() - began, 2),
            )


def imagenet(on: str, small: bool) -> None:
    """The step of ResNet-50 at 224 × 224, and the images that the input pipeline gives."""
    from tfrobust import datasets
    from tfrobust.runs import recipes

    side, size = (64, 4) if small else (224, 32)
    config = recipes.imagenet2012_resnet50().replace(
        {
            "training.batch_size": size,
            "training.precision": "bfloat16",
            "network.depth": 18 if small else 50,
        }
    )
    for compiled in (False,) if small else (True, False):
        seconds = step_seconds(
            config,
            info_of(side, 1000),
            compiled=compiled,
            devices=device(on),
            steps=1 if small else 5,
        )
        row(
            kind="penalty",
            network=f"ResNet-{config.network.depth}",
            side=side,
            precision="bfloat16",
            compiled=compiled,
            images_per_s=round(size / seconds, 1),
        )
    if not (SHARED / "imagenet2012").is_dir():
        row(input=f"left out: there is no imagenet2012 in {SHARED}")
        return
    source = datasets.load("imagenet2012", data_dir=str(SHARED), image_size=side)
    stream = iter(source.train(size, seed=0, augmentation="imagenet"))
    next(stream)
    began, count = time.perf_counter(), 2 if small else 40
    for _ in range(count):
        next(stream)
    row(
        input="images/s of the pipeline, all cores",
        cores=turns.cores(),
        images_per_s=round(count * size / (time.perf_counter() - began), 1),
    )


PARTS: dict[str, Callable[..., None]] = {
    "steps": steps,
    "two": two,
    "presets": presets,
    "imagenet": imagenet,
}


def main() -> None:
    """Measures one part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("how", nargs="*", help="of steps: the precision, compiled or uncompiled")
    parser.add_argument("--on", choices=["GPU", "CPU"], default="GPU")
    flags = parser.parse_args()
    more = (flags.how[0], flags.how[1] == "compiled") if flags.how else ()
    PARTS[flags.part](flags.on, flags.on == "CPU", *more)


if __name__ == "__main__":
    main()
