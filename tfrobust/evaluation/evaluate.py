"""From a network, images and attacks to a report; what is finished survives an interruption."""

import importlib.metadata
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from tfrobust.attacks import Attack, BelowChance, Misclassified
from tfrobust.attacks.base import Model, check_images
from tfrobust.errors import InputError
from tfrobust.evaluation.ara import accuracy_robustness_area
from tfrobust.evaluation.clean import clean_pass, count_classes
from tfrobust.evaluation.partials import Outcome, Partials, Unit, image_hash
from tfrobust.evaluation.presets import PRESETS, check_attacks, preset_attacks
from tfrobust.evaluation.report import AraReport, AttackRecord
from tfrobust.evaluation.sanity import sanity

GOALS = {"attack": Misclassified(), "btr": BelowChance()}


def evaluate(
    network: Model,
    images: Any,
    labels: Any,
    *,
    preset: str = "standard",
    attacks: Sequence[Attack] | None = None,
    name: str | None = None,
    data: str = "",
    box: bool = False,
    partial_dir: str | Path | None = None,
    progress: bool = True,
    smoke: bool = False,
    seed: int = 0,
) -> AraReport:
    """Measures a network's Accuracy-Robustness Areas, for misclassification and for BTR.

    Args:
        network: images (B, H, W, C) → logits (B, K), differentiable in TensorFlow; any Keras
            classifier without its softmax.
        images: float (N, H, W, C) in [0, 1], at least one.
        labels: int (N,), the true classes, from 0 to K − 1.
        preset: "fast" or "standard"; `attacks` overrides it.
        attacks: the attacks; per image the smallest size found by any of them counts. Their
            names must differ, and their `box` be the one given here.
        name: what the report calls the network; its own name when None.
        data: which images these are, for the report.
        box: whether attacked images stay in [0, 1]; the published figures do without.
        partial_dir: a folder for finished blocks, so that the same call goes on where an
            interrupted one ended; None keeps nothing.
        progress: whether to show a bar with the remaining time on stderr.
        smoke: whether to mark the report as no measurement.
        seed: of the bootstrap; attacks that draw numbers have seeds of their own.

    Returns:
        The report.

    Raises:
        InputError: input that cannot be measured, before the long work begins.

    Source: arXiv 1906.02896, "Accuracy-Robustness Area"; method and constants as published.
    """
    if attacks is None and preset not in PRESETS:
        raise InputError(f"expected a preset of {', '.join(PRESETS)}, got {preset!r}")
    images, labels = np.asarray(images, np.float32), np.asarray(labels)
    if images.ndim != 4 or not images.size:
        raise InputError(
            f"expected at least one image, of shape (N, H, W, C), got shape {images.shape}"
        )
    check_images(images, labels)
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"expected labels that are whole numbers, got {labels.dtype}")
    labels = labels.astype(np.int32)
    num_classes = count_classes(network, images)
    if labels.max() >= num_classes:
        raise InputError(
            f"expected labels below {num_classes}, the network's number of classes, got "
            f"{labels.max()}; is the network for other data?"
        )
    attacks = preset_attacks(preset, images, box) if attacks is None else list(attacks)
    check_attacks(attacks, box)

    logits, stuck = clean_pass(network, images, labels, attacks[0].block)
    partials = None if partial_dir is None else Partials(partial_dir, images, labels, logits)
    outcomes = _run(network, images, labels, attacks, partials, progress)

    sizes, late, records = {}, {}, []
    for goal in GOALS:
        best, goal_records = _combine(outcomes, attacks, goal, num_classes, seed)
        sizes[goal], late[goal] = best
        records += goal_records
    clean_accuracy = float(np.mean(logits.argmax(axis=1) == labels))
    return AraReport(
        name=name or str(getattr(network, "name", type(network).__name__)),
        data=data,
        num_classes=num_classes,
        box=box,
        clean_accuracy=clean_accuracy,
        attack_ara=accuracy_robustness_area(sizes["attack"], num_classes, seed=seed),
        btr_ara=accuracy_robustness_area(sizes["btr"], num_classes, seed=seed),
        attack_rmse=sizes["attack"],
        btr_rmse=sizes["btr"],
        attacks=tuple(records),
        warnings=sanity(
            sizes, late, num_classes=num_classes, clean_accuracy=clean_accuracy, stuck=stuck
        ),
        image_hash=image_hash(images, labels),
        smoke=smoke,
        seed=seed,
        versions=_versions(),
        seconds=sum(record.seconds for record in records),
    )


def _run(
    network: Model,
    images: np.ndarray,
    labels: np.ndarray,
    attacks: Sequence[Attack],
    partials: Partials | None,
    progress: bool,
) -> dict[Unit, Outcome]:
    """Every unit's outcome, in order: those at hand and those still to be computed."""
    units = [
        Unit(attack, goal, start)
        for goal in GOALS
        for attack in attacks
        for start in range(0, len(images), attack.block)
    ]
    outcomes = partials.load(units) if partials else {}
    missing = [unit for unit in units if unit not in outcomes]
    with tqdm(
        total=len(units),
        initial=len(units) - len(missing),
        desc="attacking",
        unit="block",
        file=sys.stderr,
        disable=not progress,
    ) as bar:
        for unit in missing:
            bar.set_postfix_str(f"{unit.attack.name}, {unit.goal}")
            began = time.perf_counter()
            result = unit.attack(network, images[unit.rows], labels[unit.rows], GOALS[unit.goal])
            outcome = Outcome(result.rmse, result.late, time.perf_counter() - began)
            if partials:
                partials.save(unit, outcome)
            outcomes[unit] = outcome
            bar.update()
    return {unit: outcomes[unit] for unit in units}


def _combine(
    outcomes: dict[Unit, Outcome],
    attacks: Sequence[Attack],
    goal: str,
    num_classes: int,
    seed: int,
) -> tuple[tuple[np.ndarray, np.ndarray], list[AttackRecord]]:
    """For one goal: smallest sizes and whether found late, (N,) each; the attacks' records."""
    parts = [
        [outcome for unit, outcome in outcomes.items() if (unit.attack, unit.goal) == (one, goal)]
        for one in attacks
    ]
    rmse = np.stack([np.concatenate([outcome.rmse for outcome in part]) for part in parts])
    late = np.stack([np.concatenate([outcome.late for outcome in part]) for part in parts])
    winner, images = rmse.argmin(axis=0), np.arange(rmse.shape[1])
    best = rmse[winner, images]
    changed = (best > 0) & np.isfinite(best)
    records = [
        AttackRecord(
            name=attack.name,
            goal=goal,
            ara=accuracy_robustness_area(rmse[row], num_classes, seed=seed),
            rmse=rmse[row],
            won=int((changed & (winner == row)).sum()),
            late=int(late[row].sum()),
            seconds=sum(outcome.seconds for outcome in parts[row]),
        )
        for row, attack in enumerate(attacks)
    ]
    return (best, late[winner, images]), records


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in ("tfrobust", "tensorflow", "keras", "numpy", "cleverhans"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
