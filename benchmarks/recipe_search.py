"""Compares recipes for CIFAR-10 that all get the same time, as a search of Ray Tune.

    python benchmarks/recipe_search.py --data_dir ../shared/tfds --measure_steps
    python benchmarks/recipe_search.py --data_dir ../shared/tfds --minutes 4 [--only NAME]

The first command measures the seconds of all recipes' steps, in turns, and wants a quiet machine.
Each recipe is then a trial, which has a whole machine to itself, or a GPU: on this machine they run
one after the other, on a cluster (--ray auto) beside each other. A trial trains for as many steps
as fit into the time, which others may disturb; where no seconds were measured, it measures them
itself, and says so. The attacked images are from the last 5,000 of the training split, which are
not trained on. The test split is not looked at. A recipe that is in the results already, for the
same time, data, seed, settings and number of images, is not run again. An interrupted training goes
on. The recipes are in search_recipes.py.

Prints a table for each time, and writes benchmarks/results/recipe_search.json as trials end and,
for each recipe, runs/search/. Needs Ray: pip install "tfrobust[ray]".
"""

import argparse
import contextlib
import dataclasses
import importlib.util
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from search_recipes import (
    FAIR,
    HELD_OUT,
    RECIPES,
    ROOT,
    RUNS,
    TEACHER,
    about,
    averaged,
    config_of,
    make_teacher,
)
from search_steps import in_turns
from search_tables import table, tables

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as our programs ask for

RESULTS = ROOT / "benchmarks" / "results" / "recipe_search.json"


def folder_of(name: str, flags: argparse.Namespace) -> Path:
    """Where a recipe's run is kept."""
    told = about(name, flags)
    of_recipe = f"{name.replace(' ', '_')}-{told['dataset']}-{told['settings']}"
    return RUNS / f"{flags.minutes:g}" / of_recipe


def planned(name: str, source: Any, flags: argparse.Namespace) -> dict[str, Any]:
    """How many steps fit into the time, and by which seconds of a step; kept once it is known."""
    import turns

    path = folder_of(name, flags) / "steps.json"
    if not path.exists():
        seconds = flags.step_seconds.get(name)
        measured = "in the trial" if seconds is None else "before, in turns"
        if seconds is None:
            (seconds,) = in_turns([name], source, flags).values()
        steps = max(1, int(60 * flags.minutes / seconds))
        turns.write(path, {"steps": steps, "step_s": seconds, "measured": measured})
    return json.loads(path.read_text())


