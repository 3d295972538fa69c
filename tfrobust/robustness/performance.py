"""What a classifier is worth, class by class and group by group, and what of it attacks leave."""

import dataclasses
import weakref
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from tfrobust.core.ara import Ara, accuracy_robustness_area
from tfrobust.core.bootstrap import Estimate, draws
from tfrobust.core.presenters import Presented
from tfrobust.core.records import Array, Matrix, Record, brief
from tfrobust.errors import InputError
from tfrobust.robustness.calibration import Calibration
from tfrobust.robustness.predictions import UNKNOWN, Predictions
from tfrobust.robustness.ranking import ranking
from tfrobust.robustness.report import AraReport

SIZES = (0.005, 0.01, 0.02)
RESAMPLES = 500
# What was computed of a report, as long as the report lives.
_KEPT: "weakref.WeakKeyDictionary[AraReport, dict[tuple[float, ...], Performance]]" = (
    weakref.WeakKeyDictionary()
)
FEWEST_IMAGES = 10  # of a group with a row of its own: of fewer, an area says nothing


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassPerformance:
    """How well one class is told from all others.

    Args:
        name: of the class.
        images: that have it.
        sensitivity: the share of its images that are given it (recall).
        specificity: the share of other images that are not given it.
        auc: the area under the ROC curve of its probability, against all other classes.
        average_precision: of its probability.
    """

    name: str
    images: int
    sensitivity: Estimate
    specificity: Estimate
    auc: Estimate
    average_precision: Estimate


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class AtSize:
    """What a classifier is worth while every image may be perturbed by a given size.

    An image whose smallest perturbation is at most the size counts as taken: it has the class that
    this perturbation gives it, and ranks last for its own class and first for that one. Where that
    class is not known, it counts against every class. These are upper bounds, by the report's
    attacks, of what is left.

    Args:
        rmse: the size, RMSE of pixels from 0 to 1; 0 for the images as they are.
        accuracy: the share of images that are given their label.
        confusion: float64 (K, K), the number of images by true class (row) and given class
            (column).
        unknown: int64 (K,), by true class the images whose class is not known.
        classes: what is known of each class.
        calibration: of the confidence in images as they are, against who is right under attack.
    """

    rmse: float
    accuracy: Estimate
    confusion: Matrix
    unknown: Array
    classes: tuple[ClassPerformance, ...]
    calibration: Calibration

    __repr__ = brief


@dataclasses.dataclass(frozen=True, kw_only=True)
class PartRobustness:
    """How robust a network is on some of the images.

    Args:
        name: of their class or group.
        accuracy: the share of them that are given their label.
        ara: the attack ARA over them alone, against the accuracy of a guess among all classes.
    """

    name: str
    accuracy: Estimate
    ara: Ara


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Performance(Record, Presented):
    """What a classifier is worth, as it is and under attack, by class and by group.

    Args:
        name: the network's.
        data: which images these are.
        sizes: as it is, then under attacks of growing sizes.
        by_class: how robust the network is on each class that has images.
        by_group: the same for each group of at least ten images.
        small_groups: how many groups have fewer images.
        seed: of the bootstrap, which draws whole groups where there are groups.
        temperature: the report's.
        calibrated: the calibration of the images as they are, with logits divided by the
            temperature; None without one.
    """

    SCHEMA: ClassVar[int] = 1

    name: str
    data: str
    sizes: tuple[AtSize, ...]
    by_class: tuple[PartRobustness, ...]
    by_group: tuple[PartRobustness, ...]
    small_groups: int
    seed: int
    temperature: float | None
    calibrated: Calibration | None

    __repr__ = brief

    @classmethod
    def of(cls, report: AraReport, sizes: Sequence[float] = SIZES) -> "Performance":
        """Computes what a classifier is worth from the predictions that a report holds.

        Args:
            report: of `evaluate`.
            sizes: of attacks, RMSE of pixels from 0 to 1, ascending and above 0.

        Returns:
            The figures with 95 % bootstrap intervals, the same for the same report.

        Raises:
            InputError: the report holds no predictions, or the sizes are not ascending and above 0.
        """
        said = report.predictions
        if said is None:
            raise InputError(
                f"expected a report that holds predictions, got one of {report.name} from before "
                "there were such; evaluate the network again"
            )
        if list(sizes) != sorted(set(sizes)) or not all(0 < size < np.inf for size in sizes):
            raise InputError(f"expected ascending sizes above 0, got {list(sizes)}")
        # Pages and notebooks show one report several times.
        kept = _KEPT.setdefault(report, {})
        if tuple(sizes) not in kept:
            kept[tuple(sizes)] = cls._computed(report, said, sizes)
        return kept[tuple(sizes)]

    @classmethod
    def _computed(
        cls, report: AraReport, said: Predictions, sizes: Sequence[float]
    ) -> "Performance":
        names = report.class_names or tuple(
            f"class {number}" for number in range(report.num_classes)
        )
        # All images once, and then resamples.
        resampled = draws(report.images, said.groups, resamples=RESAMPLES, seed=report.seed)
        weights = np.concatenate([np.ones((1, report.images)), *resampled]).astype(np.float32)
        groups = list(dict.fromkeys(said.groups))
        numbers = {group: number for number, group in enumerate(groups)}
        members = np.array([numbers[group] for group in said.groups])
        calibrated = None
        if report.temperature is not None:
            confidence = said.confidence(report.temperature)
            calibrated = Calibration.of(confidence, said.predicted == said.labels, weights)
        by_group, small_groups = _parts(report, members, groups, FEWEST_IMAGES)
        return cls(
            name=report.name,
            data=report.data,
            sizes=tuple(
                _at(size, said, report.attack_rmse, names, weights) for size in (0.0, *sizes)
            ),
            by_class=_parts(report, said.labels, names, 1)[0],
            by_group=by_group,
            small_groups=small_groups,
            seed=report.seed,
            temperature=report.temperature,
            calibrated=calibrated,
        )

    @property
    def least_robust_class(self) -> PartRobustness | None:
        """The class with the smallest attack ARA; None if no area is bounded."""
        return _least(self.by_class)

    @property
    def least_robust_group(self) -> PartRobustness | None:
        """The group with the smallest attack ARA; None if there are none."""
        return _least(self.by_group)


