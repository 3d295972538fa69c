"""Compares recipes for CIFAR-10 that all get the same time, as a search of Ray Tune.

    python benchmarks/recipe_search.py --data_dir ../shared/tfds --minutes 4 [--only l2_min]

Each recipe is a trial, which has a whole machine to itself, or a GPU: on this machine they run
one after the other, on a cluster (--ray auto) beside each other. A trial first times its steps,
compiled and warm, and then trains for as many as fit into the time, which others may disturb. The
attacked images are from the last 5,000 of the training split, which are not trained on. The test
split is not looked at. A recipe that is in the results already, for the same time, is not run
again. An interrupted training goes on.

Prints a table, and writes benchmarks/results/recipe_search.json as trials end and, for each recipe,
runs/search/. Needs Ray: pip install "tfrobust[ray]".
"""

import argparse
import contextlib
import dataclasses
import importlib.util
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfrobust.runs.config import Config

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

ROOT = Path(__file__).resolve().parents[1]
HELD_OUT = 5000
# One cycle of the rate, as short trainings want it (arXiv 2001.03994).
SHORT = {
    "optimizer.learning_rate": 0.2,
    "optimizer.learning_rate_schedule": "cosine",
    "optimizer.learning_rate_warmup": 0.2,
    "optimizer.weight_decay": 5e-4,
}
# RMSE: of an L2 of .5, 1, 1.5 and 2 on 32×32×3 values.
HALF, ONE, MORE, TWO = (size / 3072**0.5 for size in (0.5, 1.0, 1.5, 2.0))
SMALL: dict[str, Any] = {"network.depth": 8, "network.width": 16, **SHORT}
NO_PENALTY: dict[str, Any] = {**SMALL, "penalty.on": False}
MADRY = {**NO_PENALTY, "adversarial.method": "madry_l2", "adversarial.steps": 1}
GROWING = {
    **MADRY, "adversarial.epsilon": ONE, "adversarial.growth": 0.5,
    "training.precision": "bfloat16",
}  # fmt: skip
WIDE = {**GROWING, "network.width": 64, "network.stem_stride": 2}
# What each differs in from the published recipe.
RECIPES: dict[str, dict[str, Any]] = {
    "plain": NO_PENALTY,
    "penalty": SMALL,
    "penalty + l2_min": {**SMALL, "adversarial.method": "l2_min"},
    "penalty + madry_l2 1 step, 1.0": {
        **MADRY, "penalty.on": True, "adversarial.epsilon": ONE, "adversarial.share": 1.0,
    },
    "madry_l2 1 step, 0.5": {**MADRY, "adversarial.epsilon": HALF},
    "madry_l2 1 step, 1.0": {**MADRY, "adversarial.epsilon": ONE},
    "madry_l2 1 step, 1.5": {**MADRY, "adversarial.epsilon": MORE},
    "madry_l2 1 step, 2.0": {**MADRY, "adversarial.epsilon": TWO},
    "madry_l2 3 steps, 1.5": {**MADRY, "adversarial.epsilon": MORE, "adversarial.steps": 3},
    "trades_l2 2 steps, 1.0": {
        **NO_PENALTY, "adversarial.method": "trades_l2", "adversarial.steps": 2,
        "adversarial.epsilon": ONE,
    },
    "madry_l2 1 step, 1.5, growing": {
        **MADRY, "adversarial.epsilon": MORE, "adversarial.growth": 0.5,
    },
    "penalty, quick ψ": {**SMALL, "psi.initial": 2000.0, "psi.gain": 0.2},
    "growing 1.0, bfloat16, width 32": {**GROWING, "network.width": 32},
    "wide: growing 1.0, bfloat16, width 64, stem of stride 2": WIDE,
    "wide, no crops": {**WIDE, "data.augmentation": "none"},
    "wide, ReLU": {**WIDE, "network.activation": "relu"},
    "wide, 1.5": {**WIDE, "adversarial.epsilon": MORE},
    "wide, 2.0": {**WIDE, "adversarial.epsilon": TWO},
    "wide, penalty": {**WIDE, "penalty.on": True, "adversarial.share": 1.0},
}  # fmt: skip


