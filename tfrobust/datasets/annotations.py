"""What people mark in pictures as evidence, and as no evidence, as files in a folder.

Of each picture there are three: NAME.png, the picture as the network saw it; NAME.marks.png of the
same size, grey: 255 is evidence, 128 is no evidence, 0 is not marked; and NAME.json, who marked it
and when, and which picture and network it was. The JSON is written last, with hashes of the other
two, so that a picture counts as marked once all is there. This needs no TensorFlow.
"""

import dataclasses
import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tfrobust.core.files import write_atomically
from tfrobust.errors import InputError

EVIDENCE, NO_EVIDENCE, UNMARKED = 255, 128, 0
SCHEMA = 1
LONGEST_NAME = 60
LARGEST = 2**26  # bytes of a file


@dataclasses.dataclass(frozen=True, kw_only=True)
class Annotation:
    """The marks of one picture.

    Args:
        image: uint8 (H, W, C), the picture as the network saw it, grey or colour.
        marks: uint8 (H, W): `EVIDENCE`, `NO_EVIDENCE` or `UNMARKED`.
        name: of the picture, such as its file's.
        who: who marked it.
        when: the time, ISO 8601 in UTC.
        network: what tells which network was explained: its name and hashes.
        told: what the network said: the class, its confidence, and the class and the methods that
            the shown maps are of.
    """

    image: np.ndarray
    marks: np.ndarray
    name: str
    who: str
    when: str
    network: dict[str, Any]
    told: dict[str, Any]

    def __post_init__(self) -> None:
        image, marks = self.image, self.marks
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] not in (1, 3):
            raise InputError(
                f"expected a picture as uint8 (H, W, 1) or (H, W, 3), got {image.dtype} of shape "
                f"{image.shape}"
            )
        if marks.dtype != np.uint8 or marks.shape != image.shape[:2]:
            raise InputError(
                f"expected marks as uint8 {image.shape[:2]}, got {marks.dtype} of shape "
                f"{marks.shape}"
            )
        if not np.isin(marks, (EVIDENCE, NO_EVIDENCE, UNMARKED)).all():
            raise InputError(
                f"expected marks of {EVIDENCE}, {NO_EVIDENCE} and {UNMARKED}, got others"
            )

    @property
    def outside(self) -> np.ndarray:
        """bool (H, W), the pixels that are no evidence.

        Where evidence alone is marked, that is all the rest.
        """
        if (self.marks == NO_EVIDENCE).any():
            return self.marks == NO_EVIDENCE
        evidence = self.marks == EVIDENCE
        return ~evidence if evidence.any() else evidence


def path_of(folder: Path, name: str, image: np.ndarray) -> Path:
    """Where the JSON of a picture's marks is, or will be.

    Args:
        folder: of marks.
        name: of the picture.
        image: uint8 (H, W, C).

    Returns:
        The picture's name and a hash of its pixels, so that pictures of one name stay apart.
    """
    plain = re.sub(r"[^A-Za-z0-9_-]+", "_", Path(name).name).strip("_")[:LONGEST_NAME]
    return folder / f"{plain or 'picture'}-{pixels_hash(image)[:16]}.json"


def pixels_hash(image: np.ndarray) -> str:
    """SHA-256 of a picture's shape and pixels, uint8 (H, W, C), as 64 hexadecimal digits."""
    digest = hashlib.sha256(str(image.shape).encode())
    digest.update(np.ascontiguousarray(image).tobytes())
    return digest.hexdigest()


def write(folder: Path, annotation: Annotation) -> Path:
    """Writes the marks of a picture, in the place of older ones of the same picture.

    Args:
        folder: is made if there is none.
        annotation: of which something is marked.

    Returns:
        The path of the JSON file.

    Raises:
        InputError: nothing is marked, or the folder cannot be written to.
    """
    if not annotation.marks.any():
        raise InputError("expected marks, but nothing is marked in this picture")
    image, marks = png(annotation.image), png(annotation.marks[..., None])
    path = path_of(folder, annotation.name, annotation.image)
    content = {
        "schema": SCHEMA,
        "picture": {
            "name": annotation.name,
            "pixels_sha256": pixels_hash(annotation.image),
            "png_sha256": hashlib.sha256(image).hexdigest(),
        },
        "marks": {
            "png_sha256": hashlib.sha256(marks).hexdigest(),
            "evidence": EVIDENCE,
            "no_evidence": NO_EVIDENCE,
        },
        "who": annotation.who,
        "when": annotation.when,
        "network": annotation.network,
        "told": annotation.told,
    }
    write_atomically(path.with_suffix(".png"), image)
    write_atomically(path.with_suffix(".marks.png"), marks)
    write_atomically(path, json.dumps(content, indent=2, ensure_ascii=False).encode())
    return path


def remove(folder: Path, name: str, image: np.ndarray) -> bool:
    """Takes the marks of a picture away; → whether there were any.

    Args:
        folder: of marks.
        name: of the picture.
        image: uint8 (H, W, C).

    Raises:
        InputError: the files cannot be taken away.
    """
    path = path_of(folder, name, image)
    found = path.is_file()
    try:
        # Without its JSON a picture does not count as marked.
        for one in (path, path.with_suffix(".png"), path.with_suffix(".marks.png")):
            one.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"expected to take {path} away, got: {error.strerror}") from error
    return found


def read(path: Path) -> Annotation:
    """Reads the marks of one picture.

    Args:
        path: of the JSON file.

    Raises:
        InputError: a file is missing or damaged, or is not what the JSON was written for.
    """
    try:
        content = json.loads(path.read_text())
        if content["schema"] != SCHEMA:
            raise InputError(f"it is of schema {content['schema']}, not {SCHEMA}")
        image = _pixels(path.with_suffix(".png"), content["picture"]["png_sha256"])
        marks = _pixels(path.with_suffix(".marks.png"), content["marks"]["png_sha256"])
        return Annotation(
            image=image,
            marks=marks[..., 0],
            name=content["picture"]["name"],
            who=content["who"],
            when=content["when"],
            network=content["network"],
            told=content["told"],
        )
    except (OSError, ValueError, KeyError, TypeError, Image.DecompressionBombError) as error:
        raise InputError(
            f"expected {path} to hold the marks of a picture, as tfrobust-annotate writes them: "
            f"{error}. Mark the picture anew, or take its files away"
        ) from None


def read_folder(folder: Path) -> list[Annotation]:
    """Reads all marks of a folder, by the names of the files.

    Raises:
        InputError: there is no such folder, it has no marks, or some are damaged.
    """
    found = [read(path) for path in paths(folder)]
    if not found:
        raise InputError(
            f"expected marks in {folder}, as tfrobust-annotate writes them; there are none"
        )
    return found


def paths(folder: Path) -> list[Path]:
    """The JSON files of a folder of marks.

    Raises:
        InputError: there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"expected a folder of marks, but there is none at {folder}")
    return sorted(folder.glob("*.json"))


def digest(folder: Path) -> str:
    """SHA-256 of all marks of a folder. The JSON files have the hashes of the pictures."""
    found = hashlib.sha256()
    for path in paths(folder):
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def png(pixels: np.ndarray) -> bytes:
    """Pixels uint8 (H, W, C), grey or colour, as a PNG."""
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(file, "png")
    return file.getvalue()


def _pixels(path: Path, sha256: str) -> np.ndarray:
    """A PNG as uint8 (H, W, C), if it is the one that was hashed."""
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{path.name} is larger than {LARGEST} bytes")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"{path.name} is another file than when it was marked")
    with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
        pixels = np.asarray(picture)
    return pixels[..., None] if pixels.ndim == 2 else pixels
