"""Pictures as a hospital has them: DICOM, TIFF and PNG of 12 and 16 bits, in four scripts."""

from pathlib import Path

import numpy as np
import pydicom
from dicom_files import dicom
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.pixels import apply_modality_lut, apply_voi_lut

PATIENTS = ("Ärztin", "пациент", "患者", "مريض")
SUFFIXES = (".dcm", "-inverted.dcm", ".tif", ".png")


def slices() -> list[np.ndarray]:
    """Grey levels from 0 to 1 that pydicom makes of its own test files."""
    made = []
    for name in ("693_J2KI.dcm", "examples_overlay.dcm", "image_dfl.dcm"):
        data = pydicom.dcmread(get_testdata_file(name, download=False))
        shown = apply_voi_lut(apply_modality_lut(data.pixel_array, data), data).astype(float)
        made.append((shown - shown.min()) / np.ptp(shown))
    return made


def write(path: Path, levels: np.ndarray, patient: str) -> np.ndarray:
    """Writes a picture by its suffix; → the grey levels that must be read, uint8 (H, W)."""
    if path.suffix == ".dcm":
        twelve = np.rint(levels * 4095).astype(np.uint16)
        inverted = {"PhotometricInterpretation": "MONOCHROME1"} if "inverted" in path.name else {}
        stored = 4095 - twelve if inverted else twelve
        path.write_bytes(dicom(stored, bits=12, patient=patient, **inverted))
        return np.rint(twelve * (255 / 4095)).astype(np.uint8)
    sixteen = np.rint(levels * 65_535).astype(np.uint16)
    Image.fromarray(sixteen).save(path)
    return np.rint(sixteen / 257).astype(np.uint8)
