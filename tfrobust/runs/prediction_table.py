"""What a network says of picture files, as a table that a spreadsheet reads."""

import csv
import dataclasses
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

# What a spreadsheet takes for the beginning of a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@dataclasses.dataclass(frozen=True)
class FilePrediction:
    """What a network says of one file.

    Args:
        file: its name, as the user calls it.
        problem: why it could not be read, or has no answer; "" if it has one.
        probabilities: of each class, or of each of several labels; none if there is a problem.
        distance: how far the nearest other decision is, RMSE of pixels from 0 to 1. An attack
            found it, so it is an upper bound. None where it was not measured or not found.
        thresholds: of several labels, the probability above which each holds; None for classes.
        nearest: the number of the label whose decision is nearest to turning; None as above.
    """

    file: str
    problem: str = ""
    probabilities: tuple[float, ...] = ()
    distance: float | None = None
    thresholds: tuple[float, ...] | None = None
    nearest: int | None = None

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "FilePrediction":
        """The inverse of dataclasses.asdict, also where JSON made lists of tuples.

        Raises:
            TypeError: the fields are others.
        """
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return cls(**fields)

    @property
    def decided(self) -> tuple[int, ...]:
        """The numbers of the labels that hold; or of the likeliest class alone."""
        if self.thresholds is None:
            return (int(np.argmax(self.probabilities)),) if self.probabilities else ()
        pairs = zip(self.probabilities, self.thresholds, strict=False)
        return tuple(number for number, (share, least) in enumerate(pairs) if share > least)

    @property
    def margin(self) -> float:
        """How much likelier the class is than the next.

        Of several labels it is twice the smallest distance of a probability from its threshold: at
        a threshold of one half, how much likelier the label is than its absence.
        """
        if self.thresholds is None:
            second, first = sorted(self.probabilities)[-2:]
            return first - second
        return 2 * float(np.min(np.abs(np.subtract(self.probabilities, self.thresholds))))


class Rule(NamedTuple):
    """Which predictions a person should look at.

    Args:
        margin: those whose `FilePrediction.margin` is below this, a difference of probabilities.
        distance: those that are nearer than this to another decision, RMSE of pixels from 0 to 1.
    """

    margin: float = 0.2
    distance: float = 0.02

    def reasons(self, row: FilePrediction) -> list[str]:
        """Why a person should look at a prediction; empty if nothing speaks for it."""
        found: list[str] = []
        if row.problem:
            return found
        if row.margin < self.margin:
            found.append(f"margin below {self.margin:g}")
        if row.distance is not None and row.distance < self.distance:
            found.append(f"distance below {self.distance:g}")
        return found


def to_csv(
    rows: Sequence[FilePrediction], class_names: Sequence[str], rule: Rule, *, several: bool = False
) -> str:
    """The rows as a CSV: file, class, probabilities, distance, whether to look at it, problem.

    Of several labels it has those that hold, and which label's decision is nearest to turning.
    Names are anyone's text. One that a spreadsheet would take for a formula begins with an
    apostrophe, and names that are equal have their numbers behind them.

    Args:
        rows: of `predict_files`.
        class_names: K names.
        rule: which rows are flagged.
        several: whether they name labels that may hold together.
    """
    names = _apart(class_names)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    chances = [f"probability of {name}" for name in names]
    decided, nearest = ("labels", ["nearest label"]) if several else ("class", [])
    writer.writerow(["file", decided, *chances, "distance", *nearest, "flagged", "problem"])
    for row in rows:
        given = "; ".join(names[number] for number in row.decided)
        cells = [f"{one:.6f}" for one in row.probabilities] or [""] * len(names)
        far = ["" if row.distance is None else f"{row.distance:.5f}"]
        if several:
            far.append("" if row.nearest is None else _text(names[row.nearest]))
        flagged = "; ".join(rule.reasons(row))
        writer.writerow([*map(_text, (row.file, given)), *cells, *far, flagged, _text(row.problem)])
    return file.getvalue()


def _apart(names: Sequence[str]) -> list[str]:
    """Names of which no two are equal, so that no column hides another."""
    times = Counter(names)
    return [name if times[name] == 1 else f"{name} ({number})" for number, name in enumerate(names)]


def _text(cell: str) -> str:
    """A cell of text that no spreadsheet computes."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell
