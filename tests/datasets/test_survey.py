"""How many bits the 16-bit files of a folder have."""

from pathlib import Path

import numpy as np
import pytest
from picture_files import chunk, png
from PIL import Image

from tfrobust import datasets
from tfrobust.errors import InputError


def radiographs(root: Path, largest: int, extra: bytes = b"") -> Path:
    """Grey pictures of 16 bits whose samples go up to a number."""
    for name in ("hand", "knee"):
        (root / name).mkdir(parents=True)
        for number in range(4):
            samples = np.linspace(0, max(largest - number, 0), 144).astype(int).reshape(12, 12)
            (root / name / f"{number}.png").write_bytes(png(samples, 16, 0, extra=extra))
    return root


@pytest.mark.parametrize(("largest", "likely"), [(1000, 10), (3071, 12), (4095, 12), (9000, 14)])
def test_dark_files_are_asked_about(tmp_path: Path, largest: int, likely: int) -> None:
    folder = f"folder:{radiographs(tmp_path, largest)}"
    with pytest.raises(InputError, match=f"above {largest} of 65535.* give `bits` = {likely}"):
        datasets.load(folder)
    data = datasets.load(folder, bits=likely)
    assert data.info.bits == likely
    brightest = data.test_arrays(None)[0].max()
    assert brightest == pytest.approx(largest / (2**likely - 1), abs=0.01)
    assert datasets.load(folder, bits=16).test_arrays(None)[0].max() < 0.2


def test_what_the_files_say_counts(tmp_path: Path) -> None:
    data = datasets.load(f"folder:{radiographs(tmp_path, 4095, chunk(b'sBIT', bytes([12])))}")
    assert data.test_arrays(None)[0].max() > 0.99
    assert data.info.bits is None


@pytest.mark.parametrize("largest", [0, 20_000, 65_535])
def test_files_that_use_their_bits_are_taken_as_they_are(tmp_path: Path, largest: int) -> None:
    data = datasets.load(f"folder:{radiographs(tmp_path, largest)}")
    assert data.info.bits == 16
    assert data.test_arrays(None)[0].max() == pytest.approx(largest / 65_535, abs=0.01)


def test_bits_out_of_range_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="bits must be from 9 to 16, got 8"):
        datasets.load(f"folder:{radiographs(tmp_path, 4095)}", bits=8)


def test_one_bright_file_tells_that_the_dark_ones_are_meant_so(tmp_path: Path) -> None:
    radiographs(tmp_path, 3000)
    samples = np.full((12, 12), 40_000, np.uint16)
    Image.fromarray(samples).save(tmp_path / "hand" / "bright.png")
    assert datasets.load(f"folder:{tmp_path}").info.bits == 16
