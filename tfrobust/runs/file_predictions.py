"""Predicts the classes or labels of picture files, and goes on after an interruption.

Finished rows are kept in a file beside the CSV. The CSV is written once all of them are there.
"""

import dataclasses
import json
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit, softmax
from tqdm import tqdm

from tfrobust.core.classifier import Classifier, logits_of
from tfrobust.core.files import write_atomically
from tfrobust.core.one_label import one_label
from tfrobust.core.outputs import logit
from tfrobust.core.temperature import at_temperature
from tfrobust.datasets.folder import Reading
from tfrobust.datasets.headers import PictureError
from tfrobust.datasets.pictures import read
from tfrobust.datasets.resizing import fit
from tfrobust.errors import InputError
from tfrobust.robustness.block_size import batch_size_of
from tfrobust.robustness.presets import searches
from tfrobust.runs.prediction_table import FilePrediction

MISSING = "there is no such file"
NO_ANSWER = "the network's answer is infinite or no number"


class AnotherPrediction(InputError):
    """A file holds rows of other predictions."""


def predict_files(
    classifier: Classifier,
    files: Sequence[tuple[str, Path | None]],
    reading: Reading,
    *,
    distance: bool,
    temperature: float = 1.0,
    kept: Path,
    question: dict[str, Any],
) -> list[FilePrediction]:
    """Predicts picture files; those whose rows are kept already are not asked about again.

    Args:
        classifier: the network, of images of one size, for classes or for several labels.
        files: at least one; for each its name and where it is, None if it is missing.
        reading: its bits, frame and fit.
        distance: whether to measure how far each picture is from another decision, by the attack
            of the preset "fast". It takes some hundred times as long as a prediction, and of
            several labels so long for each.
        temperature: by which logits are divided before they become probabilities.
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
        "temperature": temperature,
        "thresholds": classifier.thresholds and list(classifier.thresholds),
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
                temperature=temperature,
            )
            file.write(b"".join(_line(dataclasses.asdict(row)) for row in part))
            file.flush()
            rows += part
            bar.update(len(part))
    return rows


def predicted(
    classifier: Classifier,
    files: Sequence[tuple[str, Path | None]],
    reading: Reading,
    *,
    batch_size: int,
    distance: bool = False,
    temperature: float = 1.0,
) -> list[FilePrediction]:
    """Predicts some files at once.

    Args:
        classifier, files, reading, distance, temperature: as for `predict_files`.
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
    sizes = np.full((len(stacked), 1), np.inf)
    if distance:
        sizes = _distances(classifier, stacked, logits, batch_size)
    rows = iter(_rows(classifier, logits / temperature, sizes, temperature))
    return [
        FilePrediction(name, one)
        if isinstance(one, str)
        else dataclasses.replace(next(rows), file=name)
        for name, one in zip(names, found, strict=True)
    ]


def _rows(
    classifier: Classifier, logits: np.ndarray, sizes: np.ndarray, temperature: float
) -> Iterator[FilePrediction]:
    """The rows of images, still without names."""
    thresholds = classifier.thresholds
    with np.errstate(invalid="ignore"):
        shares = softmax(logits, axis=1) if thresholds is None else expit(logits)
    shown = thresholds and at_temperature(thresholds, temperature)
    for answer, share, away in zip(logits, shares, sizes, strict=True):
        if not np.isfinite(answer).all():
            yield FilePrediction("", NO_ANSWER)
            continue
        nearest = int(away.argmin()) if math.isfinite(away.min()) else None
        yield FilePrediction(
            file="",
            probabilities=tuple(share.tolist()),
            distance=None if nearest is None else float(away[nearest]),
            thresholds=shown,
            nearest=None if thresholds is None else nearest,
        )


def _distances(
    classifier: Classifier, images: np.ndarray, logits: np.ndarray, batch_size: int
) -> np.ndarray:
    """How far another decision is, float64 (N, 1); of several labels that about each, (N, K)."""
    (attack, *_) = searches("fast", None, batch_size, classifier.has_gradient)
    if classifier.thresholds is None:
        return attack(classifier, images, logits.argmax(axis=1).astype(np.int32)).rmse[:, None]
    one, planes = one_label(classifier), [logit(share) for share in classifier.thresholds]
    sizes = []
    for label, plane in enumerate(planes):
        with one.about(label):
            holds = (logits[:, label] > plane).astype(np.int32)
            sizes.append(attack(one, images, holds).rmse)
    return np.stack(sizes, axis=1)


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
            rows.append(FilePrediction.of(json.loads(line)))
        except (ValueError, TypeError, AttributeError):
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