def _at(
    size: float, said: Predictions, rmse: np.ndarray, names: Sequence[str], weights: np.ndarray
) -> AtSize:
    taken = (rmse > 0) & (rmse <= size)
    given = np.where(taken, said.attacked, said.predicted)
    right, known = given == said.labels, given != UNKNOWN
    classes = np.arange(len(names))
    own = said.labels[:, None] == classes
    may_be = (given[:, None] == classes) | ~known[:, None]
    lost, won = taken[:, None] & own, taken[:, None] & ~own & may_be
    scores = np.where(lost, -np.inf, np.where(won, np.inf, said.probabilities))
    auc, average_precision = ranking(scores, said.labels, weights)
    with np.errstate(invalid="ignore"):
        sensitivity = _total(weights, own & right[:, None]) / _total(weights, own)
        specificity = _total(weights, ~own & ~may_be) / _total(weights, ~own)
    return AtSize(
        rmse=float(size),
        accuracy=Estimate.of(_total(weights, right) / weights.sum(axis=1)),
        confusion=own[known].T.astype(float) @ may_be[known],
        unknown=own[~known].sum(axis=0),
        classes=tuple(
            ClassPerformance(
                name=name,
                images=int(own[:, number].sum()),
                sensitivity=Estimate.of(sensitivity[:, number]),
                specificity=Estimate.of(specificity[:, number]),
                auc=Estimate.of(auc[:, number]),
                average_precision=Estimate.of(average_precision[:, number]),
            )
            for number, name in enumerate(names)
        ),
        calibration=Calibration.of(said.confidence(), right, weights),
    )


def _parts(
    report: AraReport, members: np.ndarray, names: Sequence[str], fewest: int
) -> tuple[tuple[PartRobustness, ...], int]:
    """What is known of the parts that have so many images, and how many parts have fewer."""
    found, small = [], 0
    for number, name in enumerate(names):
        own = np.flatnonzero(members == number)
        if len(own) < fewest:
            small += 1
            continue
        rmse, groups = report.attack_rmse[own], [report.groups[row] for row in own if report.groups]
        resampled = draws(len(own), groups, resamples=RESAMPLES, seed=report.seed)
        weights = np.concatenate([np.ones((1, len(own))), *resampled])
        accuracy = Estimate.of(_total(weights, rmse > 0) / weights.sum(axis=1))
        ara = accuracy_robustness_area(rmse, report.num_classes, groups=groups, seed=report.seed)
        found.append(PartRobustness(name=name, accuracy=accuracy, ara=ara))
    return tuple(found), small


def _total(weights: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """How many images count in each resample, (R, N) and bool (N,) or (N, K) → (R,) or (R, K)."""
    return (weights @ counted.astype(np.float32)).astype(np.float64)


def _least(parts: Sequence[PartRobustness]) -> PartRobustness | None:
    bounded = [part for part in parts if part.ara.value is not None]
    return min(bounded, key=lambda part: part.ara.value or 0.0, default=None)
