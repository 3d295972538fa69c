"""A user's own folder: every kind of file, and every way to get the layout wrong."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfrobust import datasets
from tfrobust.datasets import folder as folder_module
from tfrobust.datasets.folder_scan import scan
from tfrobust.datasets.folder_split import split_by_hash
from tfrobust.errors import InputError


def save(path: Path, pixels: np.ndarray | int, size: tuple[int, int] = (10, 10)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(pixels, int):
        pixels = np.full(size, pixels, np.uint8)
    Image.fromarray(pixels).save(path)


def two_classes(root: Path, count: int = 6) -> Path:
    for label in ("cats", "dogs"):
        for number in range(count):
            save(root / label / f"{number}.png", 3 * number)
    return root


def load(root: Path, **arguments: object) -> datasets.DataSource:
    return datasets.load(f"folder:{root}", **arguments)


def test_grey_folder_of_one_size_keeps_both(tmp_path):
    data = load(two_classes(tmp_path))
    assert data.info.image_shape == (10, 10, 1)
    assert data.info.class_names == ("cats", "dogs")
    assert data.info.train_images + data.info.test_images == 12
    assert data.skipped == ()


def test_one_colour_image_makes_all_colour(tmp_path):
    two_classes(tmp_path)
    save(tmp_path / "cats" / "red.png", np.full((10, 10, 3), (200, 0, 0), np.uint8))
    assert load(tmp_path).info.image_shape == (10, 10, 3)


def test_mixed_sizes_become_224_and_a_wish_is_granted(tmp_path):
    two_classes(tmp_path, count=2)
    save(tmp_path / "cats" / "wide.jpg", 7, size=(20, 50))
    assert load(tmp_path).info.image_shape == (224, 224, 1)
    assert load(tmp_path, image_size=16).test_arrays(2)[0].shape == (2, 16, 16, 1)


def test_how_pictures_are_brought_to_one_size_is_obeyed_and_said(tmp_path, monkeypatch):
    for label in ("a", "b"):
        for number in range(3):
            save(tmp_path / label / f"{number}.png", 200, size=(10, 30))
    said = {"crop": "24 × 24 pixels by their middle", "letterbox": "24 × 24 pixels between margins"}
    for memory in (10**9, 1):
        monkeypatch.setattr(folder_module, "MEMORY_BYTES", memory)
        for fit, words in said.items():
            data = load(tmp_path, image_size=24, fit=fit)
            batch, _ = next(iter(data.train(2, seed=0, augmentation="none")))
            for images in (data.test_arrays(None)[0], batch.numpy()):
                assert (images[:, 0] == 0).all() == (fit == "letterbox")
                assert images[:, 12].min() > 0.7
            assert (data.info.fit, words in data.info.provenance) == (fit, True)
    with pytest.raises(InputError, match="fit must be one of crop, letterbox; got 'squash'"):
        load(tmp_path, fit="squash")


def test_train_and_test_folders_are_obeyed(tmp_path):
    for part, value in (("train", 50), ("validation", 150)):
        for label in ("a", "b"):
            save(tmp_path / part / label / "1.png", value)
            save(tmp_path / part / label / "deep" / "2.png", value)
    data = load(tmp_path)
    assert (data.info.train_images, data.info.test_images) == (4, 4)
    assert set(np.round(data.test_arrays(None)[0].ravel() * 255)) == {150}
    images, _ = next(iter(data.train(4, seed=0, augmentation="none")))
    assert set(np.round(images.numpy().ravel() * 255)) == {50}


def test_adding_files_moves_no_other(tmp_path):
    two_classes(tmp_path, count=60)
    _, before = split_by_hash(scan(tmp_path).pictures)
    two_classes(tmp_path, count=80)
    train, after = split_by_hash(scan(tmp_path).pictures)
    assert 6 <= len(before) <= 42  # of 120, 24 expected, standard deviation 4.4
    assert {picture.name for picture in before} <= {picture.name for picture in after}
    assert len(train) + len(after) == 160


def test_even_a_class_of_two_is_split(tmp_path):
    for label in "abcdefgh":
        for number in range(2):
            save(tmp_path / label / f"{number}.png", number)
    data = load(tmp_path)
    np.testing.assert_array_equal(data.test_arrays(None)[1], np.arange(8))
    assert data.info.train_images == 8


def test_test_images_take_turns_and_keep_their_labels(tmp_path):
    for label in range(4):
        for number in range(12):
            save(tmp_path / "train" / f"c{label}" / f"{number}.png", 60 * label)
            save(tmp_path / "test" / f"c{label}" / f"{number}.png", 60 * label)
    images, labels = load(tmp_path).test_arrays(10)
    np.testing.assert_array_equal(labels, [0, 1, 2, 3, 0, 1, 2, 3, 0, 1])
    np.testing.assert_array_equal(np.round(images[:, 5, 5, 0] * 255), 60 * labels)


def png_of_claimed_size(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 100) + b"IDAT"


@pytest.mark.parametrize("memory", [10**9, 1])
def test_unreadable_files_are_named_and_left_out(tmp_path, monkeypatch, caplog, memory):
    monkeypatch.setattr(folder_module, "MEMORY_BYTES", memory)
    two_classes(tmp_path)
    cats = tmp_path / "cats"
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    save(cats / "whole.jpg", noise)
    save(cats / "whole.png", noise)
    for kind in ("jpg", "png"):
        content = (cats / f"whole.{kind}").read_bytes()
        (cats / f"cut.{kind}").write_bytes(content[: len(content) // 2])
    (cats / "empty.png").write_bytes(b"")
    (cats / "text.jpeg").write_text("no picture")
    (cats / "huge.png").write_bytes(png_of_claimed_size(11_000, 11_000))
    (cats / "._hidden.png").write_text("a Macintosh's leftovers")
    (cats / "notes.txt").write_text("passed over")
    data = load(tmp_path, image_size=16)
    broken = ("cut.jpg", "cut.png", "empty.png", "huge.png", "text.jpeg")
    assert data.skipped == tuple(f"cats/{name}" for name in broken)
    assert data.info.train_images + data.info.test_images == 14
    assert "5 unreadable files left out" in caplog.text
    assert "above 100 megapixels" in caplog.text
    assert len(data.test_arrays(None)[1]) == data.info.test_images


def test_streamed_and_in_memory_give_the_same_test_images(tmp_path, monkeypatch):
    for label in ("a", "b"):
        for number in range(6):
            pixels = np.random.default_rng(number).integers(0, 256, (30, 20 + number, 3), np.uint8)
            save(tmp_path / label / f"{number}.png", pixels)
    in_memory = load(tmp_path, image_size=16).test_arrays(None)
    monkeypatch.setattr(folder_module, "MEMORY_BYTES", 1)
    streamed = load(tmp_path, image_size=16).test_arrays(None)
    np.testing.assert_array_equal(in_memory[0], streamed[0])
    np.testing.assert_array_equal(in_memory[1], streamed[1])


def test_wrong_layouts_are_refused(tmp_path):
    with pytest.raises(InputError, match="at least two; it has none"):
        load(tmp_path)
    save(tmp_path / "cats" / "1.png", 1)
    save(tmp_path / "cats" / "2.png", 1)
    with pytest.raises(InputError, match="at least two; it has cats"):
        load(tmp_path)
    save(tmp_path / "dogs" / "1.png", 1)
    with pytest.raises(InputError, match=r"class 'dogs'.*no readable image to test on"):
        load(tmp_path)
    (tmp_path / "dogs" / "1.png").write_text("broken")
    with pytest.raises(InputError, match=r"class 'dogs'.*to train on \(1 unreadable"):
        load(tmp_path)
