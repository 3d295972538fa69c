"""Results of an evaluation's finished units, so that an interrupted one goes on from there."""

import hashlib
import io
import json
import logging
import re
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfrobust.attacks.base import Attack
from tfrobust.evaluation.atomic import write_atomically

_log = logging.getLogger(__name__)
_README = "Finished blocks of an evaluation, to go on from. They may be deleted once it is done.\n"


class Unit(NamedTuple):
    """The least piece of an evaluation: one attack, for one goal, on one block of images."""

    attack: Attack
    goal: str
    start: int

    @property
    def rows(self) -> slice:
        """Which images."""
        return slice(self.start, self.start + self.attack.block)


class Outcome(NamedTuple):
    """What a unit found, as in `AttackResult`: float64 and bool (B,), and the seconds spent."""

    rmse: np.ndarray
    late: np.ndarray
    seconds: float


def image_hash(images: np.ndarray, labels: np.ndarray) -> str:
    """SHA-256 of images and labels, shapes and types included, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for values in (images, labels):
        digest.update(f"{values.dtype.str}{values.shape}".encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


class Partials:
    """Units' outcomes in a folder, one file each.

    A file is taken only for the same attack with the same settings, goal, images, labels and
    network. The network is told by its logits: whatever answers every image of the block alike
    is the same network, and one that was trained on is not.

    Args:
        directory: where the files are; made if absent.
        images: float32 (N, H, W, C), all of the evaluation's.
        labels: int32 (N,).
        logits: float32 (N, K), the network's answers to the images.

    Raises:
        InputError: the folder cannot be written.
    """

    def __init__(
        self, directory: str | Path, images: np.ndarray, labels: np.ndarray, logits: np.ndarray
    ) -> None:
        self.directory = Path(directory)
        self.images, self.labels, self.logits = images, labels, logits
        # Also tells now, not after the first block's work, whether the folder can be written.
        write_atomically(self.directory / "README.txt", _README.encode())

    def load(self, units: list[Unit]) -> dict[Unit, Outcome]:
        """The outcomes that are there; says how many files were of something else."""
        found, ignored = {}, 0
        for unit in units:
            path = self._path(unit)
            if not path.exists():
                continue
            outcome = self._read(path, unit)
            if outcome is None:
                ignored += 1
            else:
                found[unit] = outcome
        if ignored:
            _log.warning(
                "%s: ignoring %d partial results of another network, other images, labels or "
                "attack settings; they will be replaced",
                self.directory,
                ignored,
            )
        return found

    def save(self, unit: Unit, outcome: Outcome) -> None:
        """Keeps a unit's outcome.

        Raises:
            InputError: the folder cannot be written.
        """
        file = io.BytesIO()
        np.savez(
            file,
            key=np.array(self._key(unit)),
            logits=self.logits[unit.rows],
            **outcome._asdict(),
        )
        write_atomically(self._path(unit), file.getvalue())

    def _path(self, unit: Unit) -> Path:
        name = re.sub(r"[^a-zA-Z0-9]+", "-", unit.attack.name).strip("-")
        return self.directory / f"{name}.{unit.goal}.{unit.start:06d}.npz"

    def _key(self, unit: Unit) -> str:
        # What an attack keeps to itself, such as counts, is no setting.
        settings = {
            name: value for name, value in vars(unit.attack).items() if not name.startswith("_")
        }
        return json.dumps(
            {
                "attack": type(unit.attack).__name__,
                "settings": settings,
                "goal": unit.goal,
                "images": image_hash(self.images[unit.rows], self.labels[unit.rows]),
            },
            sort_keys=True,
            default=repr,
        )

    def _read(self, path: Path, unit: Unit) -> Outcome | None:
        logits = self.logits[unit.rows]
        # Another process may round differently, and a row's place in its block matters too.
        tolerance = 1e-3 * max(1.0, float(np.abs(logits).max()))
        try:
            with np.load(path, allow_pickle=False) as file:
                if (
                    str(file["key"]) != self._key(unit)
                    or file["logits"].shape != logits.shape
                    or np.abs(file["logits"] - logits).max() > tolerance
                ):
                    return None
                return Outcome(file["rmse"], file["late"], float(file["seconds"]))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
