"""Results of an evaluation's finished units, so that an interrupted one goes on from there."""

import dataclasses
import io
import json
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfrobust.attacks import Attack, AttackResult
from tfrobust.core.files import write_atomically
from tfrobust.core.provenance import image_hash
from tfrobust.errors import InputError

_README = """Finished units of an evaluation, to go on from. They may be deleted once it is done.
evaluation.json says of what they are; NAME.npz is what an attack found, NAME.seconds its time.
"""


class Unit(NamedTuple):
    """The least piece of an evaluation: all attacks, for one goal, on one block of images."""

    goal: str
    start: int
    stop: int

    @property
    def rows(self) -> slice:
        """Which images."""
        return slice(self.start, self.stop)


class Outcome(NamedTuple):
    """What an attack found in a unit, and the seconds that it took."""

    result: AttackResult
    seconds: float


class Partials:
    """Units' outcomes in a folder, one file for each attack in each.

    They are of one evaluation: attacks with the same `config` in the same order, the
    same images, labels and network. The network is told by its logits: whatever answers all
    images alike is the same network, and one that was trained on is not.

    Args:
        directory: where the files are; made if absent.
        attacks: of the evaluation, in order.
        unit_images: images of a unit.
        images: float32 (N, H, W, C), all of the evaluation's.
        labels: int32 (N,).
        logits: float32 (N, K), the network's answers to the images.

    Raises:
        InputError: the folder cannot be written, or holds another evaluation; the difference
            is named.
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
        # Also tells now, not after the first unit's work, whether the folder can be written.
        write_atomically(self.directory / "README.txt", _README.encode())
        mine = {
            "attacks": [attack.config() for attack in attacks],
            "images of a unit": unit_images,
            "images and labels": image_hash(images, labels),
        }
        self._refuse_another(mine, logits)
        write_atomically(
            self.directory / "evaluation.json", json.dumps(mine, indent=1).encode() + b"\n"
        )
        file = io.BytesIO()
        np.save(file, logits)
        write_atomically(self.directory / "logits.npy", file.getvalue())

    def load(self, unit: Unit) -> list[Outcome]:
        """The outcomes that are there, of the first attacks; a broken file ends them."""
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
        """Keeps what attack `number` found.

        Raises:
            InputError: the folder cannot be written.
        """
        # Apart, as two runs that find the same take other times.
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
            theirs = json.loads((self.directory / "evaluation.json").read_text())
            before = np.load(self.directory / "logits.npy", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return
        there, here = _by_attack(theirs), _by_attack(mine)
        differences = [
            f"{name}: there {there.get(name, 'none')}, here {here.get(name, 'none')}"
            for name in dict.fromkeys([*here, *there])
            if there.get(name) != here.get(name)
        ]
        # Another process may round differently.
        tolerance = 1e-3 * max(1.0, float(np.abs(logits).max()))
        if not differences and (
            before.shape != logits.shape or np.abs(before - logits).max() > tolerance
        ):
            differences = ["the network: it answers the same images otherwise"]
        if differences:
            raise InputError(
                f"expected {self.directory} to hold parts of this very evaluation, but it is of "
                f"another; {'; '.join(differences)}. Repeat that one's settings, name another "
                "folder, or delete this one"
            )


def _by_attack(manifest: dict[str, Any]) -> dict[str, Any]:
    """Each attack's settings apart, so that a difference names the attack and no other."""
    attacks = manifest.get("attacks", [])
    numbered = {f"attack {number}": one for number, one in enumerate(attacks, 1)}
    return {**numbered, **{name: value for name, value in manifest.items() if name != "attacks"}}
