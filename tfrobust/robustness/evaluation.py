"""An evaluation in parts: several processes may share it, and it survives an interruption."""

import dataclasses
import functools
import shlex
import sys
import time
import warnings
from typing import Any

import numpy as np

from tfrobust.attacks import AttackResult, BelowChance, Misclassified
from tfrobust.attacks.ensemble import attack_in_turn, smallest, smallest_linf
from tfrobust.core.ara import Ara, accuracy_robustness_area
from tfrobust.core.bounds import checked_bounds
from tfrobust.core.classifier import Model, logits_of
from tfrobust.core.door import as_classifier
from tfrobust.core.images import arrays, checked_images, checked_labels
from tfrobust.core.input_range import check_range
from tfrobust.core.provenance import image_hash, versions
from tfrobust.errors import InputError
from tfrobust.robustness.attack_progress import AttackProgress
from tfrobust.robustness.attack_record import AttackRecord
from tfrobust.robustness.chance import at_chance
from tfrobust.robustness.checks import run_checks
from tfrobust.robustness.clean import clean_pass
from tfrobust.robustness.evidence import Evidence, searched
from tfrobust.robustness.examples import pick_examples
from tfrobust.robustness.options import DEFAULT, Options
from tfrobust.robustness.partials import MissingShards, Outcome, Partials, Unit, kept_unit
from tfrobust.robustness.predictions import UNKNOWN, Predictions, checked_names
from tfrobust.robustness.presets import PRESETS, chosen_attacks, with_fewer
from tfrobust.robustness.probes import probe
from tfrobust.robustness.report import AraReport

GOALS = {"attack": Misclassified(), "btr": BelowChance()}
# A unit has several blocks of images: some images need no attack, and others take their places.
UNIT_BLOCKS = 2


