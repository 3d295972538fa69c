"""Pictures as a hospital has them: DICOM, TIFF and PNG of 12 and 16 bits, named in four scripts.

They are parts of real slices, which pydicom ships, with bright spots in the place of findings.
"""

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pydicom
from dicom_files import dicom
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.pixels import apply_modality_lut, apply_voi_lut

PATIENTS = ("Ärztin", "пациент", "患者", "مريض")
SUFFIXES = (".dcm", "-inverted.dcm", "-ct.dcm", ".tif", ".png")
CLASSES = ("épanchement", "норма", "腫瘤")  # by their order, which is that of the data set
LABELS = ("épanchement", "كسر", "腫瘤")
SIDE = 160
# The corners with a spot, one for each of the labels: in so many of the pictures.
SHARES = (0.5, 0.15, 0.3)


class Picture(NamedTuple):
    """A file, and what must be read of it.

    Args:
        file: its name.
        patient: who is on it.
        label: its class's name, or the names of its labels.
        pixels: uint8 (H, W).
    """

    file: str
    patient: str
    label: str | tuple[str, ...]
    pixels: np.ndarray


def hospital(root: Path, number: int, *, several: bool = False) -> list[Picture]:
    """Writes pictures of patients who come twice, and labels.csv.

    Args:
        root: the folder.
        number: how many pictures.
        several: whether a picture may have several labels; else it has one of three classes, of
            which one is rare.
    """
    random, sources, made = np.random.default_rng(1), slices(), []
    for place in range(number):
        patient = f"{PATIENTS[place % 4]}{place // 8}"
        levels = part(sources[place % len(sources)], random)
        found = random.random(len(LABELS)) < SHARES if several else _one_of(place)
        for corner in found.nonzero()[0]:
            levels = with_spot(levels, corner)
        label = CLASSES[1]
        if several:
            label = tuple(LABELS[one] for one in found.nonzero()[0])
        elif found.any():
            label = LABELS[int(found.argmax())]
        # Four in five files are DICOM.
        file = f"{patient} {place}{SUFFIXES[place % 5 if place % 2 else place % 3]}"
        made.append(Picture(file, patient, label, write(root / file, levels, patient)))
    _list(root / "labels.csv", made, several)
    return made


def _one_of(place: int) -> np.ndarray:
    """Which label a picture has, if any: the first in one of ten, the last in two of ten."""
    return np.array([place % 10 == 3, False, place % 5 == 1])


def _list(path: Path, made: list[Picture], several: bool) -> None:
    rows = []
    for one in made:
        labels = {name: int(name in one.label) for name in LABELS}
        told = labels if several else {"label": one.label}
        rows.append({"file": one.file, "patient": one.patient, **told})
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def slices() -> list[np.ndarray]:
    """Grey levels from 0 to 1 that pydicom makes of its own test files."""
    made = []
    for name in ("693_J2KI.dcm", "examples_overlay.dcm", "image_dfl.dcm"):
        shown = by_pydicom(Path(get_testdata_file(name, download=False)))
        made.append((shown - shown.min()) / np.ptp(shown))
    return made


def by_pydicom(path: Path) -> np.ndarray:
    """What pydicom shows of a file, by its table or window, float (H, W)."""
    data = pydicom.dcmread(path)
    return apply_voi_lut(apply_modality_lut(data.pixel_array, data), data).astype(float)


def part(whole: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A part of a slice, (SIDE, SIDE)."""
    top, left = random.integers(0, [side - SIDE for side in whole.shape])
    return whole[top : top + SIDE, left : left + SIDE]


def with_spot(levels: np.ndarray, corner: int) -> np.ndarray:
    """Levels with a bright spot in one of the corners, 0 to 3."""
    places = (np.arange(SIDE) + 0.5) / SIDE
    down, right = (places - 0.25 - place / 2 for place in divmod(corner, 2))
    return np.maximum(levels, np.exp(-(down[:, None] ** 2 + right**2) / 0.02))


def write(path: Path, levels: np.ndarray, patient: str) -> np.ndarray:
    """Writes a picture by its suffix; → the grey levels that must be read, uint8 (H, W)."""
    if path.suffix != ".dcm":
        sixteen = np.rint(levels * 65_535).astype(np.uint16)
        Image.fromarray(sixteen).save(path)
        return np.rint(sixteen / 257).astype(np.uint8)
    samples = np.rint(levels * 4095).astype(np.uint16)
    if path.name.endswith("-ct.dcm"):
        # As a CT has them: signed, of 16 bits, in Hounsfield units, of which the window is a part.
        window = {"WindowCenter": 1000, "WindowWidth": 3200}
        scale = {"RescaleSlope": 1, "RescaleIntercept": -1024}
        path.write_bytes(dicom(samples.astype(np.int16), patient=patient, **window, **scale))
        black, white = -(2**15) - 1024, 2**15 - 1 - 1024
    elif path.name.endswith("-inverted.dcm"):
        negative = {"PhotometricInterpretation": "MONOCHROME1"}
        path.write_bytes(dicom(4095 - samples, bits=12, patient=patient, **negative))
        black, white = 4095, 0
    else:
        path.write_bytes(dicom(samples, bits=12, patient=patient))
        black, white = 0, 4095
    return np.rint(255 * (by_pydicom(path) - black) / (white - black)).astype(np.uint8)
