"""Joins the stages: recipe → run folder → trained, measured, explained → exported version."""

import contextlib
import dataclasses
import hashlib
import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrobust import datasets
from tfrobust.attacks import Attack, L2Min, LinearizedMargin
from tfrobust.certification.smoothing import certify
from tfrobust.core.ara import share_interval
from tfrobust.core.files import lock, write_atomically
from tfrobust.core.provenance import image_hash, machine, versions
from tfrobust.errors import InputError
from tfrobust.exporting.saved_model import export
from tfrobust.models.convert import full_precision
from tfrobust.models.mirror import mirrored
from tfrobust.reports import figures
from tfrobust.reports.page import Section, figure, image_section
from tfrobust.reports.plots import training_curves_svg
from tfrobust.reports.report_page import report_page
from tfrobust.robustness import AraReport, first_images
from tfrobust.robustness.evaluate import evaluate
from tfrobust.robustness.presets import preset_attacks
from tfrobust.runs import cluster, distribution, recipes
from tfrobust.runs.build import build, total_steps
from tfrobust.runs.callbacks import CheapAra, ExplanationImages
from tfrobust.runs.loop import fit, uses_jit
from tfrobust.runs.metrics_log import read_metrics
from tfrobust.runs.recipes import Recipe
from tfrobust.training import RobustClassifier

PICTURE = "explanations.png"
EXPLAINED_IMAGES = 8
# What `full_card` measures: L2, pixels from 0 to 1; the noise of the smoothed network.
BOX_SIZES = (0.25, 0.5, 1.0)
CERTIFIED_IMAGES, CERTIFIED_SIGMA = 100, 0.25
WATCHED_IMAGES = 32  # attacked while training, where a recipe has ara_every
SMOKE_IMAGES = 4
TWINS = Path(__file__).parent / "twins"


@dataclasses.dataclass(frozen=True)
class Summary:
    """What a run found, and where it put it.

    Args:
        report: of the robustness.
        twin: of the plain twin's kept measurement; None where there is none.
        run_folder: recipe, checkpoints, logs and reports.
        version_folder: the exported model.
        seconds: of this call.
    """

    report: AraReport
    twin: AraReport | None
    run_folder: Path
    version_folder: Path
    seconds: float

    def __str__(self) -> str:
        lines = [
            self.report.summary(self.twin),
            "",
            f"run     {self.run_folder}{os.sep}",
            f"report  {self.run_folder / 'report.html'}",
            f"model   {self.version_folder}{os.sep}",
            f"seconds {self.seconds:.0f}",
        ]
        return "\n".join(lines)


def run(
    recipe: Recipe,
    *,
    runs_dir: Path = Path("runs"),
    run_dir: Path | None = None,
    fresh: bool = False,
    saved_models: Path = Path("saved_models"),
    jit: bool | None = None,
    peer_timeout: float = cluster.PEER_TIMEOUT,
) -> Summary | None:
    """Trains, measures, explains and exports one recipe.

    A run that was cut short goes on where it stopped: the newest unfinished run of this very
    recipe, unless `fresh`.

    Args:
        recipe: the whole configuration; with `max_steps` a smoke run, which measures 4 images
            with short attacks and says so.
        runs_dir: folder of the runs.
        run_dir: this very run folder.
        fresh: whether to start anew.
        saved_models: folder of the exports.
        jit: whether XLA compiles the training step; None: on one device only. It changes the
            rounding, as does the number of devices, and which random numbers a seed gives (XLA
            has a generator of its own), but not what is learned: recipe.json notes it beside
            the recipe, and a run may go on with another.
        peer_timeout: with many hosts, how long to wait for them, seconds.

    Returns:
        What was found, and where it is; None on a host that is not the chief, whose work ends
        with the training and who writes nothing.

    Raises:
        InputError: data that cannot be had, or a folder of another recipe.
        DivergedError: a training that went where no numbers are.
        MissingPeerError: a host that did not come, or LostPeerError: one that went away.
    """
    began = time.monotonic()
    # First, for with many hosts TensorFlow must not have been used before.
    token = hashlib.sha256(json.dumps(recipe.to_json()).encode()).hexdigest()
    strategy = distribution.choose(peer_timeout=peer_timeout, token=token)
    source = datasets.load(
        recipe.dataset,
        data_dir=recipe.data_dir,
        image_size=recipe.image_size,
        held_out=recipe.held_out,
    )
    for name in source.skipped:
        print(f"left out, unreadable: {name}", file=sys.stderr)
    # Before the folder is made: a recipe that does not fit the data leaves nothing behind.
    with distribution.lost_peers_named(strategy), strategy.scope():
        classifier = build(recipe, source.info, total_steps(recipe, source))
    if not distribution.is_chief(strategy):
        _train(classifier, recipe, source, Path(os.devnull), strategy, jit)
        return None
    devices, (_, hosts) = strategy.num_replicas_in_sync, distribution.place(strategy)
    execution = {"jit": uses_jit(strategy, jit), "devices": devices, "hosts": hosts}
    about = {"execution": execution, "data": _fingerprint(source)}
    with _run_folder(recipe, runs_dir, run_dir, fresh, about) as folder:
        print(f"run {folder}{os.sep}", file=sys.stderr)
        with _interruptible("The same command goes on from the last step."):
            network, seconds = _train(classifier, recipe, source, folder, strategy, jit)
        with _interruptible("The training is kept; the same command goes on from here."):
            report = measure(recipe, network, source, folder)
            twin = plain_twin(recipe, source, report)
            page = report_page(
                report,
                twin=twin,
                more=[
                    _training_section(read_metrics(folder / "metrics.csv")),
                    _explanations_section(recipe, network, source, folder),
                ],
            )
            write_atomically(folder / "report.html", page.encode())
            version_folder = export(
                network,
                # A smoke run must not become the newest version of a measured model.
                saved_models / f"{recipe.name}{'-smoke' if report.smoke else ''}",
                class_names=source.info.class_names,
                reference_images=source.test_arrays(32)[0],
                provenance=source.info.provenance,
                recipe=recipe.to_json(),
                figures={
                    "training seconds": round(seconds),
                    "machine": machine(),
                    **card_figures(report, twin),
                    **(full_figures(recipe, network, source, folder) if recipe.full_card else {}),
                },
                picture=folder / PICTURE,
            )
            summary = Summary(report, twin, folder, version_folder, time.monotonic() - began)
            done = {"model": str(version_folder), "seconds": summary.seconds}
            write_atomically(folder / "finished.json", json.dumps(done, indent=2).encode())
    return summary


def _train(
    classifier: RobustClassifier,
    recipe: Recipe,
    source: "datasets.DataSource",
    folder: Path,
    strategy: tf.distribute.Strategy,
    jit: bool | None,
) -> tuple[keras.Model, float]:
    """The recipe's network, trained and watched as the recipe says, no strategy's any more.

    And the seconds of its training.
    """
    watchers: list[keras.callbacks.Callback] = []
    if distribution.is_chief(strategy):
        logs, info = folder / "tensorboard", source.info
        if recipe.ara_every:
            images, labels = source.test_arrays(WATCHED_IMAGES)
            watchers.append(
                CheapAra(
                    images=images,
                    labels=labels,
                    num_classes=info.num_classes,
                    every=recipe.ara_every,
                )
            )
        if recipe.explain_every:
            images, labels = source.test_arrays(EXPLAINED_IMAGES)
            watchers.append(
                ExplanationImages(
                    logs,
                    images=images,
                    labels=labels,
                    class_names=info.class_names,
                    every=recipe.explain_every,
                )
            )
    training = fit(
        classifier, source, recipe, folder, strategy=strategy, callbacks=watchers, jit=jit
    )
    network = classifier.network
    if strategy.num_replicas_in_sync > 1:
        network = distribution.single(network)
    if recipe.precision != "float32":
        network = full_precision(network)
    if recipe.mirrored:
        network = mirrored(network)
    return network, training.seconds


def measure(
    recipe: Recipe, network: keras.Model, source: "datasets.DataSource", folder: Path
) -> AraReport:
    """Attacks test images as the recipe says; → the report, also written to ara.json."""
    smoke = recipe.max_steps is not None
    images, labels = source.test_arrays(SMOKE_IMAGES if smoke else recipe.eval_images)
    report = evaluate(
        network,
        images,
        labels,
        attacks=attacks(recipe, images),
        name=recipe.name,
        data=f"{source.info.name}, first {len(images)} "
        + ("training images held out" if recipe.held_out else "test images"),
        class_names=source.info.class_names,
        partial_dir=folder / "evaluation",
        smoke=smoke,
        seed=recipe.seed,
    )
    report.to_json(folder / "ara.json")
    return report