def searched(name: str, source: Any, flags: argparse.Namespace) -> dict[str, Any]:
    """Trains one recipe for the time, attacks the images held out; → its row."""
    import turns

    from tfrobust.models.convert import full_precision
    from tfrobust.models.mirror import mirrored
    from tfrobust.robustness.evaluate import evaluate
    from tfrobust.runs.build import build, total_steps
    from tfrobust.runs.loop import fit
    from tfrobust.runs.metrics_log import read_metrics

    config, folder = config_of(name, flags), folder_of(name, flags)
    plan = planned(name, source, flags)
    steps = plan["steps"]
    batch_size = config.training.batch_size
    epochs = -(-steps // source.steps_per_epoch(batch_size))
    changes = {"training.epochs": epochs, "training.max_steps": steps}
    config = config.replace({**changes, **averaged(name, steps)})
    classifier = build(config, source.info, total_steps(config, source))
    training = fit(classifier, source, config, folder, jit=flags.jit)
    network = classifier.network
    if config.training.precision != "float32":
        network = full_precision(network)
    if config.network.mirrored and not config.network.mirrored_training:
        network = mirrored(network)
    report = evaluate(
        network,
        *source.test_arrays(flags.images),
        preset="fast",
        name=name,
        data=f"{source.info.provenance} {flags.images} training images held out",
        partial_dir=folder / f"evaluation of {flags.images}",
    )
    report.to_html(folder / "report.html")
    return {
        "minutes": flags.minutes,
        **about(name, flags),
        "command": f"{command(flags)} --only {name!r}",
        "recipe": {path: _told(value) for path, value in RECIPES[name].items()},
        "machine": turns.machine(),
        **plan,
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


def is_done(rows: dict[str, Any], name: str, flags: argparse.Namespace) -> bool:
    """Whether there is a row of this recipe as it is now, on these data and as many images."""
    wanted = {**about(name, flags), "images": flags.images}
    return {key: rows.get(name, {}).get(key) for key in wanted} == wanted


def stored(flags: argparse.Namespace) -> dict[str, Any]:
    """What is in the results by now, with a place for the rows of this time."""
    results = {"command": command(flags), "held_out": HELD_OUT, "step_seconds": {}, "recipes": {}}
    if flags.output.exists():
        results |= json.loads(flags.output.read_text())
    results["recipes"].setdefault(f"{flags.minutes:g}", {})
    return results


def keep(name: str, row: dict[str, Any], flags: argparse.Namespace) -> None:
    """Adds a row to the results, whatever other searches write meanwhile."""
    import turns

    with locked(flags.output.parent):
        results = stored(flags)
        results["recipes"][f"{flags.minutes:g}"][name] = row
        turns.write(flags.output, results)
    print(table(results["recipes"][f"{flags.minutes:g}"]), file=sys.stderr)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Within it, no other search reads or writes the results of a folder."""
    from tfrobust.core.files import lock

    folder.mkdir(parents=True, exist_ok=True)
    while (descriptor := lock(folder)) is None:
        time.sleep(0.05)
    try:
        yield
    finally:
        os.close(descriptor)


def _told(value: Any) -> Any:
    """A value of a recipe, without the folder that this clone is in."""
    return value.replace(f"{ROOT}{os.sep}", "") if isinstance(value, str) else value


def command(flags: argparse.Namespace) -> str:
    """What repeats all of it."""
    return (
        f"python benchmarks/recipe_search.py --data_dir {flags.data_dir} "
        f"--minutes {flags.minutes:g} --images {flags.images} --{'' if flags.jit else 'no-'}jit"
    )


def trial(asked: dict[str, Any]) -> None:
    """One recipe, in a process that Ray Tune starts."""
    from ray import tune

    os.chdir(asked["folder"])
    flags = argparse.Namespace(**asked["flags"])
    row = searched(asked["name"], source_of(flags), flags)
    tune.report({"name": asked["name"], "row": json.dumps(row)})


def source_of(flags: argparse.Namespace) -> Any:
    """The images."""
    from tfrobust import datasets

    return datasets.load(flags.dataset, data_dir=flags.data_dir, held_out=HELD_OUT)


def tune_all(
    wanted: list[str],
    flags: argparse.Namespace,
    step_seconds: dict[str, float],
) -> list[str]:
    """Runs the trials, and keeps each one's row when it has ended; → what went wrong.

    Args:
        wanted: the recipes' names.
        flags: the command line.
        step_seconds: of the recipes' steps, as far as they were measured.
    """
    from tfrobust.cli.ray_connection import connected

    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    with connected(flags.ray) as ray, tempfile.TemporaryDirectory() as storage:
        from ray import tune

        class Kept(tune.Callback):
            def on_trial_result(
                self, iteration: int, trials: list, trial: Any, result: dict[str, Any], **_: Any
            ) -> None:
                keep(result["name"], json.loads(result["row"]), flags)

        nodes = [node["Resources"] for node in ray.nodes() if node["Resources"].get("CPU")]
        # A whole machine, of the smallest; where there are GPUs, one with its part of the cores.
        needs = {"cpu": int(min(node["CPU"] // node.get("GPU", 1) for node in nodes))}
        if any(node.get("GPU") for node in nodes):
            needs["gpu"] = 1
        space = {
            "name": tune.grid_search(wanted),
            "flags": {**vars(flags), "step_seconds": step_seconds},
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
    parser.add_argument(
        "--measure_steps", action="store_true", help="the seconds of all steps, and nothing else"
    )
    parser.add_argument("--reference", type=Path, default=ROOT.parent / "shared" / "reference")
    parser.add_argument("--jit", action=argparse.BooleanOptionalAction, default=False)
    parser.add_argument("--ray", default="here", help="a cluster's address; default: this machine")
    parser.add_argument("--output", type=Path, help="JSON; each data set has one of its own")
    flags = parser.parse_args()
    if not flags.minutes > 0 or not 0 < flags.images <= HELD_OUT:
        parser.error(f"expected --minutes above 0 and --images from 1 to {HELD_OUT}")
    names = [flags.only] if flags.only in RECIPES else [one for one in RECIPES if flags.only in one]
    if not names:
        parser.error(f"expected --only in one of: {'; '.join(RECIPES)}")
    if flags.output is None:
        of_data = "" if flags.dataset == "cifar10" else f"_{flags.dataset.replace(':', '_')}"
        flags.output = RESULTS.with_stem(f"{RESULTS.stem}{of_data}")
    import turns

    if str(TEACHER) in str([RECIPES[name] for name in names]):
        make_teacher(flags.reference)
    if flags.measure_steps:
        names = [name for name in names if name in FAIR] or names
        measured = in_turns(names, source_of(flags), flags)
        on = turns.machine()
        with locked(flags.output.parent):
            results = stored(flags)
            for name, seconds in measured.items():
                results["step_seconds"][name] = {"seconds": seconds, **about(name, flags), **on}
            turns.write(flags.output, results)
        print("\n".join(f"{seconds:8.3f} s  {name}" for name, seconds in measured.items()))
        return
    if importlib.util.find_spec("ray") is None:
        parser.error('expected Ray: pip install "tfrobust[ray]"')
    results = stored(flags)
    rows = results["recipes"][f"{flags.minutes:g}"]
    wanted = [name for name in names if not is_done(rows, name, flags)]
    # A step of other settings takes another time.
    seconds_of = {
        name: one["seconds"]
        for name, one in results["step_seconds"].items()
        if name in RECIPES and one.get("settings") == about(name, flags)["settings"]
    }

    failed = tune_all(wanted, flags, seconds_of) if wanted else []
    print(tables(stored(flags)["recipes"]))
    print(f"written: {flags.output}")
    if failed:
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()
