"""Which operators take the time of a training step, against what the CPU's cores can multiply.

    python benchmarks/step_profile.py [--depth 44] [--batch_size 128]

TensorFlow's profiler watches a step of ResNet-44 without XLA that runs one operator at a time, as
`tfrobust-train --nojit` does on a CPU: then the operators' times add up to the step's. The plain
step and the one with the paper's penalty are measured. Beside them stands how long the
multiply-adds of their convolutions would take at the speed of a large product of matrices.

Prints a table, and writes benchmarks/results/step_profile.json.
"""

import argparse
import collections
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tensorflow_steps
import turns

if TYPE_CHECKING:
    import keras

HERE = Path(__file__).resolve().parent
KINDS = ("plain", "penalty")
# Operators by the first of these that is a part of their name.
GROUPS = {
    "Conv2DBackpropFilter": "convolutions, gradient of kernels",
    "Conv2DBackpropInput": "convolutions, gradient of images",
    "Conv2D": "convolutions, forward",
}
SIDE = 2048


def multiply_adds(network: "keras.Model") -> int:
    """Those of a forward pass of all convolutions, for one image."""
    import keras

    layers = [one for one in network.layers if isinstance(one, keras.layers.Conv2D)]
    return sum(int(one.kernel.shape.num_elements()) * places(one.output.shape) for one in layers)


def places(shape: tuple[int | None, ...]) -> int:
    """How many pixels a map (None, H, W, C) has."""
    _, height, width, _ = shape
    assert height is not None and width is not None
    return height * width


def fastest_rate() -> float:
    """Multiply-adds a second of a product of large matrices: the best of five."""
    import tensorflow as tf

    matrix = tf.random.normal((SIDE, SIDE))
    seconds = []
    for _ in range(6):
        began = time.perf_counter()
        tf.linalg.matmul(matrix, matrix).numpy()
        seconds.append(time.perf_counter() - began)
    return SIDE**3 / min(seconds[1:])


def operators(folder: str) -> dict[str, tuple[float, int]]:
    """Seconds and calls of each kind of operator in a profile that TensorFlow wrote."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    (path,) = Path(folder).rglob("*.xplane.pb")
    space = xplane_pb2.XSpace.FromString(path.read_bytes())
    (plane,) = (one for one in space.planes if one.name == "/host:CPU")
    # One operator at a time: one thread runs them all.
    (line,) = (one for one in plane.lines if one.name.startswith("tf_Compute"))
    found: dict[str, tuple[float, int]] = collections.defaultdict(lambda: (0.0, 0))
    for event in line.events:
        # "gradient_tape/network/conv2d/Conv2D:Conv2D"; the executor's own are "X::Process".
        name, _, kind = plane.event_metadata[event.metadata_id].name.rpartition(":")
        if name and not name.endswith(":"):
            seconds, calls = found[kind]
            found[kind] = seconds + event.duration_ps / 1e12, calls + 1
    return dict(found)


def profiled(kind: str, depth: int, batch_size: int, rate: float) -> dict[str, Any]:
    """Where one kind of step spends its time."""
    import numpy as np
    import tensorflow as tf

    classifier = tensorflow_steps.classifier_of(kind, depth, batch_size)
    random = np.random.default_rng(0)
    images = tf.constant(random.random((batch_size, 32, 32, 3), np.float32))
    labels = tf.constant(random.integers(10, size=batch_size), tf.int32)
    step = tf.function(classifier.optimize)
    for _ in range(2):
        float(step(images, labels)["loss"])
    began = time.perf_counter()
    float(step(images, labels)["loss"])
    seconds = time.perf_counter() - began
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            float(step(images, labels)["loss"])
        found = operators(folder)
    grouped: dict[str, tuple[float, int]] = collections.defaultdict(lambda: (0.0, 0))
    for name, (took, calls) in found.items():
        group = next((told for part, told in GROUPS.items() if part in name), name)
        grouped[group] = grouped[group][0] + took, grouped[group][1] + calls
    forward = multiply_adds(classifier.network)
    layers = sum("Conv2D" in type(one).__name__ for one in classifier.network.layers)
    passes = sum(grouped[name][1] for name in GROUPS.values()) / layers
    ordered = sorted(grouped.items(), key=lambda item: -item[1][0])
    return {
        "step_s": seconds,
        "operators_s": sum(took for took, _ in found.values()),
        "operators": {name: {"s": took, "calls": calls} for name, (took, calls) in ordered},
        "passes_of_all_convolutions": passes,
        "multiply_adds": forward * batch_size * passes,
        "multiply_adds_at_best_s": forward * batch_size * passes / rate,
    }


def table_of(kind: str, found: dict[str, Any], rows: int) -> str:
    """The operators that take the most, as Markdown."""
    whole = found["operators_s"]
    lines = [f"| {kind} | calls | s | share |", "| --- |" + " --- |" * 3]
    every = list(found["operators"].items())
    for name, one in every[:rows]:
        lines.append(f"| {name} | {one['calls']} | {one['s']:.3f} | {one['s'] / whole:.2f} |")
    rest = sum(one["s"] for _, one in every[rows:])
    lines.append(f"| {len(every) - rows} others | | {rest:.3f} | {rest / whole:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--depth", type=int, default=44, help="6n + 2")
    parser.add_argument("--batch_size", type=int, default=128)
    parser.add_argument("--output", type=Path, default=HERE / "results" / "step_profile.json")
    flags = parser.parse_args()
    if flags.depth < 8 or (flags.depth - 2) % 6 or flags.batch_size < 1:
        parser.error("expected --depth of 6n + 2 (8, 14, 20, …) and --batch_size of at least 1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    import tensorflow as tf

    tf.config.threading.set_inter_op_parallelism_threads(1)
    machine = turns.machine()
    rate = fastest_rate()
    steps = {kind: profiled(kind, flags.depth, flags.batch_size, rate) for kind in KINDS}
    asked = f"--depth {flags.depth} --batch_size {flags.batch_size}"
    results = {
        "command": f"python benchmarks/step_profile.py {asked}",
        **machine,
        "network": f"resnet_cifar, depth {flags.depth}, batch {flags.batch_size}, float32",
        "multiply_adds_a_second_of_a_matrix_product": rate,
        "steps": steps,
    }
    turns.write(flags.output, results)
    for kind, found in steps.items():
        print(table_of(kind, found, 12))
        print(
            f"\n{found['step_s']:.2f} s a step; {found['multiply_adds'] / 1e9:.0f}·10⁹ "
            f"multiply-adds of convolutions, {found['multiply_adds_at_best_s']:.2f} s at the rate "
            f"of a matrix product ({rate / 1e9:.0f}·10⁹/s)\n"
        )
    print(f"written: {flags.output}")


if __name__ == "__main__":
    main()
