"""A folder too large for memory: files that turn out to be broken when they are read."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from picture_files import exif, saved, scene
from PIL import Image

from tfrobust import datasets
from tfrobust.datasets import folder as folder_module

CLASSES = ("cat", "dog")
SHADE = {"cat": 40, "dog": 200}


@pytest.fixture(autouse=True)
def nothing_fits_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "MEMORY_BYTES", 1)


def fill(root: Path, *parts: str, count: int = 6) -> Path:
    for part in parts:
        for name in CLASSES:
            for number in range(count):
                path = root / part / name / f"{number}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (24, 24), (SHADE[name] + number, 0, 0)).save(path, quality=95)
    return root


def break_up(path: Path) -> None:
    """Damages a picture so that its header and its end still look right."""
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"\xff\xda") + 2] + b"\0\0\xff\xd9")


def batches(data: datasets.DataSource, start: int = 0, **options: object) -> list[np.ndarray]:
    stream = data.train(4, seed=0, start_step=start, **{"augmentation": "none", **options})
    return [(images.numpy(), labels.numpy()) for images, labels in stream.take(6 - start)]


@pytest.mark.parametrize("augmentation", ["none", "imagenet"])
def test_a_broken_training_picture_gives_way_to_the_next_of_its_class(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, augmentation: str
) -> None:
    data = datasets.load(f"folder:{fill(tmp_path, 'train', 'test')}", image_size=16)
    for name in ("cat/1.jpg", "cat/2.jpg", "dog/0.jpg"):
        break_up(tmp_path / "train" / name)
    found = batches(data, augmentation=augmentation)
    for images, labels in found:
        assert images.shape == (4, 16, 16, 3)
        np.testing.assert_array_equal(images[:, 8, 8, 0] > 0.5, labels == 1)
    broken = ("train/cat/1.jpg", "train/cat/2.jpg", "train/dog/0.jpg")
    assert data.skipped == broken
    assert data.info.provenance.endswith("3 unreadable files left out (" + ", ".join(broken) + ").")
    assert caplog.text.count("train/cat/1.jpg is left out: damaged or cut off") == 1
    # Batch k is the same whether the stream runs from its start or is opened there.
    for (images, labels), (again, as_well) in zip(
        found[2:], batches(data, 2, augmentation=augmentation), strict=True
    ):
        np.testing.assert_array_equal(images, again)
        np.testing.assert_array_equal(labels, as_well)


def test_a_broken_test_picture_is_left_out(tmp_path: Path) -> None:
    data = datasets.load(f"folder:{fill(tmp_path, 'train', 'test')}", image_size=16)
    break_up(tmp_path / "test" / "dog" / "3.jpg")
    (tmp_path / "test" / "cat" / "0.jpg").unlink()
    for limit, count in ((None, 10), (10, 10), (4, 4)):
        images, labels = data.test_arrays(limit)
        assert images.shape[0] == len(labels) == count
        np.testing.assert_array_equal(images[:, 8, 8, 0] > 0.5, labels == 1)
    assert sum(len(labels) for _, labels in data.test(4)) == 10
    sample = data.test_sample(11)
    assert len(sample.files) == len(sample.images) == 10
    np.testing.assert_array_equal(sample.images[:, 8, 8, 0] > 0.5, sample.labels == 1)
    assert [name.split("/")[1] for name in sample.files] == [
        ("cat", "dog")[n] for n in sample.labels
    ]
    assert data.skipped == ("test/cat/0.jpg", "test/dog/3.jpg")


def test_a_class_without_a_readable_picture_ends_the_training_in_words(tmp_path: Path) -> None:
    data = datasets.load(f"folder:{fill(tmp_path, 'train', 'test')}", image_size=16)
    for number in range(6):
        break_up(tmp_path / "train" / "cat" / f"{number}.jpg")
    with pytest.raises(tf.errors.OpError, match="no training image of the class 'cat'"):
        batches(data)


def test_a_cut_off_photograph_with_a_preview_is_left_out_at_once(tmp_path: Path) -> None:
    fill(tmp_path, "")
    picture = Image.fromarray(scene(200, 200))
    preview = saved(picture.resize((32, 32)), "JPEG")
    whole = saved(picture, "JPEG", exif=exif(1).tobytes() + preview)
    (tmp_path / "cat" / "t.jpg").write_bytes(whole[: len(whole) // 2])
    data = datasets.load(f"folder:{tmp_path}", image_size=16)
    assert data.skipped == ("cat/t.jpg",)
    assert len(batches(data)) == 6


def test_validation_pictures_are_watched(tmp_path: Path) -> None:
    fill(tmp_path, "train", "valid", "test", count=4)
    (tmp_path / "valid" / "cat" / "0.jpg").unlink()
    data = datasets.load(f"folder:{tmp_path}", image_size=16)
    assert (data.info.train_images, data.info.test_images) == (8, 8)
    assert data.watched.info.test_images == 7
    break_up(tmp_path / "valid" / "dog" / "0.jpg")
    assert len(data.watched.test_arrays(None)[1]) == 6
    assert data.skipped == ("valid/dog/0.jpg",)
