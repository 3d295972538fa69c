"""Joins the stages of a run: configuration → trained, measured, explained → exported version."""

import dataclasses
import hashlib
import json
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfrobust import datasets
from tfrobust.core.door import as_labels
from tfrobust.core.files import write_atomically
from tfrobust.core.provenance import machine
from tfrobust.datasets import DatasetInfo
from tfrobust.exporting.saved_model import export
from tfrobust.models.convert import full_precision
from tfrobust.models.copies import duplicate
from tfrobust.models.mirror import mirrored
from tfrobust.reports.labels import labels_page
from tfrobust.reports.report import report_page
from tfrobust.robustness import LabelsReport
from tfrobust.runs import best, cluster, distribution
from tfrobust.runs.build import build, total_steps
from tfrobust.runs.callbacks import CheapAra, ExplanationImages
from tfrobust.runs.card_figures import figures_of, full_figures_of
from tfrobust.runs.config import Config
from tfrobust.runs.folder import Run, finish, open_run
from tfrobust.runs.keeping import keeping
from tfrobust.runs.loop import fit
from tfrobust.runs.measurement import Measured, certified, measure, measure_in_box
from tfrobust.runs.rehearsal import (
    check_room,
    check_text,
    few_steps,
    is_drawable,
    is_risky,
    rehearse,
)
from tfrobust.runs.report_sections import (
    EXPLAINED_IMAGES,
    PICTURE,
    explanations_sections,
    training_section,
)
from tfrobust.runs.summary import Summary
from tfrobust.runs.validation import ValidationAuc
from tfrobust.training import RobustClassifier

WATCHED_IMAGES = 32  # attacked while training, where `watch.ara_every` says so
REFERENCES, SMOKE_REFERENCES = 32, 8  # images that an export's forms are compared on


@dataclasses.dataclass(frozen=True)
class Trained:
    """What the training gave.

    Args:
        network: the network that is measured and ships: in float32, on one device, with averaged
            weights and its mirror image where the configuration says so.
        seconds: of the training.
        notes: what a reader must know of it.
    """

    network: keras.Model
    seconds: float
    notes: tuple[str, ...] = ()


def run(
    config: Config,
    *,
    runs_dir: Path = Path("runs"),
    run_dir: Path | None = None,
    fresh: bool = False,
    saved_models: Path = Path("saved_models"),
    jit: bool | None = None,
    peer_timeout: float = cluster.PEER_TIMEOUT,
) -> Summary | None:
    """Trains, measures, explains and exports.

    A run that was cut short goes on where it stopped: the newest unfinished run of an equal
    configuration, unless `fresh`.

    Args:
        config: the whole configuration. With `training.max_steps` it is a smoke run, which
            measures 4 images with short attacks and says so.
        runs_dir: folder of the runs.
        run_dir: this very run folder.
        fresh: whether to start anew.
        saved_models: folder of the exports.
        jit: whether XLA compiles the training step; None: on one device only. It changes the
            rounding, as the number of devices does, and which random numbers a seed gives (XLA
            has a generator of its own), but not what is learned. So it is no part of the
            configuration: config.json notes it beside, and a run may go on with another.
        peer_timeout: with many hosts, how long to wait for them, seconds.

    Returns:
        What was found, and where it is; None on a host that is not the chief, whose work ends
        with the training and who writes nothing.

    Raises:
        InputError: data that cannot be had, a folder of another run, or a network that a later
            stage would fail on.
        UnfinishedError: a stage after the training failed. What was trained is kept.
        DivergedError: a loss or weight that is no longer finite.
        MissingPeerError: a host did not come.
        LostPeerError: a host went away.
    """
    began = time.monotonic()
    # First, for with many hosts TensorFlow must not have been used before.
    token = hashlib.sha256(json.dumps(config.to_json()).encode()).hexdigest()
    strategy = distribution.choose(peer_timeout=peer_timeout, token=token)
    # All that the configuration says of the images, but how they are trained on, is for `load`.
    reading = dataclasses.asdict(config.data)
    del reading["balance"], reading["augmentation"]
    source = datasets.load(**reading)
    # Before the folder is made: a configuration that does not fit the data leaves nothing behind.
    with distribution.lost_peers_named(strategy), strategy.scope():
        classifier = build(config, source.info, total_steps(config, source))
    devices, (_, hosts) = strategy.num_replicas_in_sync, distribution.place(strategy)
    best.check(config, source, hosts=hosts)
    runs = runs_dir if run_dir is None else run_dir
    check_text(config, source.info, runs, saved_models)
    if not distribution.is_chief(strategy):
        train(classifier, Run(config, source, Path(os.devnull)), strategy=strategy, jit=jit)
        return None
    check_room(config, classifier.network, runs=runs, saved_models=saved_models)
    with open_run(
        config,
        source,
        runs_dir=runs_dir,
        run_dir=run_dir,
        fresh=fresh,
        execution={"jit": distribution.uses_jit(strategy, jit), "devices": devices, "hosts": hosts},
    ) as opened:
        print(f"run {opened.folder}{os.sep}", file=sys.stderr)
        if few := few_steps(config, total_steps(config, source)):
            warnings.warn(few, stacklevel=2)
        # A smoke run is a rehearsal itself, and its stages come soon enough.
        new = not opened.is_smoke and not (opened.folder / "metrics.csv").exists()
        if new and is_risky(config):
            rehearse(opened, shipped(classifier.network, config, source.info, strategy))
        trained = train(classifier, opened, strategy=strategy, jit=jit)
        with keeping(opened, trained.network):
            measured = measure(opened, trained.network)
            write_report(opened, trained, measured)
            version_folder = ship(opened, trained, measured, saved_models)
            seconds = time.monotonic() - began
            finish(opened.folder, model=version_folder, seconds=seconds)
    return Summary(
        report=measured.report,
        twin=measured.twin,
        temperature=measured.temperature.told,
        data=source.info.provenance,
        run_folder=opened.folder,
        version_folder=version_folder,
        seconds=seconds,
    )


