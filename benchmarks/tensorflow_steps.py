"""One kind of training step in TensorFlow, in a process of its own: run by training_speed.py."""

import argparse
import math
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import turns

# A wrong argument is refused before TensorFlow loads.
if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from tfrobust import RobustClassifier

# The penalty's variants, and what each differs in from the published recipe.
VARIANTS: dict[str, dict[str, Any]] = {
    "penalty_part": {"penalty.fraction": 0.25},
    "penalty_differences": {"penalty.method": "finite_differences"},
    "penalty_differences_part": {"penalty.method": "finite_differences", "penalty.fraction": 0.25},
    "penalty_loss": {"penalty.of": "loss", "penalty.exponent": 1.0},
}
KINDS = ("plain", "plain_relu", "penalty", "adversarial", "stock_fit", *VARIANTS)


def main() -> None:
    """Compiles and warms up, then runs steps as training_speed.py asks for them."""
    parser = turns.parser(__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--compiled", action=argparse.BooleanOptionalAction, default=True)
    flags = parser.parse_args()

    # As our programs do.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

    import keras
    import numpy as np
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(flags.threads)
    if not flags.compiled and flags.kind != "stock_fit":
        # As tfrobust-train --nojit does: only then is a step repeatable.
        tf.config.threading.set_inter_op_parallelism_threads(1)
    random = np.random.default_rng(0)
    images = random.random((flags.batch_size, 32, 32, 3), np.float32)
    labels = random.integers(10, size=flags.batch_size, dtype=np.int32)
    # One batch again and again: what is measured is the step.
    batches = tf.data.Dataset.from_tensors((images, labels)).repeat()
    classifier = classifier_of(flags.kind, flags.depth, flags.batch_size)
    if flags.kind == "stock_fit":
        run = _stock_fit(classifier.network, batches)
    else:
        run = _ours(classifier, batches, flags.compiled)
    run(flags.warmup)
    variables = classifier.network.variables
    facts = {
        "parameters": sum(math.prod(one.shape) for one in classifier.network.trainable_variables),
        "finite": all(bool(np.isfinite(one.numpy()).all()) for one in variables),
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
    }
    turns.serve(run, facts)


def classifier_of(kind: str, depth: int, batch_size: int) -> "RobustClassifier":
    """The published recipe's classifier, with or without its penalty and attack."""
    from tfrobust.datasets import DatasetInfo
    from tfrobust.runs import recipes
    from tfrobust.runs.build import build

    config = {
        "adversarial": recipes.cifar10_published_all,
        "penalty": recipes.cifar10_published_robust,
        "plain_relu": recipes.cifar10_published_standard,
    }.get(kind, recipes.cifar10_published_robust)()
    changes = {"network.depth": depth, "training.batch_size": batch_size}
    config = config.replace({**changes, **VARIANTS.get(kind, {})})
    if kind in ("plain", "stock_fit"):
        # The same network as with the penalty: HHReLU.
        config = config.replace({"penalty.on": False})
    info = DatasetInfo(
        name="random",
        image_shape=(32, 32, 3),
        class_names=tuple("0123456789"),
        train_images=50_000,
        test_images=10_000,
        provenance="random numbers",
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.247, 0.243, 0.261),
    )
    return build(config, info, steps=78_000)


def _ours(
    classifier: "RobustClassifier", batches: "tf.data.Dataset", compiled: bool
) -> Callable[[int], list[float]]:
    """The step as `tfrobust.runs.loop` runs it."""
    import tensorflow as tf

    strategy = tf.distribute.get_strategy()
    train = tf.function(
        lambda *batch: strategy.run(classifier.optimize, batch), jit_compile=compiled
    )
    stream = iter(batches)
    # Reading the loss waits for the step.
    return turns.timed(lambda: float(train(*next(stream))["loss"]))


def _stock_fit(network: "keras.Model", batches: "tf.data.Dataset") -> Callable[[int], list[float]]:
    """Keras' own `fit` of the network alone, compiled as Keras chooses."""
    import keras

    class Clock(keras.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.seconds: list[float] = []

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            self.began = time.perf_counter()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            float(logs["loss"])
            self.seconds.append(time.perf_counter() - self.began)

    network.compile(
        optimizer=keras.optimizers.SGD(0.1, momentum=0.9),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )

    def run(steps: int) -> list[float]:
        clock = Clock()
        network.fit(batches, steps_per_epoch=steps, verbose=0, callbacks=[clock])
        return clock.seconds

    return run


if __name__ == "__main__":
    main()
