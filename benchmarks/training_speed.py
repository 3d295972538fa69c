"""Measures training steps: plain, with the penalty, adversarial; compiled or not; beside others.

    python benchmarks/training_speed.py --torch_python /path/with/torch/bin/python

Each configuration is a process of its own, which trains on one batch of random images of CIFAR-10's
shape. The processes take turns. The configurations are

- plain, penalty, adversarial: ResNet-44 with Half-Huber ReLU by the recipe cifar10_published_all.
  The last two have the penalty, the last also "L2,min" on half of the images;
- penalty_part, penalty_differences, penalty_differences_part, penalty_loss: the penalty on a
  quarter of the batch, by finite differences, both, and of the norm of the loss's gradient;
- plain_relu: the plain one with ReLU;
- stock_fit: the plain one by Keras' own `fit`, compiled as Keras chooses;
- torch_plain, torch_penalty, torch_adversarial: the same steps in PyTorch, which cannot compile
  them (torch_twin.py).

Prints a Markdown table, and writes benchmarks/results/training_speed.json.
"""

import argparse
import contextlib
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import turns

HERE = Path(__file__).resolve().parent
CONFIGURATIONS = (
    "plain",
    "stock_fit",
    "penalty",
    "torch_penalty",
    "plain_relu",
    "torch_plain",
    "adversarial",
    "torch_adversarial",
    "penalty_part",
    "penalty_differences_part",
    "plain_uncompiled",
    "penalty_uncompiled",
    "adversarial_uncompiled",
    "penalty_part_uncompiled",
    "penalty_differences_uncompiled",
    "penalty_differences_part_uncompiled",
    "penalty_loss_uncompiled",
)
# A configuration, another one, and the largest share of its time that the first may take.
LIMITS = (
    ("penalty", "plain", 2.5),
    ("penalty", "torch_penalty", 0.75),
    ("adversarial", "torch_adversarial", 0.75),
    # On CPUs Keras' own fit does not use XLA, so it is compared with an uncompiled step.
    ("plain_uncompiled", "stock_fit", 1.0),
    ("penalty_uncompiled", "torch_penalty", 0.75),
    # What is there to be cheaper than the paper's penalty.
    ("penalty_part", "torch_penalty", 0.5),
    ("penalty_differences_part", "torch_penalty", 0.5),
    ("penalty_part_uncompiled", "penalty_uncompiled", 0.8),
    ("penalty_differences_uncompiled", "penalty_uncompiled", 1.0),
    ("penalty_differences_part_uncompiled", "penalty_uncompiled", 0.8),
)


def flags_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The checked command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--configurations", default=",".join(CONFIGURATIONS), help="by comma")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each configuration")
    parser.add_argument("--steps", type=int, default=4, help="a turn; adversarial: a quarter")
    parser.add_argument("--warmup", type=int, default=2, help="steps before the first turn")
    parser.add_argument("--batch_size", type=int, default=128)
    parser.add_argument("--depth", type=int, default=44, help="6n + 2")
    parser.add_argument("--threads", type=int, default=turns.cores())
    parser.add_argument(
        "--torch_python", default=sys.executable, help="a Python with torch; default: this one"
    )
    parser.add_argument(
        "--output", type=Path, default=HERE / "results" / "training_speed.json", help="JSON"
    )
    flags = parser.parse_args(arguments)
    flags.configurations = tuple(dict.fromkeys(flags.configurations.split(",")))
    if unknown := sorted(set(flags.configurations) - set(CONFIGURATIONS)):
        parser.error(f"expected --configurations of {', '.join(CONFIGURATIONS)}; got {unknown[0]}")
    for name in ("rounds", "steps", "warmup", "batch_size", "threads"):
        if getattr(flags, name) < 1:
            parser.error(f"expected --{name} of at least 1, got {getattr(flags, name)}")
    if flags.depth < 8 or (flags.depth - 2) % 6:
        parser.error(f"expected --depth of 6n + 2 (8, 14, 20, …), got {flags.depth}")
    return flags