def step_seconds(config: "Config", source: Any, jit: bool) -> float:
    """The median of a few steps, compiled and warm."""
    import tensorflow as tf

    from tfrobust.runs.build import build

    classifier = build(config, source.info, 100)
    step = tf.function(classifier.optimize, jit_compile=jit)
    batch_size, augmentation = config.training.batch_size, config.data.augmentation
    batches = iter(source.train(batch_size, seed=0, augmentation=augmentation))
    seconds = []
    for _ in range(12):
        images, labels = next(batches)
        began = time.perf_counter()
        float(step(images, labels)["loss"])
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[4:])


def config_of(name: str, flags: argparse.Namespace) -> "Config":
    """The whole configuration, its steps aside."""
    from tfrobust.runs import recipes

    changes = {
        "data.name": flags.dataset,
        "data.data_dir": flags.data_dir,
        "data.held_out": HELD_OUT,
    }
    return recipes.cifar10_published_robust().replace({**changes, **RECIPES[name]})


def folder_of(name: str, flags: argparse.Namespace) -> Path:
    """Where a recipe's run is kept."""
    return ROOT / "runs" / "search" / f"{flags.minutes:g}" / name.replace(" ", "_")


def planned_steps(name: str, source: Any, flags: argparse.Namespace) -> int:
    """How many steps fit into the time; measured once."""
    planned = folder_of(name, flags) / "steps.txt"
    if not planned.exists():
        seconds = step_seconds(config_of(name, flags), source, flags.jit)
        planned.parent.mkdir(parents=True, exist_ok=True)
        planned.write_text(str(max(1, int(60 * flags.minutes / seconds))))
    return int(planned.read_text())


