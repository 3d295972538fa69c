"""The flag --thresholds: from which probability a label holds."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfrobust.errors import InputError

HELP = (
    "of outputs that may hold together (multi-label), the probability above which a label holds, "
    "such as Pneumonia=.3,Effusion=.4, by names or numbers from 0; or a JSON file of such pairs; "
    "default: the network's"
)
EXPECTED = "expected --thresholds as NAME=PROBABILITY, with probabilities between 0 and 1"


def read(words: Sequence[str] | None) -> dict[str, float]:
    """What the flag says: the name or number of a label → the probability above which it holds.

    Raises:
        InputError: it says something else.
    """
    if not words:
        return {}
    pairs: Any = [word.rpartition("=")[::2] for word in words]
    if len(words) == 1 and "=" not in words[0]:
        try:
            pairs = list(json.loads(Path(words[0]).read_text(encoding="utf-8")).items())
        except (OSError, ValueError, AttributeError) as error:
            raise InputError(f"{EXPECTED}, or as a JSON file of an object: {error}") from None
    found: dict[str, float] = {}
    for name, said in pairs:
        try:
            share = float(said)
        except (TypeError, ValueError):
            share = 0.0
        if not name or name in found or not 0 < share < 1:
            raise InputError(f"{EXPECTED} and each label once, got {name}={said}")
        found[name] = share
    return found


def settled(
    given: Mapping[str, float], names: Sequence[str] | None, known: tuple[float, ...]
) -> tuple[float, ...]:
    """The thresholds of all labels.

    Args:
        given: from `read`.
        names: of the labels; None if they are not known, and have numbers only.
        known: those that hold where nothing is given.

    Raises:
        InputError: there is no such label.
    """
    numbers = {str(number): number for number in range(len(known))}
    numbers |= {name: number for number, name in enumerate(names or ())}
    found = list(known)
    for name, share in given.items():
        if name not in numbers:
            raise InputError(
                f"expected --thresholds of {', '.join(names or numbers)}, got one of {name}"
            )
        found[numbers[name]] = share
    return tuple(found)