def command_of(configuration: str, flags: argparse.Namespace) -> list[str]:
    """What starts a configuration's process."""
    options = ("depth", "batch_size", "threads", "warmup")
    common = [f"--{name}={getattr(flags, name)}" for name in options]
    if configuration.startswith("torch_"):
        kind = configuration.removeprefix("torch_")
        return [flags.torch_python, str(HERE / "torch_twin.py"), kind, *common]
    kind = configuration.removesuffix("_uncompiled")
    compiled = "--compiled" if kind == configuration else "--no-compiled"
    return [sys.executable, str(HERE / "tensorflow_steps.py"), kind, compiled, *common]


def measured(flags: argparse.Namespace) -> dict[str, turns.Worker]:
    """Starts every configuration, then lets them take turns; → each one's worker, by name."""
    workers: dict[str, turns.Worker] = {}
    with contextlib.ExitStack() as stack:
        for name in flags.configurations:
            print(f"compiling and warming up: {name}", file=sys.stderr, flush=True)
            worker = stack.enter_context(turns.Worker(command_of(name, flags)))
            if not worker.facts["finite"]:
                raise RuntimeError(f"{name} diverged: its times say nothing")
            workers[name] = worker
        if len(counts := {worker.facts["parameters"] for worker in workers.values()}) > 1:
            raise RuntimeError(f"expected one and the same network, got {counts} parameters")
        for number in range(flags.rounds):
            print(f"round {number + 1} of {flags.rounds}", file=sys.stderr, flush=True)
            # Every other round backwards, so that none always follows the same one.
            for name in list(workers)[:: -1 if number % 2 else 1]:
                few = "adversarial" in name
                workers[name].turn(max(1, flags.steps // 4) if few else flags.steps)
    return workers


def results_of(flags: argparse.Namespace, workers: dict[str, turns.Worker]) -> dict[str, Any]:
    """What is written: of each configuration its times and peaks, and the ratios."""
    configurations = {}
    for name, worker in workers.items():
        found = turns.summary(worker)
        found["images_per_s"] = round(flags.batch_size / found["step_s"], 1)
        if "plain" in workers:
            found["to_plain"] = turns.ratio(worker, workers["plain"])
        configurations[name] = found
    versions: dict[str, str] = {}
    for found in configurations.values():
        versions.update(found.pop("versions"))
    limits = [
        {
            "step": name,
            "base": base,
            "most": most,
            "ratio": turns.ratio(workers[name], workers[base]),
            "cpu_ratio": turns.ratio(workers[name], workers[base], cpu=True),
        }
        for name, base, most in LIMITS
        if name in workers and base in workers
    ]
    return {
        "network": f"resnet_cifar, depth {flags.depth}, batch {flags.batch_size}, float32",
        "threads": flags.threads,
        "rounds": flags.rounds,
        "versions": versions,
        "configurations": configurations,
        "limits": limits,
    }


def table_of(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    lines = [
        "| step | images/s | s a step | CPU s a step | to plain | peak MiB | with compiling |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, found in results["configurations"].items():
        to_plain = found.get("to_plain")
        times = "" if to_plain is None else f"{to_plain['median']:.2f}"
        peak = max(found["steps_peak_mib"], found["process_peak_mib"])
        lines.append(
            f"| {name} | {found['images_per_s']:.0f} | {found['step_s']:.3f} | "
            f"{found['cpu_s']:.2f} | {times} | {found['steps_peak_mib']} | {peak} |"
        )
    for limit in results["limits"]:
        found = limit["ratio"]
        verdict = "met" if found["median"] <= limit["most"] else "MISSED"
        lines.append(
            f"\n{limit['step']} / {limit['base']}: {found['median']:.2f} "
            f"[{found['low']:.2f}, {found['high']:.2f}] over rounds, CPU time "
            f"{limit['cpu_ratio']['median']:.2f}; at most {limit['most']}: {verdict}"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, prints and writes."""
    flags = flags_of(arguments)
    has_torch = turns.has_module(flags.torch_python, "torch")
    if any(name.startswith("torch_") for name in flags.configurations) and not has_torch:
        print(f"no PyTorch in {flags.torch_python}: its steps are left out (see --torch_python)")
        flags.configurations = tuple(
            name for name in flags.configurations if not name.startswith("torch_")
        )
    about = {"command": shlex.join(["python", *sys.argv]), **turns.machine()}
    results = {**about, **results_of(flags, measured(flags))}
    print(table_of(results))
    turns.write(flags.output, results)
    print(f"written: {flags.output}")


if __name__ == "__main__":
    main()