class Evaluation:
    """An evaluation that can be done in parts, at several times or by several processes.

    The work is cut into units: each is all attacks for one goal on a few images. With a
    `partial_dir` every finished unit is kept there.

    Args:
        network: as for `evaluate`, and so are images and labels.
        images: float (N, H, W, C) in [0, 1] or uint8.
        labels: int (N,).
        options: all else that is said to `evaluate`.

    Attributes:
        units, outcomes: the units, in order, and what the first attacks did in each of them.

    Raises:
        InputError: the input cannot be measured.
    """

    def __init__(
        self, network: Model, images: Any, labels: Any = None, options: Options = DEFAULT
    ) -> None:
        preset, class_names = options.preset, options.class_names
        if options.attacks is None and preset not in PRESETS:
            raise InputError(f"expected a preset of {', '.join(PRESETS)}, got {preset!r}")
        bounds = checked_bounds(options.bounds)
        self.network = as_classifier(network, input_range=options.input_range)
        images, labels = arrays(images, labels)
        self.images = checked_images(images, self.network, at_least_one=True)
        labels = checked_labels(labels, len(self.images))
        self.num_classes = self.network.check(self.images)
        self.labels = checked_labels(labels, len(self.images), self.num_classes)
        self.attacks = chosen_attacks(options, self.network, self.images, bounds)
        if class_names and len(class_names) != self.num_classes:
            raise InputError(
                f"expected {self.num_classes} class names, as many as the network tells apart, "
                f"got {len(class_names)}"
            )
        self.class_names = tuple(class_names)
        self.files = checked_names(options.files, len(self.images), "files")
        self.groups = checked_names(options.groups, len(self.images), "groups")
        self.bounds, self.data, self.name = bounds, options.data, options.name or self.network.name
        self.progress, self.smoke, self.seed = options.progress, options.smoke, options.seed
        self.temperature, self.options = options.temperature, options
        self.batch_size = self.attacks[0].batch_size
        if self.network.input_range is None:
            ask = functools.partial(logits_of, self.network, batch_size=self.batch_size)
            check_range(ask, self.images, self.labels, self.network.name)
        self.clean = clean_pass(self.network, self.images, self.labels, self.batch_size)
        if (reason := at_chance(self.clean.logits, self.labels)) is not None:
            warnings.warn(reason, stacklevel=2)
        unit = UNIT_BLOCKS * self.batch_size
        if options.attacks is None:
            unit = kept_unit(options.partial_dir) or unit
        self.units = [
            Unit(goal, first, min(first + unit, len(self.images)))
            for goal in GOALS
            for first in range(0, len(self.images), unit)
        ]
        self.partials = options.partial_dir and Partials(
            options.partial_dir, self.attacks, unit, self.images, self.labels, self.clean.logits
        )
        self.outcomes: dict[Unit, list[Outcome]] = {
            unit: self.partials.load(unit) if self.partials else [] for unit in self.units
        }

    def run(self, shard: tuple[int, int] = (1, 1)) -> None:
        """Does what is still to be done, of the whole or of one shard.

        Args:
            shard: which shard, counted from 1, and how many there are. A shard has whole units,
                so an image's result does not depend on the process that computes it.

        Raises:
            InputError: there is no such shard.
        """
        part, parts = shard
        if not 1 <= part <= parts:
            raise InputError(f"expected a shard from 1/n to n/n, got {part}/{parts}")
        mine = self.units[part - 1 :: parts]
        with AttackProgress(
            self.attacks,
            [unit.stop - unit.start for unit in mine],
            [len(self.outcomes[unit]) for unit in mine],
            goals=len(GOALS),
            shown=self.progress,
        ) as bar:
            for unit in mine:
                self._run(unit, bar)

    def keep(self, unit: Unit, outcomes: list[Outcome]) -> None:
        """Takes what another process found in a unit, and writes it to the `partial_dir`."""
        self.outcomes[unit] = outcomes
        if self.partials:
            for number, outcome in enumerate(outcomes):
                self.partials.save(unit, number, outcome)

    def report(self) -> AraReport:
        """The report of all units. The checks ask the network a few more questions.

        Raises:
            MissingShards: some units are not finished; the message says how many.
        """
        missing = [unit for unit, done in self.outcomes.items() if len(done) < len(self.attacks)]
        if missing:
            first = ", ".join(f"{unit.goal} {unit.start}–{unit.stop - 1}" for unit in missing[:3])
            raise MissingShards(
                f"expected every shard to be finished, but {len(missing)} of {len(self.units)} "
                f"units are not (goal and images: {first}…); run the shards that are missing"
            )
        found = {goal: self._found(goal) for goal in GOALS}
        best, records = {}, []
        for goal in GOALS:
            best[goal], winner = smallest(found[goal])
            records += self._records(goal, found[goal], winner)
        btr, wrong = best["btr"], self._wrong(best["btr"])
        attacked = smallest([best["attack"], wrong])[0]
        given = self._given(attacked)
        checks, unchecked = run_checks(self._evidence(found, best))
        return AraReport(
            name=self.name,
            data=self.data,
            num_classes=self.num_classes,
            image_shape=self.images.shape[1:],
            bounds=self.bounds,
            clean_accuracy=float(np.mean(self.clean.logits.argmax(axis=1) == self.labels)),
            attack_ara=self._area(attacked.rmse),
            btr_ara=self._area(btr.rmse),
            attack_rmse=attacked.rmse,
            btr_rmse=btr.rmse,
            attack_linf=smallest_linf([*found["attack"], wrong], self.images)
            if any(attack.searches_linf for attack in self.attacks)
            else None,
            attacks=tuple(records),
            checks=checks,
            unchecked=unchecked,
            image_hash=image_hash(self.images, self.labels),
            smoke=self.smoke,
            seed=self.seed,
            command=shlex.join(sys.argv),
            versions=versions(),
            seconds=sum(record.seconds for record in records),
            examples=pick_examples(
                self.images, self.labels, attacked.adversarials, attacked.rmse, given
            ),
            class_names=self.class_names,
            temperature=self.temperature,
            predictions=Predictions.of(
                self.clean.logits, self.labels, given, files=self.files, groups=self.groups
            ),
        )

    def _run(self, unit: Unit, bar: AttackProgress) -> None:
        """Runs every attack that the unit still lacks."""
        while len(self.outcomes[unit]) < len(self.attacks):
            try:
                self._go_on(unit, bar)
            except Exception as error:  # what a full memory raises depends on the device
                asked = (self.options, self.network, self.images, self.bounds)
                self.attacks = with_fewer(error, self.batch_size, *asked)
                self.batch_size = self.attacks[0].batch_size

    def _go_on(self, unit: Unit, bar: AttackProgress) -> None:
        done = self.outcomes[unit]
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
            bar.begin(self.attacks[number], unit.goal)
            began = time.perf_counter()
            done.append(Outcome(next(results), time.perf_counter() - began))
            if self.partials:
                self.partials.save(unit, number, done[-1])
            bar.end(self.attacks[number], unit.stop - unit.start)

    def _wrong(self, btr: AttackResult) -> AttackResult:
        """The perturbations found for BTR, as an attack that looks for misclassification.

        Where the label is less likely than a guess, another class is more likely, except in a
        tie. So a perturbation counts only where the network does give another class.
        """
        logits = logits_of(self.network, btr.adversarials, self.batch_size)
        wrong = btr.found & (logits.argmax(axis=1) != self.labels)
        return dataclasses.replace(btr, found=wrong, rmse=np.where(wrong, btr.rmse, np.inf))

    def _given(self, attacked: AttackResult) -> np.ndarray:
        """The classes that the network gives perturbed images, int64 (N,); −1 if not found."""
        logits = logits_of(self.network, attacked.adversarials, self.batch_size)
        # An adversarial image lies on a boundary, where rounding may decide for the label.
        logits[np.arange(len(logits)), self.labels] = -np.inf
        return np.where(attacked.found, logits.argmax(axis=1), UNKNOWN)

    def _found(self, goal: str) -> list[AttackResult]:
        """What each attack found for one goal, for all images."""
        parts = [done for unit, done in self.outcomes.items() if unit.goal == goal]
        return [
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

    def _records(
        self, goal: str, results: list[AttackResult], winner: np.ndarray
    ) -> list[AttackRecord]:
        """What the report says of each attack, for one goal."""
        parts = [done for unit, done in self.outcomes.items() if unit.goal == goal]
        return [
            AttackRecord(
                name=attack.name,
                goal=goal,
                ara=self._area(result.rmse),
                rmse=result.rmse,
                won=int((winner == row).sum()),
                late=int(result.late.sum()),
                seconds=sum(done[row].seconds for done in parts),
                gradients=attack.gradients,
                queries=attack.queries,
            )
            for row, (attack, result) in enumerate(zip(self.attacks, results, strict=True))
        ]

    def _evidence(
        self, found: dict[str, list[AttackResult]], best: dict[str, AttackResult]
    ) -> Evidence:
        """What the checks look at. This asks the network."""
        return Evidence(
            labels=self.labels,
            logits=self.clean.logits,
            steepest=self.clean.steepest,
            sizes={goal: result.rmse for goal, result in best.items()},
            late={goal: result.late for goal, result in best.items()},
            attacks=searched(self.attacks, found, self.images),
            probes=probe(
                self.network,
                self.images,
                self.labels,
                self.clean,
                best["attack"],
                batch_size=self.batch_size,
                bounds=self.bounds,
                seed=self.seed,
            ),
        )

    def _area(self, rmse: np.ndarray) -> Ara:
        return accuracy_robustness_area(rmse, self.num_classes, groups=self.groups, seed=self.seed)
