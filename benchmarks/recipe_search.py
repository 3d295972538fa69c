"""Recipes for CIFAR-10 on two CPU cores, side by side at equal time.

    python benchmarks/recipe_search.py --data_dir ../shared/tfds --minutes 15 [--only l2_min]

Each recipe is trained for as many epochs as fit into the time, by its own measured step; the
attacked images are the last of the training split, held out: the test split is not looked at. A
recipe that is in the results already, at the same time, is not run again, and an interrupted
training goes on. Nothing else may run beside, or the time is not equal.

Prints a table and writes benchmarks/results/recipe_search.json and, by recipe, runs/search/.
"""

import argparse
import dataclasses
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

ROOT = Path(__file__).resolve().parents[1]
HELD_OUT = 5000
# One cycle of the rate, as short trainings want it (arXiv 2001.03994).
SHORT = {
    "learning_rate": 0.2,
    "learning_rate_schedule": "cosine",
    "learning_rate_warmup": 0.2,
    "weight_decay": 5e-4,
}
SMALL = {"depth": 8, "width": 32, **SHORT}
# RMSE: of an L2 of .5, 1 and 1.5 on 32×32×3 values.
HALF, ONE, MORE = (size / 3072**0.5 for size in (0.5, 1.0, 1.5))
NO_PENALTY: dict[str, Any] = {"penalty": False}
# What each differs in from the published recipe.
RECIPES: dict[str, dict[str, Any]] = {
    "plain": {**SMALL, **NO_PENALTY},
    "penalty": SMALL,
    "penalty, narrow": {**SMALL, "width": 16},
    "penalty, ResNet-14": {**SMALL, "depth": 14, "width": 16},
    "penalty + l2_min": {**SMALL, "adversarial": "l2_min"},
    "penalty + madry_l2 1 step, 1.0": {
        **SMALL, "adversarial": "madry_l2", "adversarial_steps": 1, "adversarial_epsilon": ONE,
    },
    "madry_l2 1 step, 0.5": {
        **SMALL, **NO_PENALTY, "adversarial": "madry_l2", "adversarial_steps": 1,
        "adversarial_epsilon": HALF,
    },
    "madry_l2 1 step, 1.0": {
        **SMALL, **NO_PENALTY, "adversarial": "madry_l2", "adversarial_steps": 1,
        "adversarial_epsilon": ONE,
    },
    "madry_l2 1 step, 1.5": {
        **SMALL, **NO_PENALTY, "adversarial": "madry_l2", "adversarial_steps": 1,
        "adversarial_epsilon": MORE,
    },
    "madry_l2 3 steps, 1.0": {
        **SMALL, **NO_PENALTY, "adversarial": "madry_l2", "adversarial_steps": 3,
        "adversarial_epsilon": ONE,
    },
    "trades_l2 3 steps, 1.0": {
        **SMALL, **NO_PENALTY, "adversarial": "trades_l2", "adversarial_steps": 3,
        "adversarial_epsilon": ONE,
    },
}  # fmt: skip


def step_seconds(recipe: Any, source: Any, jit: bool) -> float:
    """The median of a few steps, compiled and warm."""
    import tensorflow as tf

    from tfrobust.training.build import build

    classifier = build(recipe, source.info, 100)
    step = tf.function(classifier.optimize, jit_compile=jit)
    batches = iter(source.train(recipe.batch_size, seed=0, augmentation=recipe.augmentation))
    seconds = []
    for _ in range(12):
        images, labels = next(batches)
        began = time.perf_counter()
        float(step(images, labels)["loss"])
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[4:])


