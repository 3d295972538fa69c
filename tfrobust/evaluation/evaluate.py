"""From a network, images and attacks to a report; what is finished survives an interruption."""

import dataclasses
import importlib.metadata
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from tfrobust.attacks import Attack, AttackResult, BelowChance, Misclassified
from tfrobust.attacks.base import Model, check_images
from tfrobust.attacks.ensemble import attack_in_turn, smallest
from tfrobust.errors import InputError
from tfrobust.evaluation.ara import Ara, accuracy_robustness_area
from tfrobust.evaluation.clean import clean_pass, count_classes
from tfrobust.evaluation.partials import Outcome, Partials, Unit, image_hash
from tfrobust.evaluation.presets import PRESETS, check_attacks, preset_attacks
from tfrobust.evaluation.report import AraReport, AttackRecord
from tfrobust.evaluation.sanity import sanity

GOALS = {"attack": Misclassified(), "btr": BelowChance()}
UNIT_BLOCKS = 2  # blocks of images in a unit: those without need of an attack leave room


def evaluate(network: Model, images: Any, labels: Any, **options: Any) -> AraReport:
    """Measures a network's Accuracy-Robustness Areas, for misclassification and for BTR.

    Args:
        network: images (B, H, W, C) → logits (B, K), differentiable in TensorFlow; any Keras
            classifier without its softmax.
        images: float (N, H, W, C) in [0, 1], at least one.
        labels: int (N,), the true classes, from 0 to K − 1.
        **options: as for `Evaluation`, such as preset="thorough" or box=True.

    Returns:
        The report.

    Raises:
        InputError: input that cannot be measured, before the long work begins.

    Source: arXiv 1906.02896, "Accuracy-Robustness Area"; method and constants as published.
    """
    evaluation = Evaluation(network, images, labels, **options)
    evaluation.run()
    return evaluation.report()


