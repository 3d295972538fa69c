"""What an evaluation of a network of several labels found, as a record."""

import dataclasses
from pathlib import Path
from typing import ClassVar

import numpy as np

from tfrobust.core.ara import Ara, mean_area
from tfrobust.core.files import write_atomically
from tfrobust.core.presenters import Presented, present
from tfrobust.core.records import Array, Record, brief
from tfrobust.core.temperature import at_temperature
from tfrobust.robustness.report import AraReport


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class LabelReport:
    """How robust a network's decisions about one label are.

    Args:
        label: the label's name.
        threshold: the confidence above which the network decides that the label holds, as the
            sigmoid of the logit itself; see `told_threshold`.
        holds: int64 (N,), 1 where the label holds and 0 where it does not.
        predicted: int64 (N,), what the network decides of the images as they are.
        report: the report for the two classes without and with the label.
    """

    label: str
    threshold: float
    holds: Array
    predicted: Array
    report: AraReport

    __repr__ = brief

    @property
    def told_threshold(self) -> float:
        """The threshold of the probabilities that a person is told: those at the temperature."""
        (told,) = at_temperature((self.threshold,), self.report.temperature or 1.0)
        return told

    @property
    def positives(self) -> int:
        """For how many images the label holds."""
        return int(self.holds.sum())

    @property
    def sensitivity(self) -> float | None:
        """The share of images with the label of which the network says so; None without any."""
        return _share(self.predicted == 1, self.holds == 1)

    @property
    def specificity(self) -> float | None:
        """The share of images without the label of which the network says so; None without any."""
        return _share(self.predicted == 0, self.holds == 0)

    def kept(self, rmse: float, holds: int) -> float | None:
        """The share of images on which no attack of a size changes the right decision.

        Args:
            rmse: the size, RMSE of pixels from 0 to 1.
            holds: 1 for the images with the label (sensitivity under attack), 0 for those without
                it (specificity under attack).

        Returns:
            A share from 0 to 1; None where there is no such image.
        """
        return _share(self.report.attack_rmse > rmse, self.holds == holds)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class LabelsReport(Record, Presented):
    """How robust a network of several labels that may hold together is, label by label.

    Args:
        name: the network's name.
        data: a few words that say which images were attacked.
        labels: a report for each of the K labels, in their order.
        mean_ara: the mean of the labels' attack ARAs. Its interval draws images, each with all of
            its labels, or whole groups where there are groups.
        seed: the seed of the bootstrap.

    Source of the area: arXiv 1906.02896, "Accuracy-Robustness Area". A label is decided between
    two classes, so a guess is right for half of the images.
    """

    SCHEMA: ClassVar[int] = 1

    name: str
    data: str
    labels: tuple[LabelReport, ...]
    mean_ara: Ara
    seed: int

    __repr__ = brief

    @classmethod
    def of(cls, name: str, data: str, labels: tuple[LabelReport, ...], seed: int) -> "LabelsReport":
        """The record of several labels' reports, with their mean."""
        sizes = np.stack([one.report.attack_rmse for one in labels])
        mean = mean_area(sizes, 2, groups=labels[0].report.groups, seed=seed)
        return cls(name=name, data=data, labels=labels, mean_ara=mean, seed=seed)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Reasons not to trust the figures, each with its label."""
        return tuple(
            f"{one.label}: {warning}" for one in self.labels for warning in one.report.warnings
        )

    @property
    def least_robust(self) -> LabelReport:
        """The label with the smallest attack ARA."""

        def size(one: LabelReport) -> float:
            value = one.report.attack_ara.value
            return np.inf if value is None else value

        return min(self.labels, key=size)

    def summary(self) -> str:
        """The report in a few lines of text."""
        return present(self, "summary")()

    def to_html(self, path: str | Path) -> None:
        """Writes the report as one self-contained page.

        Args:
            path: the file; its folder is made if it does not exist.

        Raises:
            InputError: the file cannot be written.
        """
        write_atomically(path, present(self, "html")().encode())


def _share(right: np.ndarray, among: np.ndarray) -> float | None:
    return float(np.mean(right[among])) if among.any() else None
