"""Folders of pictures and masks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfrobust.datasets import load_concepts
from tfrobust.errors import InputError


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures 8×8; the second one's left half is a lung, and a heart is nowhere in it."""
    left, corner = np.zeros((8, 8)), np.zeros((8, 8))
    left[:, :4] = corner[:2, :2] = 255
    write(tmp_path / "images" / "a.png", np.full((8, 8), 51))
    write(tmp_path / "images" / "b.jpg", np.full((8, 8), 255))
    write(tmp_path / "masks" / "lung" / "b.png", left)
    write(tmp_path / "masks" / "heart" / "a.png", corner)
    return tmp_path


def test_pictures_and_masks_are_those_of_one_name(folder: Path) -> None:
    found = load_concepts(folder, image_shape=(8, 8, 3))
    assert found.files == ("a.png", "b.jpg")
    np.testing.assert_allclose(found.images[0], 0.2)
    assert list(found.masks) == ["heart", "lung"]
    assert found.masks["lung"][1, :, :4].all() and found.masks["lung"].sum() == 32
    assert found.masks["heart"][0, :2, :2].all() and found.masks["heart"].sum() == 4


def test_masks_are_fitted_as_their_pictures(folder: Path) -> None:
    wide = np.zeros((8, 16))
    wide[:, :8] = 255  # of which the middle shows 4 columns
    write(folder / "images" / "c.png", wide)
    write(folder / "masks" / "lung" / "c.png", wide)
    for fit in ("crop", "letterbox"):
        found = load_concepts(folder, image_shape=(8, 8, 1), fit=fit)
        np.testing.assert_array_equal(found.masks["lung"][2], found.images[2, ..., 0] >= 0.5)
        assert 0 < found.masks["lung"][2].sum() < 64


def test_what_does_not_belong_together_is_refused(folder: Path) -> None:
    write(folder / "masks" / "lung" / "x.png", np.zeros((8, 8)))
    with pytest.raises(InputError, match=r"a picture of .*x\.png"):
        load_concepts(folder, image_shape=(8, 8, 1))
    (folder / "masks" / "lung" / "x.png").unlink()
    write(folder / "masks" / "lung" / "a.png", np.zeros((4, 8)))
    with pytest.raises(InputError, match=r"a\.png in the size of its picture, \(8, 8\), got \(4"):
        load_concepts(folder, image_shape=(8, 8, 1))
    (folder / "masks" / "lung" / "a.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"expected a picture at .*a\.png"):
        load_concepts(folder, image_shape=(8, 8, 1))
    write(folder / "images" / "b.png", np.zeros((8, 8)))
    with pytest.raises(InputError, match="one file called b"):
        load_concepts(folder, image_shape=(8, 8, 1))


def test_a_folder_without_masks_or_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a folder at"):
        load_concepts(tmp_path, image_shape=(8, 8, 1))
    (tmp_path / "images").mkdir()
    with pytest.raises(InputError, match="expected pictures in"):
        load_concepts(tmp_path, image_shape=(8, 8, 1))
    write(tmp_path / "images" / "a.png", np.zeros((8, 8)))
    (tmp_path / "masks").mkdir()
    with pytest.raises(InputError, match="a folder of masks for each concept"):
        load_concepts(tmp_path, image_shape=(8, 8, 1))
