"""Measures how long an explanation takes, beside PyTorch and beside tf-explain's methods.

    python benchmarks/explanation_speed.py --torch_python /path/to/python

The network is a ResNet-44 and the image has 32×32 pixels. Measured are g_explain+, the paper's walk
of 35 steps in TensorFlow and in PyTorch, and 64 images in one call; g_explain+ of the shipped
cifar10; then all our other methods, and tf-explain's own. All are warmed up and take turns, round
by round. The PyTorch process stands still meanwhile. The ResNet-44 is not trained, as no time
depends on its weights.

Prints a table, and writes benchmarks/results/explanation_speed.json.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import turns

HERE = Path(__file__).resolve().parent
BATCH = 64
# The most seconds after the first call; the largest share of the time of the paper's walk in
# PyTorch; how many times faster an image must be in a batch than alone.
MARKS = {"one": 0.2, "torch": 0.15, "batch": 1.5}


def methods() -> dict[str, Any]:
    """Our methods by name, without g_explain."""
    from tfrobust import explanations

    kinds = ["GradCAM", "GradientsInputs", "IntegratedGradients", "Occlusion", "SmoothGrad"]
    return {kind: getattr(explanations, kind)() for kind in [*kinds, "VanillaGradients"]}


def tf_explains(network: Any, image: Any) -> dict[str, Callable[[], Any]]:
    """tf-explain's own methods, with the settings that ours have."""
    from tf_explain import core

    data = (image[None], None)
    layer = [one.name for one in network.layers if len(one.output.shape) == 4][-1]
    calls: dict[str, Callable[[], Any]] = {
        "GradCAM": lambda: core.GradCAM().explain(data, network, 0, layer_name=layer),
        "GradientsInputs": lambda: core.GradientsInputs().explain(data, network, 0),
        "IntegratedGradients": lambda: core.IntegratedGradients().explain(
            data, network, 0, n_steps=32
        ),
        "Occlusion": lambda: core.OcclusionSensitivity().explain(data, network, 0, patch_size=4),
        "SmoothGrad": lambda: core.SmoothGrad().explain(
            data, network, 0, num_samples=16, noise=0.1
        ),
        "VanillaGradients": lambda: core.VanillaGradients().explain(data, network, 0),
    }
    return calls


def seconds(call: Callable[[], Any]) -> float:
    """The time of one call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--depth", type=int, default=44)
    parser.add_argument("--torch_python", default=sys.executable, help="an interpreter with torch")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "explanation_speed.json")
    flags = parser.parse_args()
    if flags.rounds < 1:
        sys.exit(f"expected --rounds of at least 1, got {flags.rounds}")
    machine = turns.machine()
    import keras
    import numpy as np
    import tensorflow as tf

    import tfrobust

    keras.utils.set_random_seed(0)
    keras.utils.disable_interactive_logging()  # tf-explain asks by predict
    network = tfrobust.models.resnet_cifar(depth=flags.depth)
    images = np.random.default_rng(0).uniform(size=(BATCH, 32, 32, 3)).astype(np.float32)
    one = "g_explain+, 1 image"
    many, torchs = f"g_explain+, {BATCH} images in one call", "PyTorch, the paper's walk, 1 image"
    shipped = tfrobust.load("cifar10")
    calls: dict[str, Callable[[], Any]] = {
        one: lambda: tfrobust.explain(network, images[:1], 0, rho=0.1),
        "g_explain+, 1 image, shipped cifar10": lambda: tfrobust.explain(
            shipped, images[:1], 0, rho=0.1
        ),
        "the paper's walk, 1 image": lambda: tfrobust.explain(
            network, images[:1], 0, rho=0.1, walk="paper"
        ),
        many: lambda: tfrobust.explain(network, images, 0, rho=0.1),
    }
    for name, method in methods().items():
        calls[name] = lambda method=method: method(network, images[:1], 0)
    notes = []
    for name, call in tf_explains(network, images[0]).items():
        calls[f"tf-explain's {name}"] = call
    first = {}
    for name, call in list(calls.items()):
        try:
            first[name] = seconds(call)
            call()
        except Exception as error:  # of tf-explain, on Keras 3: what fails is told
            notes.append(f"{name}: {type(error).__name__}: {str(error).splitlines()[0]}")
            del calls[name]
    workers = {}
    if turns.has_module(flags.torch_python, "torch"):
        command = [flags.torch_python, str(HERE / "torch_explanation.py")]
        workers[torchs] = turns.Worker([*command, f"--depth={flags.depth}"])
    else:
        notes.append(f"{flags.torch_python} has no torch: PyTorch is left out")
    took: dict[str, list[float]] = {name: [] for name in [*calls, *workers]}
    try:
        for _ in range(flags.rounds):
            for name, call in calls.items():
                took[name].append(seconds(call))
            for name, worker in workers.items():
                worker.turn(1)
                took[name].append(worker.rounds[-1]["seconds"][0])
    finally:
        for worker in workers.values():
            worker.close()
    medians = {name: statistics.median(values) for name, values in took.items()}
    each = statistics.median(
        alone / (together / BATCH) for alone, together in zip(took[one], took[many], strict=True)
    )
    verdicts = {"one": [medians[one], medians[one] <= MARKS["one"]], "batch": [each, each >= 1.5]}
    if torchs in took:
        share = statistics.median(
            ours / theirs for ours, theirs in zip(took[one], took[torchs], strict=True)
        )
        verdicts["torch"] = [share, share <= MARKS["torch"]]
    print("| what | seconds, median | least | most | first call |\n| --- | --- | --- | --- | --- |")
    for name, values in took.items():
        begun = f"{first[name]:.1f}" if name in first else "–"
        print(f"| {name} | {medians[name]:.3f} | {min(values):.3f} | {max(values):.3f} | {begun} |")
    for name, (value, met) in verdicts.items():
        print(f"{name}: {value:.3f}, mark {MARKS[name]}: {'met' if met else 'MISSED'}")
    for note in notes:
        print(f"left out: {note}")
    results = {
        "command": f"python benchmarks/explanation_speed.py --rounds {flags.rounds}",
        "machine": {**machine, "tensorflow": tf.__version__},
        "seconds": {name: [round(value, 4) for value in values] for name, values in took.items()},
        "first_call_s": {name: round(value, 2) for name, value in first.items()},
        "marks": {
            name: {"value": round(value, 4), "mark": MARKS[name], "met": bool(met)}
            for name, (value, met) in verdicts.items()
        },
        "left_out": notes,
    }
    turns.write(flags.output, results)
    print(f"written: {flags.output}")


if __name__ == "__main__":
    main()
