"""Measures how time and memory grow with images, classes, the size of images and workers.

    python benchmarks/scaling.py                  # six minutes on two cores

The stages are a training step with the penalty, explanations of all images, and `evaluate` by the
preset `fast`, on a ResNet-8 of width 8 with random weights, whose own answers are the labels, so
that every image is searched. Along an axis all else stays as at its first value: 16 images of
32×32 in 10 classes. Each point is a process of its own with one thread, two at a time; its time is
that of its CPU. A step is measured when it is compiled, the other stages with all that a first call
compiles, as one meets them. Memory is what the process takes beyond what it held before.

The workers share an evaluation of 400 images as --shard does, in processes that begin together:
there the time is that on the wall, with all that a process needs to begin.

Prints tables, writes them into docs/figures/speed.md and benchmarks/results/scaling.json, and
draws docs/images/scaling.png. A point that is in the results already is not measured again.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

import turns

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("step", "explain", "evaluate")
# Of the images, the classes and the size the first value is that of all other axes.
AXES: dict[str, tuple[int, ...]] = {
    "images": (16, 64, 256),
    "classes": (10, 100, 1000),
    "size": (32, 64, 128, 224),
}
WORKERS, SHARED = (1, 2, 4), 400
AT_ONCE = 2
LABELS = {"cpu_s": "CPU seconds", "memory_mib": "memory, MiB"}


class Point(NamedTuple):
    """What a process measures: a stage at so many images, classes and pixels a side."""

    stage: str
    images: int
    classes: int
    size: int

    @classmethod
    def along(cls, stage: str, axis: str, value: int) -> "Point":
        """The point at a value of an axis."""
        first = {name: values[0] for name, values in AXES.items()}
        return cls(stage, **{**first, axis: value})

    def __str__(self) -> str:
        """Its key in the results."""
        return f"{self.stage}, {self.images} images, {self.classes} classes, size {self.size}"


def points() -> Iterator[Point]:
    """All points, the longest first, so that the last one does not run alone."""
    found = {
        Point.along(stage, axis, value)
        for stage in STAGES
        for axis, values in AXES.items()
        for value in values
    }
    yield from sorted(found, key=lambda one: (one.stage, -one.size, -one.images, one.classes))


def network_and_data(point: Point) -> tuple[Any, Any, Any]:
    """A network of random weights, random images, and its own answers to them."""
    import keras
    import numpy as np

    from tfrobust.models import resnet_cifar

    shape = (point.size, point.size, 3)
    images = np.random.default_rng(0).random((point.images, *shape), np.float32)
    keras.utils.set_random_seed(0)
    network = resnet_cifar(depth=8, width=8, input_shape=shape, num_classes=point.classes)
    return network, images, network.predict(images, verbose=0, batch_size=8).argmax(axis=1)


def work_of(point: Point) -> tuple[Callable[[], object], int]:
    """The stage, ready to be measured, and how often."""
    import tensorflow as tf

    import tfrobust
    from tfrobust.training import InputGradientPenalty
    from tfrobust.training.optimizer import L2SGD

    network, images, labels = network_and_data(point)
    if point.stage == "explain":
        return lambda: tfrobust.explain(network, images, labels), 1
    if point.stage == "evaluate":
        how: dict[str, Any] = {"preset": "fast", "progress": False}
        return lambda: tfrobust.evaluate(network, images, labels, **how), 1
    robust = tfrobust.RobustClassifier(network, penalty=InputGradientPenalty())
    robust.compile(L2SGD(0.01))
    step = tf.function(robust.optimize)
    batch = tf.constant(images), tf.constant(labels, tf.int32)

    def take() -> float:
        return float(step(*batch)["loss"])

    take()
    return take, 3


def measure(point: Point) -> None:
    """The process' side: prints what the point took."""
    work, times = work_of(point)
    turns.forget_peak()
    before, began = turns.peak_mib(), time.process_time()
    for _ in range(times):
        work()
    row = {
        "cpu_s": round((time.process_time() - began) / times, 4),
        "memory_mib": turns.peak_mib() - before,
        "before_mib": before,
    }
    print(json.dumps(row), flush=True)


def share(part: int, parts: int) -> None:
    """The process' side of the workers: does one part of the evaluation."""
    from tfrobust.robustness.evaluation import Evaluation
    from tfrobust.robustness.options import Options

    point = Point.along("evaluate", "images", SHARED)
    options = Options(preset="fast", progress=False)
    Evaluation(*network_and_data(point), options).run((part, parts))
    print(json.dumps({"cpu_s": round(time.process_time(), 2)}), flush=True)


