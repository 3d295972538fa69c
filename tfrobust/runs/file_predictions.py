"""Predicts the classes of picture files without a server, and goes on after an interruption.

Finished rows are kept in a file beside the CSV. The CSV is written once all of them are there.
"""

import csv
import dataclasses
import io
import json
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.special import softmax
from tqdm import tqdm

from tfrobust.core.classifier import Classifier, logits_of
from tfrobust.core.files import write_atomically
from tfrobust.datasets.folder import Reading
from tfrobust.datasets.headers import PictureError
from tfrobust.datasets.pictures import read
from tfrobust.datasets.resizing import fit
from tfrobust.errors import InputError
from tfrobust.robustness.presets import batch_size_of, searches

MISSING = "there is no such file"
NO_ANSWER = "the network's answer is infinite or no number"
# What a spreadsheet takes for the beginning of a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@dataclasses.dataclass(frozen=True)
class FilePrediction:
    """What a network says of one file.

    Args:
        file: its name, as the user calls it.
        problem: why it could not be read, or has no answer; "" if it has one.
        probabilities: the softmax, K numbers; none if there is a problem.
        distance: how far the nearest other decision is, RMSE of pixels from 0 to 1. An attack
            found it, so it is an upper bound. None where it was not measured or not found.
    """

    file: str
    problem: str = ""
    probabilities: tuple[float, ...] = ()
    distance: float | None = None

    @property
    def predicted(self) -> int:
        """The likeliest class."""
        return int(np.argmax(self.probabilities))

    @property
    def margin(self) -> float:
        """How much likelier it is than the next."""
        second, first = sorted(self.probabilities)[-2:]
        return first - second


class Rule(NamedTuple):
    """Which predictions a person should look at.

    Args:
        margin: those whose likeliest class leads by less than this, a difference of probabilities.
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


class AnotherPrediction(InputError):
    """A file holds rows of other predictions."""


def predict_files(
    classifier: Classifier,
    files: Sequence[tuple[str, Path | None]],
    reading: Reading,
    *,
    distance: bool,
    kept: Path,
    question: dict[str, Any],
) -> list[FilePrediction]:
    """Predicts picture files; those whose rows are kept already are not asked about again.

    Args:
        classifier: the network, of images of one size.
        files: at least one; for each its name and where it is, None if it is missing.
        reading: its bits, frame and fit.
        distance: whether to measure how far each picture is from another decision, by the attack
            of the preset "fast". It takes some hundred times as long as a prediction.
        kept: the file that keeps finished rows.
        question: what else decides the rows, such as a hash of the network, in JSON's types.

    Returns:
        A row for each file, also for those that cannot be read.

    Raises:
        AnotherPrediction: the file holds rows of another question.
        InputError: it cannot be written.
    """
    block = batch_size_of(len(files), math.prod(classifier.image_shape))
    question = {
        **question,
        "reading": [reading.bits, reading.frame, reading.fit],
        "distance": distance,
        "files": [[name, *_stamp(path)] for name, path in files],
    }
    # Whole blocks: what is computed together is always the same, so that results are too.
    rows = _read_kept(kept, question)
    rows = rows if len(rows) == len(files) else rows[: len(rows) // block * block]
    write_atomically(kept, b"".join(map(_line, [question, *map(dataclasses.asdict, rows)])))
    bar = tqdm(total=len(files), initial=len(rows), desc="predicting", unit="file")
    with kept.open("ab") as file, bar:
        for first in range(len(rows), len(files), block):
            part = predicted(
                classifier,
                files[first : first + block],
                reading,
                batch_size=block,
                distance=distance,
            )
            file.write(b"".join(_line(dataclasses.asdict(row)) for row in part))
            file.flush()
            rows += part
            bar.update(len(part))
    return rows


def to_csv(rows: Sequence[FilePrediction], class_names: Sequence[str], rule: Rule) -> str:
    """The rows as a CSV: file, class, probabilities, distance, whether to look at it, problem.

    Names are anyone's text. One that a spreadsheet would take for a formula begins with an
    apostrophe.

    Args:
        rows: of `predict_files`.
        class_names: K names.
        rule: which rows are flagged.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    chances = [f"probability of {name}" for name in class_names]
    writer.writerow(["file", "class", *chances, "distance", "flagged", "problem"])
    for row in rows:
        name = class_names[row.predicted] if row.probabilities else ""
        cells = [f"{one:.6f}" for one in row.probabilities] or [""] * len(class_names)
        far = "" if row.distance is None else f"{row.distance:.5f}"
        flagged = "; ".join(rule.reasons(row))
        writer.writerow([*map(_text, (row.file, name)), *cells, far, flagged, _text(row.problem)])
    return file.getvalue()