class Evaluation:
    """An evaluation that can be done in parts, at several times or by several processes.

    Args:
        network: as for `evaluate`, as are the two that follow.
        images: float (N, H, W, C).
        labels: int (N,).
        preset: "fast", "standard" or "thorough"; `attacks` overrides it.
        attacks: the attacks in order, the cheap ones first; each begins where the smallest so
            far ends, and per image the smallest of all counts. Their names must differ, and
            their `box` be the one given here.
        name: what the report calls the network; its own name when None.
        data: which images these are, for the report.
        box: whether attacked images stay in [0, 1]; the published figures do without.
        partial_dir: a folder for finished units, so that the same evaluation goes on where an
            interrupted one ended; None keeps nothing.
        progress: whether to show a bar with the remaining time on stderr.
        smoke: whether to mark the report as no measurement.
        seed: of the bootstrap; attacks that draw numbers have seeds of their own.

    Raises:
        InputError: input that cannot be measured.
    """

    def __init__(
        self,
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
    ) -> None:
        if attacks is None and preset not in PRESETS:
            raise InputError(f"expected a preset of {', '.join(PRESETS)}, got {preset!r}")
        self.images, self.labels = _checked(images, labels)
        self.num_classes = count_classes(network, self.images)
        if self.labels.max() >= self.num_classes:
            raise InputError(
                f"expected labels below {self.num_classes}, the network's number of classes, got "
                f"{self.labels.max()}; is the network for other data?"
            )
        self.attacks = (
            preset_attacks(preset, self.images, box) if attacks is None else list(attacks)
        )
        check_attacks(self.attacks, box)
        self.network, self.box, self.data = network, box, data
        self.name = name or str(getattr(network, "name", type(network).__name__))
        self.progress, self.smoke, self.seed = progress, smoke, seed
        block = self.attacks[0].block
        self.logits, self.stuck = clean_pass(network, self.images, self.labels, block)
        unit = UNIT_BLOCKS * block
        self.units = [
            Unit(goal, first, min(first + unit, len(self.images)))
            for goal in GOALS
            for first in range(0, len(self.images), unit)
        ]
        self._partials = partial_dir and Partials(
            partial_dir, self.attacks, unit, self.images, self.labels, self.logits
        )
        self._outcomes: dict[Unit, list[Outcome]] = {
            unit: self._partials.load(unit) if self._partials else [] for unit in self.units
        }

    def run(self, shard: tuple[int, int] = (1, 1)) -> None:
        """Does what is still to be done, of all or of a part.

        Args:
            shard: which part, from 1, and of how many. Whole units belong to a part, so that
                each image's result is the same whoever computes it.

        Raises:
            InputError: no such part.
        """
        part, parts = shard
        if not 1 <= part <= parts:
            raise InputError(f"expected a shard from 1/n to n/n, got {part}/{parts}")
        mine = self.units[part - 1 :: parts]
        with tqdm(
            total=len(mine) * len(self.attacks),
            initial=sum(len(self._outcomes[unit]) for unit in mine),
            desc="attacking",
            unit="block",
            file=sys.stderr,
            disable=not self.progress,
        ) as bar:
            for unit in mine:
                self._run(unit, bar)

    def report(self) -> AraReport:
        """The report of all units.

        Raises:
            InputError: some are still to be done; says how many.
        """
        missing = [unit for unit, done in self._outcomes.items() if len(done) < len(self.attacks)]
        if missing:
            first = ", ".join(f"{unit.goal} {unit.start}–{unit.stop - 1}" for unit in missing[:3])
            raise InputError(
                f"expected every shard to be finished, but {len(missing)} of {len(self.units)} "
                f"units are not (goal and images: {first}…); run the shards that are missing"
            )
        best, largest, records = {}, {}, []
        for goal in GOALS:
            best[goal], largest[goal], goal_records = self._combine(goal)
            records += goal_records
        sizes = {goal: result.rmse for goal, result in best.items()}
        clean_accuracy = float(np.mean(self.logits.argmax(axis=1) == self.labels))
        return AraReport(
            name=self.name,
            data=self.data,
            num_classes=self.num_classes,
            image_shape=self.images.shape[1:],
            box=self.box,
            clean_accuracy=clean_accuracy,
            attack_ara=self._area(sizes["attack"]),
            btr_ara=self._area(sizes["btr"]),
            attack_rmse=sizes["attack"],
            btr_rmse=sizes["btr"],
            attack_linf=largest["attack"],
            attacks=tuple(records),
            warnings=sanity(
                sizes,
                {goal: result.late for goal, result in best.items()},
                num_classes=self.num_classes,
                clean_accuracy=clean_accuracy,
                stuck=self.stuck,
            ),
            image_hash=image_hash(self.images, self.labels),
            smoke=self.smoke,
            seed=self.seed,
            versions=_versions(),
            seconds=sum(record.seconds for record in records),
        )

    def _run(self, unit: Unit, bar: tqdm) -> None:
        """Every attack that the unit still needs."""
        done = self._outcomes[unit]
        results = attack_in_turn(
            self.attacks,
            self.network,
            self.images[unit.rows],
            self.labels[unit.rows],
            GOALS[unit.goal],
            done=[outcome.result for outcome in done],
            numbers=np.arange(unit.start, unit.stop),
        )
        for number in range(len(done), len(self.attacks)):
            bar.set_postfix_str(f"{self.attacks[number].name}, {unit.goal}")
            began = time.perf_counter()
            done.append(Outcome(next(results), time.perf_counter() - began))
            if self._partials:
                self._partials.save(unit, number, done[-1])
            bar.update()

    def _combine(self, goal: str) -> tuple[AttackResult, np.ndarray, list[AttackRecord]]:
        """For one goal: the smallest, its sizes in L∞ (N,), and the attacks' records."""
        parts = [done for unit, done in self._outcomes.items() if unit.goal == goal]
        results = [
            AttackResult(
                **{
                    field.name: np.concatenate(
                        [getattr(done[row].result, field.name) for done in parts]
                    )
                    for field in dataclasses.fields(AttackResult)
                }
            )
            for row in range(len(self.attacks))
        ]
        best, winner = smallest(results)
        largest = [
            np.where(one.found, np.abs(one.adversarials - self.images).max(axis=(1, 2, 3)), np.inf)
            for one in results
        ]
        records = [
            AttackRecord(
                name=attack.name,
                goal=goal,
                ara=self._area(result.rmse),
                rmse=result.rmse,
                won=int((winner == row).sum()),
                late=int(result.late.sum()),
                seconds=sum(done[row].seconds for done in parts),
            )
            for row, (attack, result) in enumerate(zip(self.attacks, results, strict=True))
        ]
        return best, np.min(largest, axis=0).astype(np.float64), records

    def _area(self, rmse: np.ndarray) -> Ara:
        return accuracy_robustness_area(rmse, self.num_classes, seed=self.seed)


def _checked(images: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    """Images as float32 and labels as int32, refused where they are neither."""
    images, labels = np.asarray(images, np.float32), np.asarray(labels)
    if images.ndim != 4 or not images.size:
        raise InputError(
            f"expected at least one image, of shape (N, H, W, C), got shape {images.shape}"
        )
    check_images(images, labels)
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"expected labels that are whole numbers, got {labels.dtype}")
    return images, labels.astype(np.int32)


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in ("tfrobust", "tensorflow", "keras", "numpy", "cleverhans"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
