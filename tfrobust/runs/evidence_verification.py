"""Verifies an evidence file: it is gathered again from the same files, and compared.

So a figure counts only if it follows from the files that the evidence names, and a file only if it
has the hash that stands there.
"""

import dataclasses
import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydantic

from tfrobust.errors import InputError
from tfrobust.reports.evidence_file import EvidenceFile, Made, evidence_page
from tfrobust.runs.evidence_file import gather, refuse_other_answers

NOTHING = "nothing"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What a verification found.

    Args:
        broken: what does not hold, one sentence each; empty if all holds.
        notes: what differs between the making and this verification without breaking anything.
    """

    broken: tuple[str, ...]
    notes: tuple[str, ...]


def verify(path: Path, made_here: Made, *, fingerprint: str | None = None) -> Verdict:
    """Verifies an evidence file, its page, and all files that it names.

    Args:
        path: of the JSON; its page is beside it.
        made_here: what an evidence file that is made now would say of its making.
        fingerprint: the SHA-256 of the JSON, if its maker told it. Without it, what rests on no
            other file, such as the maker's name, cannot be verified.

    Raises:
        InputError: the file is no evidence file.
    """
    kept = EvidenceFile.from_json(path)
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    found = []
    if fingerprint is not None and fingerprint.lower() != digest:
        found.append(f"{path.name}: its SHA-256 is {digest}, and not the one that was told")
    try:
        page = path.with_suffix(".html").read_bytes()
    except OSError as error:
        found.append(f"{path.with_suffix('.html').name}: cannot be read: {error.strerror}")
    else:
        if page != evidence_page(kept, digest).encode():
            found.append(f"{path.with_suffix('.html').name}: it does not show what the JSON says")
    notes = [
        f"{place}: made with {before}, and verified with {now}"
        for place, before, now in _differing(_values(kept.made), _values(made_here))
        if place == "code" or place.startswith("versions")
    ]
    try:
        sources = {name: path.parent / place for name, place in kept.sources.items()}
        again = gather(sources, path.parent, kept.made)
    except InputError as error:
        return Verdict((*found, str(error)), tuple(notes))
    found += [
        f"{place}: the evidence says {said}, and its files {so}"
        for place, said, so in _differing(_values(kept), _values(again))
    ]
    if content != kept.json_text().encode():
        found.append(f"{path.name}: it holds more than was written, or is written otherwise")
    if not found:
        # Only now, for this takes longest.
        try:
            refuse_other_answers(sources)
        except InputError as error:
            found.append(str(error))
    return Verdict(tuple(found), tuple(notes))


def _differing(kept: Any, again: Any, place: str = "") -> Iterator[tuple[str, str, str]]:
    """Where two values in JSON's types differ: the place, and both values in short."""
    if isinstance(kept, dict) and isinstance(again, dict):
        for name in dict.fromkeys([*kept, *again]):
            inner = f"{place}.{name}".strip(".")
            yield from _differing(kept.get(name, NOTHING), again.get(name, NOTHING), inner)
    elif isinstance(kept, list) and isinstance(again, list) and len(kept) == len(again):
        for number, pair in enumerate(zip(kept, again, strict=True)):
            yield from _differing(*pair, f"{place}[{number}]")
    elif not _same(kept, again):
        yield place, f"{kept!r:.80}", f"{again!r:.80}"


def _same(kept: Any, again: Any) -> bool:
    if isinstance(kept, float) and isinstance(again, float):
        # Another NumPy may add up in another order.
        return math.isclose(kept, again, rel_tol=1e-6, abs_tol=1e-9)
    return type(kept) is type(again) and bool(kept == again)


def _values(record: Any) -> Any:
    return pydantic.TypeAdapter(type(record)).dump_python(record, mode="json")