def predicted(
    classifier: Classifier,
    files: Sequence[tuple[str, Path | None]],
    reading: Reading,
    *,
    batch_size: int,
    distance: bool = False,
) -> list[FilePrediction]:
    """Predicts some files at once.

    Args:
        classifier, files, reading, distance: as for `predict_files`.
        batch_size: images computed at a time.

    Returns:
        A row for each file.
    """
    with ThreadPoolExecutor() as threads:
        found = list(
            threads.map(lambda one: _image(one[1], classifier.image_shape, reading), files)
        )
    names = [name for name, _ in files]
    images = [one for one in found if not isinstance(one, str)]
    if not images:
        return [FilePrediction(name, str(one)) for name, one in zip(names, found, strict=True)]
    stacked = np.stack(images).astype(np.float32) / 255
    classifier.check(stacked, needs_gradient=False)
    logits = logits_of(classifier, stacked, batch_size).astype(np.float64)
    with np.errstate(invalid="ignore"):
        shares = softmax(logits, axis=1)
    sizes = np.full(len(stacked), np.inf)
    if distance:
        (attack, *_) = searches("fast", None, batch_size, classifier.has_gradient)
        sizes = attack(classifier, stacked, logits.argmax(axis=1).astype(np.int32)).rmse
    answers = iter(zip(shares.tolist(), sizes.tolist(), strict=True))
    return [_row(name, one, answers) for name, one in zip(names, found, strict=True)]


def _row(
    name: str, found: np.ndarray | str, answers: Iterator[tuple[list[float], float]]
) -> FilePrediction:
    if isinstance(found, str):
        return FilePrediction(name, found)
    shares, size = next(answers)
    if not math.isfinite(sum(shares)):
        return FilePrediction(name, NO_ANSWER)
    return FilePrediction(name, "", tuple(shares), size if math.isfinite(size) else None)


def _image(path: Path | None, shape: tuple[int, int, int], reading: Reading) -> np.ndarray | str:
    """A picture in the network's size, uint8 (H, W, C); or why it cannot be read."""
    if path is None:
        return MISSING
    try:
        picture = read(path, shape[2], bits=reading.bits, frame=reading.frame)
    except PictureError as error:
        return str(error)
    return fit(picture, shape[:2], reading.fit)


def _read_kept(path: Path, question: dict[str, Any]) -> list[FilePrediction]:
    """The finished rows that a file keeps; none if there is no such file."""
    try:
        # What follows the last line's end was cut off.
        head, *lines = path.read_bytes().split(b"\n")[:-1]
        asked = json.loads(head)
    except (OSError, ValueError):
        return []
    if asked != question:
        raise AnotherPrediction(
            f"expected {path} to keep rows of this very prediction, but it is of another: of "
            "another network, other files, or files read in another way. Name another output, or "
            "delete it"
        )
    rows = []
    for line in lines:
        try:
            row = json.loads(line)
            rows.append(FilePrediction(**{**row, "probabilities": tuple(row["probabilities"])}))
        except (ValueError, KeyError, TypeError):
            break  # a disk that was full or lost power; what follows is predicted anew
    return rows


def _stamp(path: Path | None) -> tuple[int, int]:
    """What tells a file from an older one of its name: its size, and when it was written."""
    try:
        about = path.stat() if path is not None else None
    except OSError:
        return -1, -1
    return (-1, -1) if about is None else (about.st_size, about.st_mtime_ns)


def _line(values: dict[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=True, allow_nan=False).encode() + b"\n"


def _text(cell: str) -> str:
    """A cell of text that no spreadsheet computes."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell
