"""metrics.csv, which has a row for each step, and the check that the training is sound."""

import csv
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfrobust.errors import InputError, ReportedError

COLUMNS = (
    "step",
    "epoch",
    "loss",
    "cross_entropy",
    "classification_loss",
    "accuracy",
    "penalty",
    "psi",
    "integral",
    "evidence",
    "learning_rate",
    "val_accuracy",
)
LABEL_RANGE = "label_range"  # the smallest and largest label of a step, which are only checked


class DivergedError(ReportedError, RuntimeError):
    """The loss or a weight of a training is no longer finite."""


class MetricsLog:
    """Collects the values of steps and writes them to metrics.csv.

    Only the rows of the current epoch are kept in memory. Values stay on the device until `look`
    fetches them.

    Args:
        path: of metrics.csv; None on a host that writes nothing.
        first: the step from which the training goes on. Later rows of the file are cut off.
        per_epoch: steps of an epoch.
        steps: of the whole training.
        num_classes: K; labels must be from 0 to K − 1. For several labels 2, as each is 0 or 1.
        strategy: of distribution.
        more_columns: names of the values that callbacks add to the last row of an epoch.
    """

    def __init__(
        self,
        path: Path | None,
        first: int,
        *,
        per_epoch: int,
        steps: int,
        num_classes: int,
        strategy: tf.distribute.Strategy,
        more_columns: Sequence[str] = (),
    ) -> None:
        self.path, self.strategy, self.num_classes = path, strategy, num_classes
        self.more_columns = tuple(more_columns)
        self.columns = (*COLUMNS, *more_columns)
        self.pending: list[tuple[int, int, dict[str, Any]]] = []
        kept: list[dict[str, Any]] = []
        if path is not None and first:
            kept = [row for row in read_metrics(path) if row["step"] <= first]
        self.first_epoch = first // per_epoch
        at_end = bool(first) and (first % per_epoch == 0 or first == steps)
        if at_end and kept and "val_accuracy" not in kept[-1]:
            # The training stopped between the last step of an epoch and its validation.
            self.first_epoch = (first - 1) // per_epoch
        elif at_end:
            self.first_epoch = math.ceil(first / per_epoch)
        self.rows = [row for row in kept if row["epoch"] == self.first_epoch]
        if at_end and self.rows:
            kept = kept[:-1]  # it is written anew, with the values of the epoch's end
        self.written = first - 1 if at_end and self.rows else first
        self.last = first
        if path is not None:
            temporary = path.with_suffix(".tmp")
            with temporary.open("w", newline="") as file:
                writer = csv.DictWriter(file, self.columns, lineterminator="\n")
                writer.writeheader()
                writer.writerows(kept)
            temporary.replace(path)

    def add(self, step: int, epoch: int, values: dict[str, Any]) -> None:
        """Takes the values of a step as `strategy.run` gives them, without fetching them."""
        self.pending.append((step, epoch, values))
        self.last = step

    def look(self) -> dict[str, Any]:
        """Fetches the values of the steps since the last look.

        Returns:
            The last row; {} before the first.

        Raises:
            DivergedError: a loss is not finite.
            InputError: a label is no class.
        """
        while self.pending:
            step, epoch, values = self.pending[0]
            row: dict[str, Any] = {"step": step, "epoch": epoch}
            for name, value in values.items():
                local = self.strategy.experimental_local_results(value)
                if name == LABEL_RANGE:
                    self._check_labels(step, local)
                else:
                    row[name] = float(local[0])
            if not math.isfinite(row["loss"]):
                raise DivergedError(f"the loss became {row['loss']} at step {step}")
            # Nothing comes between these two, or Ctrl-C there would double the row.
            self.rows.append(row)
            del self.pending[0]
        return self.rows[-1] if self.rows else {}

    def means(self) -> dict[str, float]:
        """The mean of each column over the epoch so far."""
        columns = {name for row in self.rows for name in row} - {"step", "epoch"}
        found = {name: [row[name] for row in self.rows if name in row] for name in sorted(columns)}
        return {name: sum(values) / len(values) for name, values in found.items()}

    def write(self) -> None:
        """Appends the new rows to the file, and waits until they are on disk."""
        self.look()
        if self.path is not None:
            with self.path.open("a", newline="") as file:
                rows = [row for row in self.rows if row["step"] > self.written]
                csv.DictWriter(file, self.columns, lineterminator="\n").writerows(rows)
                file.flush()
                os.fsync(file.fileno())
        self.written = self.last

    def _check_labels(self, step: int, ranges: Sequence[Any]) -> None:
        for label in (int(label) for part in ranges for label in part):
            if not 0 <= label < self.num_classes:
                raise InputError(
                    f"expected labels from 0 to {self.num_classes - 1}, got {label} in the batch "
                    f"of step {step}; nothing learned from it was kept. Correct the data's labels"
                )


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Reads the rows of a metrics.csv.

    Args:
        path: of the file; without it there are no rows.

    Returns:
        Column → value for each row, without empty cells; step and epoch are ints. A last line
        that a killed process left unfinished is left out.

    Raises:
        InputError: the file is no metrics.csv.
    """
    if not path.exists():
        return []
    text = path.read_text(errors="replace")
    lines = text[: text.rfind("\n") + 1].splitlines()
    try:
        rows = [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(lines)]
        return [{**row, "step": int(row["step"]), "epoch": int(row["epoch"])} for row in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"expected {path} as a training wrote it, a row of numbers a step, got: {error!r}; "
            "take the run's folder away, or name another `run_dir`"
        ) from None