def attacks(recipe: Recipe, images: np.ndarray) -> list[Attack]:
    """The attacks that a recipe measures with: its preset's, or a glimpse in a smoke run."""
    if recipe.max_steps is None:
        return preset_attacks(recipe.eval_preset, images, bounds=None)
    batch_size = SMOKE_IMAGES
    return [
        LinearizedMargin(steps=4, rivals=1, batch_size=batch_size),
        L2Min(steps=10, batch_size=batch_size),
    ]


def plain_twin(
    recipe: Recipe, source: "datasets.DataSource", report: AraReport
) -> AraReport | None:
    """The kept measurement of the recipe's plain twin, on the same images by the same attacks.

    Args:
        recipe: of the robust network.
        source: of its test images.
        report: of the robust network.

    Returns:
        None where none is kept of this architecture and training and of these images, the
        recipe is itself plain, or the report is a smoke run's.
    """
    path, kept = TWINS / f"{recipe.dataset}.json", f"{recipe.dataset}_plain"
    if report.smoke or not path.exists() or not (recipe.penalty or recipe.adversarial != "none"):
        return None
    if recipe.plain_twin() != recipes.RECIPES[kept]().plain_twin():
        return None
    twin = AraReport.from_json(path)
    images, labels = source.test_arrays(twin.images)
    count = report.images
    if count > twin.images or image_hash(images, labels) != twin.image_hash:
        return None
    if not set(report.attack_names) <= set(twin.attack_names):
        return None
    same = image_hash(images[:count], labels[:count])
    return first_images(twin, count, report.attack_names, same)


def card_figures(report: AraReport, twin: AraReport | None) -> dict[str, Any]:
    """What the model card says was measured."""
    figures: dict[str, Any] = {
        "images": report.data,
        "clean accuracy": report.clean_accuracy,
        "attack ARA": dataclasses.asdict(report.attack_ara),
        "BTR ARA": dataclasses.asdict(report.btr_ara),
        "attacks": list(report.attack_names),
        "perturbed images kept in [0, 1]": report.bounds is not None,
        "checks": {name: list(found) or "passed" for name, found in report.checks.items()},
    }
    if report.smoke:
        figures["note"] = "smoke run, not a measurement"
    if twin is not None:
        figures["plain twin"] = {
            "clean accuracy": twin.clean_accuracy,
            "attack ARA": twin.attack_ara.value,
            "BTR ARA": twin.btr_ara.value,
        }
    return figures


def full_figures(
    recipe: Recipe, network: keras.Model, source: "datasets.DataSource", folder: Path
) -> dict[str, Any]:
    """Robust accuracy in [0, 1], and a certificate: what `full_card` adds.

    Args:
        recipe: its `eval` fields.
        network: float32 images (B, H, W, C) in [0, 1] → logits (B, K).
        source: of its test images.
        folder: of the run, for what is done of the attacks.
    """
    smoke = recipe.max_steps is not None
    images, labels = source.test_arrays(SMOKE_IMAGES if smoke else recipe.eval_images)
    box = evaluate(
        network,
        images,
        labels,
        attacks=preset_attacks("fast" if smoke else recipe.eval_preset, images, bounds=(0.0, 1.0)),
        bounds=(0.0, 1.0),
        name=f"{recipe.name}, in [0, 1]",
        partial_dir=folder / "evaluation_box",
        smoke=smoke,
        seed=recipe.seed,
    )
    box.to_json(folder / "ara_box.json")
    robust = {}
    for size in BOX_SIZES:
        share = box.robust_accuracy(size)
        low, high = share_interval(round(share * box.images), box.images)
        robust[f"{size:g}"] = {"value": share, "low": low, "high": high}
    some = images[:CERTIFIED_IMAGES], labels[:CERTIFIED_IMAGES]
    certificate = certify(network, *some, sigma=CERTIFIED_SIGMA, n=100 if smoke else 1000)
    return {
        "robust accuracy in [0, 1] at L2": robust,
        "attacks in [0, 1]": list(box.attack_names),
        "certified ARA of the smoothed network": {
            **dataclasses.asdict(certificate.ara),
            "accuracy": certificate.accuracy,
            "sigma": certificate.sigma,
            "draws": certificate.n,
            "choosing_draws": certificate.n0,
            "alpha": certificate.alpha,
        },
    }