def train(
    classifier: RobustClassifier,
    run: Run,
    *,
    strategy: tf.distribute.Strategy,
    jit: bool | None = None,
) -> Trained:
    """Trains and watches as the configuration says, and takes the network out of its strategy.

    Args:
        classifier: from `build`.
        run: where the training is kept, from which it goes on.
        strategy: of distribution.
        jit: as for `run`.
    """
    watchers = _watchers(run) if distribution.is_chief(strategy) else []
    training = fit(
        classifier,
        run.source,
        run.config,
        run.folder,
        strategy=strategy,
        callbacks=watchers,
        jit=jit,
    )
    chosen = best.told(run.config.watch.keep_best, training.best_epoch)
    notes = [few_steps(run.config, training.steps), chosen]
    network = shipped(classifier.network, run.config, run.source.info, strategy)
    return Trained(network, training.seconds, tuple(filter(None, notes)))


def shipped(
    network: keras.Model, config: Config, info: DatasetInfo, strategy: tf.distribute.Strategy
) -> keras.Model:
    """The network that is measured and ships, made of the one that is trained.

    Args:
        network: that is trained, in the strategy's scope.
        config: of the run.
        info: of the data set.
        strategy: of distribution.
    """
    if strategy.num_replicas_in_sync > 1:
        network = duplicate(network)  # outside the strategy's scope, for what one host does
    if config.training.precision != "float32":
        network = full_precision(network)
    if config.network.mirrored and not config.network.mirrored_training:
        network = mirrored(network)
    # Of two networks, one for the image and one for its mirror image, the mean no longer says it.
    return as_labels(network).network if info.multi_label else network


def write_report(run: Run, trained: Trained, measured: Measured) -> None:
    """Writes report.html and explanations.png into the run's folder."""
    more = [
        training_section(run, (*trained.notes, f"The temperature: {measured.temperature.told}")),
        *(
            explanations_sections(run, trained.network, measured.temperature.value)
            if is_drawable(run)
            else []
        ),
    ]
    if isinstance(measured.report, LabelsReport):
        page = labels_page(measured.report, more=more)
    else:
        page = report_page(measured.report, twin=measured.twin, more=more)
    write_atomically(run.folder / "report.html", page.encode())


def ship(run: Run, trained: Trained, measured: Measured, saved_models: Path) -> Path:
    """Exports the network with all figures on its card.

    Args:
        run: what it was trained by.
        trained: the network.
        measured: what was measured of it.
        saved_models: folder of the exports.

    Returns:
        The folder of the new version.
    """
    config, info = run.config, run.source.info
    references = SMOKE_REFERENCES if run.is_smoke else REFERENCES
    figures: dict[str, Any] = {
        "training seconds": round(trained.seconds),
        "machine": machine(),
        **figures_of(measured),
    }
    if config.measure.full_card:
        box, certificates = measure_in_box(run, trained.network), certified(run, trained.network)
        figures |= full_figures_of(box, certificates)
    return export(
        trained.network,
        # A smoke run must not become the newest version of a measured model.
        saved_models / f"{config.name}{'-smoke' if run.is_smoke else ''}",
        class_names=info.class_names,
        reference_images=run.source.test_arrays(references)[0],
        provenance=info.provenance,
        recipe=config.to_json(),
        figures=figures,
        picture=run.folder / PICTURE if is_drawable(run) else None,
        bits=info.bits,
        fit=info.fit,
        temperature=measured.temperature.value,
    )


def _watchers(run: Run) -> list[keras.callbacks.Callback]:
    config, source = run.config, run.source
    watchers: list[keras.callbacks.Callback] = []
    if config.watch.keep_best == "auc":
        watchers.append(ValidationAuc(source, config.training.batch_size))
    if config.watch.ara_every:
        images, labels = source.watched.test_sample(WATCHED_IMAGES)[:2]
        watchers.append(
            CheapAra(
                images=images,
                labels=labels,
                num_classes=source.info.num_classes,
                every=config.watch.ara_every,
            )
        )
    if config.watch.explain_every and is_drawable(run):
        images, labels = source.watched.test_sample(EXPLAINED_IMAGES)[:2]
        watchers.append(
            ExplanationImages(
                run.folder / "tensorboard",
                images=images,
                labels=labels,
                class_names=source.info.class_names,
                every=config.watch.explain_every,
            )
        )
    return watchers
