"""The finished units of an evaluation on disk, from which an interrupted one goes on."""

import dataclasses
import io
import json
import re
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfrobust.attacks import Attack, AttackResult
from tfrobust.core.files import write_atomically
from tfrobust.core.provenance import image_hash
from tfrobust.errors import InputError

BATCH_SIZE_FILE, MANIFEST_FILE = "batch_size.txt", "evaluation.json"
_README = """The finished units of an evaluation, from which it goes on after an interruption.
Delete them when it is done. evaluation.json says which evaluation it is. NAME.npz is what an attack
found, and NAME.seconds is the time that it took. batch_size.txt says how many images are attacked
at a time; it goes down where a device's memory is full.
"""


class AnotherEvaluation(InputError):
    """A folder holds parts of another evaluation."""


class MissingShards(InputError):
    """A report was asked for before every shard was done."""


class Unit(NamedTuple):
    """The smallest piece of an evaluation: all attacks for one goal on a few images.

    Args:
        goal: "attack" or "btr".
        start: the first image.
        stop: the image after the last one.
    """

    goal: str
    start: int
    stop: int

    @property
    def rows(self) -> slice:
        """The rows of its images."""
        return slice(self.start, self.stop)


class Outcome(NamedTuple):
    """What one attack did in a unit.

    Args:
        result: what it found.
        seconds: the time that it took.
    """

    result: AttackResult
    seconds: float