def _training_section(rows: list[dict[str, Any]]) -> Section:
    caption = f"{len(rows)} steps; each point is one batch, validation once an epoch"
    return "Training", figure(training_curves_svg(rows), caption)


def _explanations_section(
    recipe: Recipe, network: keras.Model, source: "datasets.DataSource", folder: Path
) -> Section:
    count = EXPLAINED_IMAGES if recipe.max_steps is None else 1
    images, labels = source.test_arrays(count)
    picture = figures.grid(network, images, labels, source.info.class_names)
    write_atomically(folder / PICTURE, picture)
    caption = (
        "Test images, changed so that the network is surer or less sure of the class it gives "
        "them, and surer of that class's rival (arXiv 1906.02896), beside Grad-CAM by tf-explain."
    )
    return image_section("Explanations", caption, picture)


@contextlib.contextmanager
def _run_folder(
    recipe: Recipe,
    runs_dir: Path,
    run_dir: Path | None,
    fresh: bool,
    about: dict[str, Any],
) -> Iterator[Path]:
    """The folder to work in, locked against another process, its recipe.json written."""
    if run_dir is not None:
        if (run_dir / "recipe.json").exists():
            kept = recipes.read(run_dir / "recipe.json")
            if not _same_data(run_dir, about):
                raise InputError(
                    f"{run_dir} is the run of other images: the data's classes or numbers of "
                    "images have changed since; name another --run_dir"
                )
            if different := recipe.differences(kept):
                raise InputError(
                    f"{run_dir} is the run of another recipe ({'; '.join(different)}); "
                    "name another --run_dir"
                )
            if fresh:
                raise InputError(f"{run_dir} exists; --fresh needs a new --run_dir, or none")
        elif run_dir.exists() and any(run_dir.iterdir()):
            raise InputError(f"expected {run_dir} to be empty or a run folder; it is neither")
        candidates = [run_dir]
    else:
        candidates = [] if fresh else _unfinished(recipe, runs_dir, about)
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        taken = [runs_dir / f"{recipe.name}-{stamp}{end}" for end in ("", "-2", "-3", "-4")]
        candidates += [folder for folder in taken if not folder.exists()]
    for folder in candidates:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".lock").touch()
        if (descriptor := lock(folder / ".lock")) is None:
            continue  # another process works in it
        try:
            if not (folder / "recipe.json").exists():
                _write_recipe(recipe, folder, about)
            yield folder
        finally:
            os.close(descriptor)
        return
    raise InputError(f"{candidates[0]} is in use by another process; name another --run_dir")


def _fingerprint(source: "datasets.DataSource") -> dict[str, Any]:
    """What tells a data set that has changed under its name, as a user's folder may."""
    info = source.info
    return {
        "classes": list(info.class_names),
        "train_images": info.train_images,
        "test_images": info.test_images,
    }


def _same_data(folder: Path, about: dict[str, Any]) -> bool:
    kept = json.loads((folder / "recipe.json").read_text())
    return bool(kept.get("data") == about["data"])


def _unfinished(recipe: Recipe, runs_dir: Path, about: dict[str, Any]) -> list[Path]:
    found = []
    for path in sorted(runs_dir.glob(f"{recipe.name}-*/recipe.json"), reverse=True):
        with contextlib.suppress(InputError):
            same = not recipe.differences(recipes.read(path)) and _same_data(path.parent, about)
            if same and not (path.parent / "finished.json").exists():
                found.append(path.parent)
    return found


def _write_recipe(recipe: Recipe, folder: Path, about: dict[str, Any]) -> None:
    content = {
        "schema": 1,
        "recipe": recipe.to_json(),
        **about,
        "command": shlex.join(sys.argv),
        "versions": versions(),
        "machine": f"{machine()}, {platform.platform()}",
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_atomically(folder / "recipe.json", json.dumps(content, indent=2).encode())


@contextlib.contextmanager
def _interruptible(kept: str) -> Iterator[None]:
    """Says on Ctrl-C what is kept."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(kept) from None