def searched(name: str, flags: argparse.Namespace) -> dict[str, Any]:
    """Trains one recipe for the time, attacks the images held out; → its row."""
    from tfrobust import datasets, recipes
    from tfrobust.evaluation.evaluate import evaluate
    from tfrobust.training.build import build, total_steps
    from tfrobust.training.fit import fit
    from tfrobust.training.log import read_metrics

    changes = {"dataset": flags.dataset, "data_dir": flags.data_dir, "held_out": HELD_OUT}
    recipe = dataclasses.replace(recipes.cifar10_published_robust(), **changes, **RECIPES[name])
    source = datasets.load(flags.dataset, data_dir=flags.data_dir, held_out=HELD_OUT)
    folder = ROOT / "runs" / "search" / f"{flags.minutes:g}" / name.replace(" ", "_")
    folder.mkdir(parents=True, exist_ok=True)
    planned = folder / "epochs.txt"
    if not planned.exists():
        step = step_seconds(recipe, source, flags.jit)
        per_epoch = step * source.steps_per_epoch(recipe.batch_size)
        planned.write_text(f"{max(1, round(60 * flags.minutes / per_epoch))}")
    recipe = dataclasses.replace(recipe, epochs=int(planned.read_text()))
    classifier = build(recipe, source.info, total_steps(recipe, source))
    training = fit(classifier, source, recipe, folder, jit=flags.jit)
    report = evaluate(
        classifier.network,
        *source.test_arrays(flags.images),
        preset="fast",
        name=name,
        data=f"{source.info.provenance} {flags.images} training images held out",
        partial_dir=folder / "evaluation",
    )
    report.to_html(folder / "report.html")
    options = " ".join(f"--{key}={value}" for key, value in RECIPES[name].items())
    return {
        "minutes": flags.minutes,
        "command": f"python tools/train.py --recipe cifar10_published_robust --held_out {HELD_OUT} "
        f"--epochs {recipe.epochs} {options}",
        "epochs": recipe.epochs,
        "seconds": round(training.seconds, 1),
        "resumed_at": training.resumed_at,
        "training_accuracy": read_metrics(training.metrics)[-1].get("val_accuracy"),
        "clean_accuracy": report.clean_accuracy,
        "attack_ara": dataclasses.asdict(report.attack_ara),
        "btr_ara": dataclasses.asdict(report.btr_ara),
        "attacks": list(report.attack_names),
        "images": flags.images,
    }


def table(rows: dict[str, Any]) -> str:
    """Markdown, the largest attack ARA first."""
    lines = ["| recipe | epochs | clean accuracy | attack ARA | BTR ARA |", "|" + " --- |" * 5]
    order = sorted(rows, key=lambda name: -rows[name]["attack_ara"]["value"])
    for name in order:
        row, areas = rows[name], []
        for goal in ("attack_ara", "btr_ara"):
            area = row[goal]
            areas.append(f"{area['value']:.4f} [{area['low']:.4f}, {area['high']:.4f}]")
        lines.append(
            f"| {name} | {row['epochs']} | {row['clean_accuracy']:.3f} | {' | '.join(areas)} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Runs what is missing, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--data_dir", default=None, help="of TensorFlow Datasets")
    parser.add_argument("--minutes", type=float, default=15, help="of training, each recipe")
    parser.add_argument("--images", type=int, default=500, help="held out, that are attacked")
    parser.add_argument("--only", default="", help="a part of the recipes' names")
    parser.add_argument("--jit", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks" / "results" / "recipe_search.json"
    )
    flags = parser.parse_args()
    if not flags.minutes > 0 or not 0 < flags.images <= HELD_OUT:
        parser.error(f"expected --minutes above 0 and --images from 1 to {HELD_OUT}")
    import turns

    results: dict[str, Any] = {"recipes": {}}
    if flags.output.exists():
        results = json.loads(flags.output.read_text())
    results |= {"machine": turns.machine(), "held_out": HELD_OUT}
    for name in RECIPES:
        done = results["recipes"].get(name)
        if flags.only not in name or (done and done["minutes"] == flags.minutes):
            continue
        print(f"{name}: {flags.minutes:g} minutes", file=sys.stderr)
        results["recipes"][name] = searched(name, flags)
        turns.write(flags.output, results)
    print(table(results["recipes"]))
    print(f"written: {flags.output}")


if __name__ == "__main__":
    main()
