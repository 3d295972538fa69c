"""Compares the penalty's variants on the embedded images, all trained for the same time.

    python benchmarks/penalty_options.py          # twelve minutes on two cores

The variants' steps take turns, so that other programs disturb all of them alike. The paper's
penalty gets --steps steps, and each other variant as many as fit into the same CPU time. ψ finds
its first value by itself and holds the same loss for all. Then the preset `fast` attacks the same
test images of each. A variant whose report is in runs/penalty_options/ is not run again.

Prints a table, and writes it into docs/guides/train.md and benchmarks/results/penalty_options.json.
"""

import argparse
import dataclasses
import json
import shlex
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import turns

if TYPE_CHECKING:
    from tfrobust.robustness import AraReport
    from tfrobust.runs.config import Config

ROOT = Path(__file__).resolve().parents[1]
REPORTS = ROOT / "runs" / "penalty_options"
BATCH = 100
DIFFERENCES = {"penalty.method": "finite_differences"}
NORM = {"penalty.of": "loss", "penalty.exponent": 1.0}
QUARTER = {"penalty.fraction": 0.25}
PAPER = "the paper's"
VARIANTS: dict[str, dict[str, Any]] = {
    PAPER: {},
    "of a quarter": QUARTER,
    "by differences": DIFFERENCES,
    "norm of the loss's gradient": NORM,
    "norm, of a quarter": {**NORM, **QUARTER},
    "norm, by differences": {**NORM, **DIFFERENCES},
    "none": {"penalty.on": False},
}


def config_of(name: str, steps: int) -> "Config":
    """The default recipe at half of its width, with a variant and a quick ψ."""
    from tfrobust.runs.recipes import fashion_mnist_mini

    common = {
        "network.width": 8,
        "psi.loss_target": 0.8,
        "psi.initial_share": 0.05,
        "psi.gain": 0.05,
        "training.batch_size": BATCH,
        "training.max_steps": steps,
    }
    return fashion_mnist_mini().replace({**common, **VARIANTS[name]})


def step_ratios(source: Any, rounds: int) -> dict[str, float]:
    """Each variant's step, in those of the paper's: the median over rounds of three steps."""
    import tensorflow as tf

    from tfrobust.runs.build import build

    steps: dict[str, Any] = {}
    images, labels = next(iter(source.train(BATCH, seed=0)))
    for name in VARIANTS:
        steps[name] = tf.function(build(config_of(name, 100), source.info, 100).optimize)
        steps[name](images, labels)
    taken: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for _ in range(rounds):
        for name, step in steps.items():
            # Its own CPU time: seconds tell more of the other programs than of the step.
            began = time.process_time()
            for _ in range(3):
                float(step(images, labels)["loss"])
            taken[name].append(time.process_time() - began)
    return {
        name: statistics.median(a / b for a, b in zip(taken[name], taken[PAPER], strict=True))
        for name in VARIANTS
    }


def searched(name: str, source: Any, steps: int, images: int) -> "tuple[AraReport, dict[str, Any]]":
    """Trains one variant, attacks test images; → the report, and where the training ended."""
    import tfrobust
    from tfrobust.runs.build import build
    from tfrobust.runs.loop import fit
    from tfrobust.runs.metrics_log import read_metrics

    config = config_of(name, steps)
    classifier = build(config, source.info, steps)
    with tempfile.TemporaryDirectory() as folder:
        training = fit(classifier, source, config, Path(folder), jit=False)
        last = read_metrics(training.metrics)[-1]
    report = tfrobust.evaluate(
        classifier.network, *source.test_arrays(images), preset="fast", name=name, progress=False
    )
    return report, {key: last.get(key) for key in ("psi", "cross_entropy")}


def row(report: "AraReport", paper: "AraReport") -> dict[str, Any]:
    """What was found of a variant, and its areas divided by those of the paper's."""
    from tfrobust.robustness import compare

    ratios = compare(report, paper)
    return {
        "clean_accuracy": report.clean_accuracy,
        "attack_ara": dataclasses.asdict(report.attack_ara),
        "btr_ara": dataclasses.asdict(report.btr_ara),
        "attack_ratio": dataclasses.asdict(ratios.attack),
        "btr_ratio": dataclasses.asdict(ratios.btr),
    }


def table_of(results: dict[str, Any]) -> str:
    """Markdown, in the order of the variants."""
    from tfrobust.core.ara import Ara, Ratio

    head = ("penalty", "a step", "steps", "clean", "attack ARA", "BTR ARA", "of the paper's")
    lines = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    for name, found in results["variants"].items():
        areas = [str(Ara(**found[one])) for one in ("attack_ara", "btr_ara")]
        lines.append(
            f"| {name} | {results['step_ratios'][name]:.2f} | {found['steps']} | "
            f"{found['clean_accuracy']:.3f} | {' | '.join(areas)} | "
            f"{Ratio(**found['attack_ratio'])} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Runs what is missing, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200, help="of the paper's penalty")
    parser.add_argument("--rounds", type=int, default=7, help="turns in which steps are timed")
    parser.add_argument("--images", type=int, default=200, help="test images that are attacked")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks" / "results" / "penalty_options.json"
    )
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    flags = parser.parse_args()
    from tfrobust import datasets
    from tfrobust.robustness import AraReport

    source = datasets.load("fashion_mnist_mini")
    results: dict[str, Any] = {
        "command": shlex.join(["python", *sys.argv]),
        "machine": turns.machine(),
        "images": flags.images,
        "steps": flags.steps,
        "variants": {},
    }
    if flags.output.exists():
        kept = json.loads(flags.output.read_text())
        if (kept["images"], kept["steps"]) != (flags.images, flags.steps):
            parser.error(
                f"expected --images {kept['images']} --steps {kept['steps']}, as {flags.output} "
                "has them. Delete it, or name another --output and --docs"
            )
        results = kept
    if "step_ratios" not in results:
        results["step_ratios"] = step_ratios(source, flags.rounds)
    REPORTS.mkdir(parents=True, exist_ok=True)
    paths = {name: REPORTS / f"{number}.json" for number, name in enumerate(VARIANTS)}
    for name, changes in VARIANTS.items():
        steps = round(flags.steps / results["step_ratios"][name])
        if name not in results["variants"] or not paths[name].exists():
            report, ended = searched(name, source, steps, flags.images)
            report.to_json(paths[name])
            paper = AraReport.from_json(paths[PAPER])
            results["variants"][name] = {
                "changes": changes,
                "steps": steps,
                **ended,
                **row(report, paper),
            }
            turns.write(flags.output, results)
            print(table_of(results), file=sys.stderr, flush=True)
    print(table := table_of(results))
    text = f"\n{turns.measured_on(results)}\n\n{table}\n"
    turns.into_page(flags.docs / "guides" / "train.md", "penalty_options", text)


if __name__ == "__main__":
    main()