def searched(name: str, source: Any, flags: argparse.Namespace) -> dict[str, Any]:
    """Trains one recipe for the time, attacks the images held out; → its row."""
    from tfrobust.models.convert import full_precision
    from tfrobust.robustness.evaluate import evaluate
    from tfrobust.runs.build import build, total_steps
    from tfrobust.runs.loop import fit
    from tfrobust.runs.metrics_log import read_metrics

    config, folder = config_of(name, flags), folder_of(name, flags)
    steps = planned_steps(name, source, flags)
    batch_size = config.training.batch_size
    epochs = -(-steps // source.steps_per_epoch(batch_size))
    config = config.replace({"training.epochs": epochs, "training.max_steps": steps})
    classifier = build(config, source.info, total_steps(config, source))
    training = fit(classifier, source, config, folder, jit=flags.jit)
    network = classifier.network
    if config.training.precision != "float32":
        network = full_precision(network)
    report = evaluate(
        network,
        *source.test_arrays(flags.images),
        preset="fast",
        name=name,
        data=f"{source.info.provenance} {flags.images} training images held out",
        partial_dir=folder / "evaluation",
    )
    report.to_html(folder / "report.html")
    return {
        "minutes": flags.minutes,
        "command": f"{command(flags)} --only {name!r}",
        "recipe": RECIPES[name],
        "steps": steps,
        "images_seen": steps * batch_size,
        "seconds": round(training.seconds, 1),
        "resumed_at": training.resumed_at,
        "training_accuracy": read_metrics(training.metrics)[-1].get("accuracy"),
        "clean_accuracy": report.clean_accuracy,
        "attack_ara": dataclasses.asdict(report.attack_ara),
        "btr_ara": dataclasses.asdict(report.btr_ara),
        "attacks": list(report.attack_names),
        "images": flags.images,
    }


def command(flags: argparse.Namespace) -> str:
    """What repeats all of it."""
    return (
        f"python benchmarks/recipe_search.py --data_dir {flags.data_dir} "
        f"--minutes {flags.minutes:g} --images {flags.images} --{'' if flags.jit else 'no-'}jit"
    )


def table(rows: dict[str, Any]) -> str:
    """Markdown, the largest attack ARA first."""
    lines = [
        "| recipe | images seen | clean accuracy | attack ARA | BTR ARA |",
        "|" + " --- |" * 5,
    ]
    order = sorted(rows, key=lambda name: -rows[name]["attack_ara"]["value"])
    for name in order:
        row, areas = rows[name], []
        for goal in ("attack_ara", "btr_ara"):
            area = row[goal]
            areas.append(f"{area['value']:.4f} [{area['low']:.4f}, {area['high']:.4f}]")
        lines.append(
            f"| {name} | {row['images_seen'] // 1000},000 | {row['clean_accuracy']:.3f} "
            f"| {' | '.join(areas)} |"
        )
    return "\n".join(lines)


def trial(asked: dict[str, Any]) -> None:
    """One recipe, in a process that Ray Tune starts."""
    from ray import tune

    from tfrobust import datasets

    os.chdir(asked["folder"])
    flags = argparse.Namespace(**asked["flags"])
    source = datasets.load(flags.dataset, data_dir=flags.data_dir, held_out=HELD_OUT)
    tune.report({"name": asked["name"], "row": json.dumps(searched(asked["name"], source, flags))})


def tune_all(wanted: list[str], flags: argparse.Namespace, keep: Callable[..., None]) -> list[str]:
    """Runs the trials; → what went wrong.

    Args:
        wanted: the recipes' names.
        flags: the command line.
        keep: takes a recipe's name and its row when its trial has ended.
    """
    from tfrobust.cli.ray_connection import connected

    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    with connected(flags.ray) as ray, tempfile.TemporaryDirectory() as storage:
        from ray import tune

        class Kept(tune.Callback):
            def on_trial_result(
                self, iteration: int, trials: list, trial: Any, result: dict[str, Any], **_: Any
            ) -> None:
                keep(result["name"], json.loads(result["row"]))

        nodes = [node["Resources"] for node in ray.nodes() if node["Resources"].get("CPU")]
        # A whole machine, of the smallest; where there are GPUs, one with its part of the cores.
        needs = {"cpu": int(min(node["CPU"] // node.get("GPU", 1) for node in nodes))}
        if any(node.get("GPU") for node in nodes):
            needs["gpu"] = 1
        space = {
            "name": tune.grid_search(wanted),
            "flags": vars(flags),
            "folder": os.getcwd(),
        }
        tuner = tune.Tuner(
            tune.with_resources(trial, needs),
            param_space=space,
            run_config=tune.RunConfig(
                name="recipe_search", storage_path=storage, callbacks=[Kept()], verbose=0
            ),
        )
        with contextlib.redirect_stdout(sys.stderr):  # Tune tells of itself
            return [str(error) for error in tuner.fit().errors]


def main() -> None:
    """Runs what is missing, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--data_dir", default=None, help="of TensorFlow Datasets")
    parser.add_argument("--minutes", type=float, default=4, help="of training, each recipe")
    parser.add_argument("--images", type=int, default=300, help="held out, that are attacked")
    parser.add_argument("--only", default="", help="a recipe's name, or a part of several")
    parser.add_argument("--jit", action=argparse.BooleanOptionalAction, default=False)
    parser.add_argument("--ray", default="here", help="a cluster's address; default: this machine")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks" / "results" / "recipe_search.json"
    )
    flags = parser.parse_args()
    if not flags.minutes > 0 or not 0 < flags.images <= HELD_OUT:
        parser.error(f"expected --minutes above 0 and --images from 1 to {HELD_OUT}")
    if importlib.util.find_spec("ray") is None:
        parser.error('expected Ray: pip install "tfrobust[ray]"')
    import turns

    results: dict[str, Any] = {"recipes": {}}
    if flags.output.exists():
        results = json.loads(flags.output.read_text())
    results |= {"command": command(flags), "machine": turns.machine(), "held_out": HELD_OUT}
    wanted = [
        name
        for name in ([flags.only] if flags.only in RECIPES else RECIPES)
        if flags.only in name and results["recipes"].get(name, {}).get("minutes") != flags.minutes
    ]

    def keep(name: str, row: dict[str, Any]) -> None:
        results["recipes"][name] = row
        turns.write(flags.output, results)
        print(table(results["recipes"]), file=sys.stderr)

    failed = tune_all(wanted, flags, keep) if wanted else []
    print(table(results["recipes"]))
    print(f"written: {flags.output}")
    if failed:
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()