def begun(*arguments: object) -> "subprocess.Popen[str]":
    """A process of this program."""
    return subprocess.Popen(
        [sys.executable, __file__, *map(str, arguments)],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "TF_NUM_INTRAOP_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )


def told(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """What a process of this program says at its end."""
    output, _ = process.communicate()
    if process.returncode:
        sys.exit(f"a process ended with {process.returncode}: {process.args}")
    return json.loads(output.splitlines()[-1])


def _of_process(point: Point) -> dict[str, Any]:
    return told(begun("--point", *point))


def complete(results: dict[str, Any], path: Path) -> None:
    """Measures what is missing, and writes after each point."""
    missing = [point for point in points() if str(point) not in results["points"]]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = {pool.submit(_of_process, point): point for point in missing}
        for done in as_completed(running):
            results["points"][str(running[done])] = done.result()
            turns.write(path, results)
            print(running[done], done.result(), file=sys.stderr, flush=True)
    for count in WORKERS:
        if str(count) not in results["workers"]:
            began = time.perf_counter()
            processes = [begun("--share", part + 1, count) for part in range(count)]
            cpu = sum(told(process)["cpu_s"] for process in processes)
            row = {"seconds": round(time.perf_counter() - began, 1), "cpu_s": round(cpu, 1)}
            results["workers"][str(count)] = row
            turns.write(path, results)
            print(count, "workers", row, file=sys.stderr, flush=True)


def along(results: dict[str, Any], stage: str, axis: str, what: str) -> list[float]:
    """A figure at each value of an axis."""
    rows = results["points"]
    return [rows[str(Point.along(stage, axis, value))][what] for value in AXES[axis]]


def table_of(results: dict[str, Any]) -> str:
    """Markdown: a row for each axis and stage, and one for the workers."""
    lines = ["| along | stage | CPU seconds | memory, MiB |", "|" + " --- |" * 4]
    for axis, values in AXES.items():
        for stage in STAGES:
            seconds = " · ".join(f"{one:.2g}" for one in along(results, stage, axis, "cpu_s"))
            memory = " · ".join(f"{one:.0f}" for one in along(results, stage, axis, "memory_mib"))
            told_values = ", ".join(map(str, values))
            lines.append(f"| {axis} {told_values} | {stage} | {seconds} | {memory} |")
    lines += ["", "| workers | seconds on the wall | CPU seconds of all |", "|" + " --- |" * 3]
    for count, row in results["workers"].items():
        lines.append(f"| {count} | {row['seconds']:.0f} | {row['cpu_s']:.0f} |")
    return "\n".join(lines)


def draw(results: dict[str, Any], path: Path) -> None:
    """CPU time above, memory below, a column for each axis; grey lines are linear growth."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, len(AXES), figsize=(10, 6), sharey="row")
    for column, (axis, values) in zip(axes.T, AXES.items(), strict=True):
        # The number of pixels, and not the side, is what work is proportional to.
        shown = [value**2 for value in values] if axis == "size" else list(values)
        for place, (what, label) in zip(column, LABELS.items(), strict=True):
            for stage in STAGES:
                found = [max(one, 1e-3) for one in along(results, stage, axis, what)]
                (line,) = place.loglog(shown, found, "o-", label=stage)
                linear = [found[-1] * one / shown[-1] for one in shown]
                place.loglog(shown, linear, ":", color=line.get_color(), linewidth=0.8)
            place.set_xticks(shown, [str(value) for value in values])
            place.minorticks_off()
            place.set_xlabel({"size": "pixels a side"}.get(axis, axis))
            place.set_ylabel(label if axis == "images" else "")
    axes[0, 0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def main() -> None:
    """Measures what is missing, prints, writes and draws."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--point", nargs=4, help="what one process measures")
    parser.add_argument("--share", nargs=2, type=int, help="which part one worker does")
    path = ROOT / "benchmarks" / "results" / "scaling.json"
    parser.add_argument("--output", type=Path, default=path)
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    flags = parser.parse_args()
    if flags.point:
        measure(Point(flags.point[0], *map(int, flags.point[1:])))
        return
    if flags.share:
        share(*flags.share)
        return
    results: dict[str, Any] = {"points": {}, "workers": {}}
    if flags.output.exists():
        results = json.loads(flags.output.read_text())
    results |= {"command": shlex.join(["python", *sys.argv]), "machine": turns.machine()}
    complete(results, flags.output)
    print(table := table_of(results))
    draw(results, flags.docs / "images" / "scaling.png")
    text = (
        f"\n{turns.measured_on(results)}\n\n{table}\n\n"
        "![Time and memory along three axes; dotted: linear growth](../images/scaling.png)\n"
    )
    turns.into_page(flags.docs / "figures" / "speed.md", "scaling", text)


if __name__ == "__main__":
    main()
