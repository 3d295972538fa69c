"""DICOM files made by pydicom, as hospitals' devices write them."""

import io
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset

SECRET = "Mustermann^Erika"


def dicom(
    samples: np.ndarray,
    *,
    bits: int = 16,
    patient: str | None = "P-0042",
    syntax: str = pydicom.uid.ExplicitVRLittleEndian,
    **elements: Any,
) -> bytes:
    """The bytes of a file.

    Args:
        samples: uint8, uint16 or int16 (H, W), (frames, H, W), or (H, W, 3) in colour.
        bits: of a sample that are used.
        patient: the patient's identifier; None for no such element.
        syntax: the transfer syntax, which may be deflated but not compressed.
        elements: further elements by keyword; they replace others.
    """
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = pydicom.uid.SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    file = io.BytesIO()
    data = FileDataset(file, {}, file_meta=meta, preamble=b"\0" * 128)
    is_colour = samples.ndim == 3 and samples.shape[-1] == 3
    data.SpecificCharacterSet = "ISO_IR 192"  # UTF-8
    data.PatientName, data.PatientBirthDate = SECRET, "19700101"
    if patient is not None:
        data.PatientID = patient
    if samples.ndim == 3 and not is_colour:
        data.NumberOfFrames = len(samples)
    data.Rows, data.Columns = samples.shape[:2] if is_colour else samples.shape[-2:]
    data.SamplesPerPixel = 3 if is_colour else 1
    data.PhotometricInterpretation = "RGB" if is_colour else "MONOCHROME2"
    if is_colour:
        data.PlanarConfiguration = 0
    data.BitsAllocated = 8 * samples.dtype.itemsize
    data.BitsStored = min(bits, data.BitsAllocated)
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = int(samples.dtype.kind == "i")
    data["PixelData"] = pydicom.DataElement(
        "PixelData", "OW" if samples.dtype.itemsize == 2 else "OB", samples.tobytes()
    )
    for keyword, value in elements.items():
        setattr(data, keyword, value)
    data.save_as(file, enforce_file_format=True)
    return file.getvalue()


def item(**elements: Any) -> Dataset:
    """One item of a sequence."""
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made
