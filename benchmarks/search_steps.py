"""Seconds of the steps of recipe_search.py's recipes, in turns, on a machine that is quiet."""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from search_recipes import averaged, config_of

ROUNDS = 3


def stepper(name: str, source: Any, flags: argparse.Namespace) -> Callable[[], float]:
    """A recipe's step, compiled and warm: what takes one and gives its seconds."""
    import tensorflow as tf

    from tfrobust.runs.build import build

    config = config_of(name, flags).replace(averaged(name, 100))
    classifier = build(config, source.info, 100)
    step = tf.function(classifier.optimize, jit_compile=flags.jit)
    images, labels = next(
        iter(source.train(config.training.batch_size, seed=0, augmentation="none"))
    )

    def take() -> float:
        began = time.perf_counter()
        float(step(images, labels)["loss"])
        return time.perf_counter() - began

    take()
    return take


def in_turns(names: list[str], source: Any, flags: argparse.Namespace) -> dict[str, float]:
    """The median seconds of a step of each recipe; they take turns, so that all are disturbed
    alike."""
    steppers = {}
    for name in names:
        steppers[name] = stepper(name, source, flags)
        print(f"ready: {name}", file=sys.stderr)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(ROUNDS):
        for name, take in steppers.items():
            take()  # the caches are another recipe's
            seconds[name].append(take())
    return {name: round(statistics.median(found), 4) for name, found in seconds.items()}
