"""Methods side by side: for each measure a mean over images, with its bootstrap interval."""

import dataclasses
from typing import NamedTuple

import numpy as np

from tfrobust.core.presenters import Presented


class Mean(NamedTuple):
    """A mean over images.

    Args:
        value: the mean.
        low: the lower end of its 95 % bootstrap interval over images.
        high: the upper end.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


def interval(values: np.ndarray, *, resamples: int = 2000, seed: int = 0) -> tuple[float, float]:
    """The 95 % percentile-bootstrap interval of a mean over images.

    Args:
        values: float (N,), N at least 1.
        resamples: how many times the bootstrap draws the images.
        seed: the seed of these draws. With one seed, all fields of a table draw the same images.

    Returns:
        The lower and the upper end.
    """
    drawn = np.random.default_rng(seed).integers(0, len(values), (resamples, len(values)))
    low, high = np.percentile(np.asarray(values)[drawn].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


@dataclasses.dataclass(frozen=True)
class Table(Presented):
    """Measures of several methods on the same images. `str` gives a Markdown table.

    Args:
        columns: the names of the measures.
        rows: for each method's name a float array (N,) for each column, or None if the measure
            does not apply to the method.
        note: what the columns mean, and how many images there were.
    """

    columns: tuple[str, ...]
    rows: dict[str, tuple[np.ndarray | None, ...]]
    note: str

    def means(self) -> dict[str, tuple[Mean | None, ...]]:
        """For each method's name the mean of each column; None where there are no values."""
        return {
            name: tuple(
                None
                if values is None or not len(values)
                else Mean(float(np.mean(values)), *interval(values))
                for values in fields
            )
            for name, fields in self.rows.items()
        }

    def __str__(self) -> str:
        lines = ["| method | " + " | ".join(self.columns) + " |"]
        lines.append("| --- " * (len(self.columns) + 1) + "|")
        for name, means in self.means().items():
            lines.append(f"| {name} | " + " | ".join(str(mean or "–") for mean in means) + " |")
        return "\n".join([*lines, "", self.note])