class Partials:
    """A folder with a file for each unit and attack of one evaluation.

    Two evaluations are the same if their attacks have the same `config`, but for how many images
    they take at a time, in the same order, and their units, images, labels and networks are the
    same. Networks are the same if they give the same
    logits for all images, so a network that was trained further is another one.

    Args:
        directory: the folder; it is made if it does not exist.
        attacks: the evaluation's attacks, in order.
        unit_images: how many images a unit has.
        images: float32 (N, H, W, C), all images of the evaluation.
        labels: int32 (N,), their classes.
        logits: float32 (N, K), the network's answers to them.

    Raises:
        AnotherEvaluation: the folder holds another one. The message says how that one differs.
        InputError: the folder cannot be written.
    """

    def __init__(
        self,
        directory: str | Path,
        attacks: Sequence[Attack],
        unit_images: int,
        images: np.ndarray,
        labels: np.ndarray,
        logits: np.ndarray,
    ) -> None:
        self.directory = Path(directory)
        self.attacks = attacks
        # This fails at once if the folder cannot be written, and not after the first unit.
        write_atomically(self.directory / "README.txt", _README.encode())
        mine = {
            "attacks": [_without_batch_size(attack.config()) for attack in attacks],
            "images of a unit": unit_images,
            "images and labels": image_hash(images, labels),
        }
        self._refuse_another(mine, logits)
        write_atomically(
            self.directory / MANIFEST_FILE, json.dumps(mine, indent=1).encode() + b"\n"
        )
        file = io.BytesIO()
        np.save(file, logits)
        write_atomically(self.directory / "logits.npy", file.getvalue())

    def load(self, unit: Unit) -> list[Outcome]:
        """Reads what the first attacks did in a unit, up to a file that is absent or broken.

        Args:
            unit: which unit.

        Returns:
            An outcome for each of these attacks.
        """
        outcomes = []
        for number in range(len(self.attacks)):
            try:
                with np.load(self._path(unit, number), allow_pickle=False) as file:
                    fields = dataclasses.fields(AttackResult)
                    result = AttackResult(**{field.name: file[field.name] for field in fields})
                seconds = float(self._path(unit, number).with_suffix(".seconds").read_text())
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
                break
            outcomes.append(Outcome(result, seconds))
        return outcomes

    def save(self, unit: Unit, number: int, outcome: Outcome) -> None:
        """Writes what one attack did.

        Args:
            unit: which unit.
            number: which attack, counted from 0.
            outcome: what it found, and its time.

        Raises:
            InputError: the folder cannot be written.
        """
        # The time has a file of its own: results are equal from run to run, and times are not.
        path = self._path(unit, number)
        write_atomically(path.with_suffix(".seconds"), f"{outcome.seconds:.3f}\n".encode())
        file = io.BytesIO()
        np.savez(file, **dataclasses.asdict(outcome.result))
        write_atomically(path, file.getvalue())

    def _path(self, unit: Unit, number: int) -> Path:
        name = re.sub(r"[^a-zA-Z0-9]+", "-", self.attacks[number].name).strip("-")
        return self.directory / f"{unit.goal}.{unit.start:06d}.{number}.{name}.npz"

    def _refuse_another(self, mine: dict[str, Any], logits: np.ndarray) -> None:
        try:
            kept = json.loads((self.directory / MANIFEST_FILE).read_text())
            before = np.load(self.directory / "logits.npy", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return
        # Folders of before tell how many images an attack takes at a time.
        there, here = _by_attack(_without_batch_size(kept)), _by_attack(mine)
        differences = [
            _difference(name, there.get(name, "none"), here.get(name, "none"))
            for name in dict.fromkeys([*here, *there])
            if there.get(name) != here.get(name)
        ]
        # The logits of another process may be rounded differently.
        tolerance = 1e-3 * max(1.0, float(np.abs(logits).max()))
        if not differences and (
            before.shape != logits.shape or np.abs(before - logits).max() > tolerance
        ):
            differences = ["the network: it answers the same images otherwise"]
        if differences:
            raise AnotherEvaluation(
                f"expected {self.directory} to hold parts of this very evaluation, but it is of "
                f"another; {'; '.join(differences)}. Repeat that one's settings, name another "
                "folder, or delete this one"
            )


def kept_batch_size(directory: str | Path) -> int | None:
    """How many images are attacked at a time in the evaluation that a folder keeps.

    Returns:
        None where it keeps none.
    """
    try:
        return int((Path(directory) / BATCH_SIZE_FILE).read_text())
    except (OSError, ValueError):
        return None


def keep_batch_size(directory: str | Path, size: int) -> None:
    """Says for all that work on an evaluation later how many images they attack at a time."""
    write_atomically(Path(directory) / BATCH_SIZE_FILE, f"{size}\n".encode())


def kept_unit(directory: str | Path | None) -> int | None:
    """How many images a unit has in the evaluation that a folder keeps.

    Returns:
        None where there is no folder, or it keeps no evaluation.
    """
    try:
        manifest = json.loads((Path(directory or "") / MANIFEST_FILE).read_text())
        return int(manifest["images of a unit"]) if directory else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def claimed_batch_size(directory: str | Path, size: int) -> int:
    """How many images are attacked at a time by all processes that share a folder.

    Processes on several devices may start together and each find another number by trial. The first
    one's holds for all.

    Args:
        directory: of the evaluation's parts.
        size: what this process found.

    Raises:
        InputError: the folder cannot be written.
    """
    path = Path(directory) / BATCH_SIZE_FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x") as file:
            file.write(f"{size}\n")
        return size
    except FileExistsError:
        pass
    except OSError as error:
        raise InputError(f"cannot write {path}: {error}") from error
    for _ in range(20):
        if claimed := path.read_text().strip():
            return int(claimed)
        time.sleep(0.1)  # the first one is about to write
    keep_batch_size(directory, size)  # it was ended before it wrote
    return size


def _without_batch_size(config: Any) -> Any:
    """What an attack is, whatever it takes at a time: so much changes results only by rounding."""
    if isinstance(config, dict):
        return {k: _without_batch_size(v) for k, v in config.items() if k != "batch_size"}
    return [_without_batch_size(one) for one in config] if isinstance(config, list) else config


def _difference(name: str, there: Any, here: Any) -> str:
    # A hash tells a reader nothing, and of images and labels the manifest has no more.
    if re.fullmatch("[0-9a-f]{16,}", str(here)):
        return f"{name}: others"
    return f"{name}: there {there}, here {here}"


def _by_attack(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest with an entry for each attack, so that a difference names one attack."""
    attacks = manifest.get("attacks", [])
    numbered = {f"attack {number}": one for number, one in enumerate(attacks, 1)}
    return {**numbered, **{name: value for name, value in manifest.items() if name != "attacks"}}
