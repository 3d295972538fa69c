"""Methods set side by side: a mean and its bootstrap interval in each field."""

import dataclasses

import numpy as np


def interval(values: np.ndarray, *, resamples: int = 2000, seed: int = 0) -> tuple[float, float]:
    """The 95 % percentile-bootstrap interval of a mean over images.

    Args:
        values: float (N,), N at least 1.
        resamples: how often the images are drawn anew.
        seed: of the draws: all fields of a table draw the same images.

    Returns:
        Its lower and upper end.
    """
    drawn = np.random.default_rng(seed).integers(0, len(values), (resamples, len(values)))
    low, high = np.percentile(np.asarray(values)[drawn].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


@dataclasses.dataclass(frozen=True)
class Table:
    """Measures of methods on the same images; printed, it is a Markdown table.

    Args:
        columns: the measures' names.
        rows: for each method's name, one float (N,) for each column; None where a measure does
            not apply to the method.
        note: what the columns mean, and on how many images.
    """

    columns: tuple[str, ...]
    rows: dict[str, tuple[np.ndarray | None, ...]]
    note: str

    def __str__(self) -> str:
        lines = ["| method | " + " | ".join(self.columns) + " |"]
        lines.append("| --- " * (len(self.columns) + 1) + "|")
        for name, fields in self.rows.items():
            lines.append(f"| {name} | " + " | ".join(_field(values) for values in fields) + " |")
        return "\n".join([*lines, "", self.note])


def _field(values: np.ndarray | None) -> str:
    if values is None or not len(values):
        return "–"
    low, high = interval(values)
    return f"{np.mean(values):.2f} [{low:.2f}, {high:.2f}]"
