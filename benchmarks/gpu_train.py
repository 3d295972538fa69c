"""Trains a wide network for CIFAR-10 on one GPU for eight minutes; writes weights every minute.

    python benchmarks/gpu_train.py --data_dir ../shared/tfds --output "$OUT"   # --on CPU tries it

A pre-activation ResNet-14 of width 64 at the whole resolution (3 million weights), with attacks of
two steps in a growing ball of L2 1.0 and the norm of the loss's gradient as penalty by finite
differences, in bfloat16, with averaged weights. It first takes some steps by the clock, and then
plans as many as fit. Every minute it writes the averaged weights, 12 MB, over those of the minute
before; at the end network.keras and training.json.

    python benchmarks/cifar10.py … --model "$OUT"/network.keras

measures it. The marks: robust accuracy at L2 0.5 of .66, attack ARA .017.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf
import turns
from gpu_parts import SHARED

if TYPE_CHECKING:
    from tfrobust.runs.config import Config

WARMUP, TIMED = 5, 30  # steps
EVERY = 60.0  # seconds
LEFT = 0.9  # of the time: the rest is for compiling, saving, and what disturbs


def config_of(flags: argparse.Namespace) -> "Config":
    """The recipe; on a CPU a small one, that is only tried."""
    from tfrobust.runs import recipes

    small = flags.on == "CPU"
    return recipes.cifar10().replace(
        {
            "data.data_dir": str(flags.data_dir),
            "network.depth": 8 if small else 14,
            "network.width": 8 if small else 64,
            "network.stem_stride": 2 if small else 1,
            "network.mirrored": False,
            "training.batch_size": 32 if small else 256,
            "optimizer.weight_average": 0.998,
            "adversarial.epsilon": 1.0 / 3072**0.5,
            "adversarial.steps": 2,
            "adversarial.share": 1.0,
            "penalty.on": True,
            "penalty.of": "loss",
            "penalty.exponent": 1.0,
            "penalty.method": "finite_differences",
            "psi.initial": 0.5,
            "psi.gain": 0.0,
        }
    )


class Minutes(keras.callbacks.Callback):
    """Writes the averaged weights every minute.

    Args:
        classifier: that is trained.
        path: of the weights.
        every: seconds between two.
    """

    def __init__(self, classifier: Any, path: Path, every: float) -> None:
        super().__init__()
        self.classifier, self.path, self.every = classifier, path, every
        self.last = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Looks at the clock."""
        if time.monotonic() - self.last < self.every:
            return
        self.last = time.monotonic()
        network, optimizer = self.classifier.network, self.classifier.optimizer
        averages = zip(
            network.trainable_variables, optimizer._model_variables_moving_average, strict=True
        )
        values = {
            one.path: keras.ops.convert_to_numpy(one) for one in network.non_trainable_variables
        }
        values |= {one.path: keras.ops.convert_to_numpy(average) for one, average in averages}
        beside = self.path.with_name(f"writing_{self.path.name}")
        np.savez(beside, **values)
        beside.replace(self.path)


def seconds_of(config: "Config", source: Any, jit: bool) -> float:
    """The seconds of a step, compiled and warm, with its input pipeline."""
    from tfrobust.runs.build import build

    classifier = build(config, source.info, 1000)
    step = tf.function(classifier.optimize, jit_compile=jit)
    batches = iter(source.train(config.training.batch_size, seed=1, augmentation="crop_flip"))
    for _ in range(WARMUP):
        float(step(*next(batches))["loss"])
    began = time.perf_counter()
    for _ in range(TIMED):
        values = step(*next(batches))
    float(values["loss"])
    return (time.perf_counter() - began) / TIMED


def main() -> None:
    """Measures a step, plans, trains, and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--on", choices=["GPU", "CPU"], default="GPU")
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--data_dir", type=Path, default=SHARED)
    parser.add_argument("--output", type=Path, required=True, help="a folder")
    flags = parser.parse_args()
    if not tf.config.list_physical_devices(flags.on):
        parser.error("expected a GPU; --on CPU tries the script")
    from tfrobust import datasets
    from tfrobust.models.convert import full_precision
    from tfrobust.runs.build import build
    from tfrobust.runs.loop import fit
    from tfrobust.runs.metrics_log import read_metrics

    began, jit = time.monotonic(), flags.on == "GPU"
    config = config_of(flags)
    source = datasets.load("cifar10", data_dir=str(flags.data_dir))
    seconds = seconds_of(config, source, jit)
    left = LEFT * 60 * flags.minutes - (time.monotonic() - began)
    steps = max(1, int(left / seconds))
    per_epoch = source.steps_per_epoch(config.training.batch_size)
    config = config.replace(
        {
            "training.epochs": -(-steps // per_epoch),
            "training.max_steps": steps,
            "training.checkpoint_every": steps,
        }
    )
    classifier = build(config, source.info, steps)
    flags.output.mkdir(parents=True, exist_ok=True)
    minutes = Minutes(classifier, flags.output / "weights.npz", EVERY if flags.on == "GPU" else 10)
    # Its folder holds the optimizer's state, which is too large to be brought back.
    with tempfile.TemporaryDirectory() as run:
        done = fit(classifier, source, config, Path(run), callbacks=[minutes], jit=jit)
        accuracy = read_metrics(done.metrics)[-1]["accuracy"]
    full_precision(classifier.network).save(flags.output / "network.keras")
    told = {
        "machine": turns.machine(),
        "step_s": round(seconds, 5),
        "steps": done.steps,
        "images_seen": done.steps * config.training.batch_size,
        "seconds": round(time.monotonic() - began, 1),
        "training_accuracy": accuracy,
        "config": config.to_json(),
    }
    turns.write(flags.output / "training.json", told)
    print(json.dumps({name: told[name] for name in ("steps", "seconds", "training_accuracy")}))


if __name__ == "__main__":
    main()
