"""The images that ship with the package, and the tool that makes them."""

import hashlib
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from tfrobust import datasets
from tfrobust.datasets import embedded
from tfrobust.errors import InputError

TOOL = Path(__file__).resolve().parents[2] / "tools" / "make_embedded_images.py"


@pytest.fixture(scope="module")
def data():
    return datasets.load("fashion_mnist_mini")


def test_info_is_true_to_the_arrays(data):
    train, train_labels = next(iter(data.train(10_000, seed=0, augmentation="none")))
    train, train_labels = train.numpy(), train_labels.numpy()
    test, test_labels = data.test_arrays(None)
    assert data.info.image_shape == train.shape[1:] == test.shape[1:] == (28, 28, 1)
    assert (len(train), len(test)) == (data.info.train_images, data.info.test_images)
    np.testing.assert_array_equal(np.bincount(train_labels), [1000] * 10)
    np.testing.assert_array_equal(np.bincount(test_labels), [200] * 10)
    assert train.mean() == pytest.approx(data.info.mean[0], abs=1e-4)
    assert train.std() == pytest.approx(data.info.std[0], abs=1e-4)
    assert data.info.num_classes == 10
    assert data.skipped == ()


@pytest.mark.parametrize("limit", [10, 25, 500])
def test_every_prefix_is_class_balanced(data, limit):
    counts = np.bincount(data.test_arrays(limit)[1], minlength=10)
    assert counts.sum() == limit
    assert counts.max() - counts.min() <= 1


def test_no_test_image_is_a_training_image():
    images, _ = embedded.read(embedded.FILE)
    digests = [hashlib.sha256(image.tobytes()).digest() for image in images]
    shared = set(digests[:10_000]) & set(digests[10_000:])
    assert len(shared) <= 2  # Fashion-MNIST itself has a few duplicates across its splits.


def test_other_sizes(data):
    resized = datasets.load("fashion_mnist_mini", image_size=32)
    images, labels = resized.test_arrays(4)
    assert images.shape == (4, 32, 32, 1) == (4, *resized.info.image_shape)
    original, original_labels = data.test_arrays(4)
    np.testing.assert_array_equal(labels, original_labels)
    assert images.mean() == pytest.approx(original.mean(), abs=0.01)


@pytest.mark.parametrize("size", [0, 7, -1, 2.5, "32", True])
def test_impossible_sizes_are_refused(size):
    with pytest.raises(InputError, match="image_size"):
        datasets.load("fashion_mnist_mini", image_size=size)


def test_damage_and_absence_are_reported(tmp_path):
    content = bytearray(embedded.FILE.read_bytes())
    content[1000] ^= 1
    damaged = tmp_path / "damaged.xz"
    damaged.write_bytes(content)
    with pytest.raises(InputError, match=r"damaged.*sha256.*Install tfrobust again"):
        embedded.read(damaged)
    with pytest.raises(InputError, match="cannot read the embedded images"):
        embedded.read(tmp_path / "missing.xz")


def test_training_images_are_those_of_the_training_set(data):
    some = data.training_images(7)
    assert some.shape == (7, 28, 28, 1) and some.dtype == np.float32
    np.testing.assert_array_equal(some, data.training_images(7))
    tested = {image.tobytes() for image in data.test_arrays(None)[0]}
    assert not tested & {image.tobytes() for image in some}


def test_held_out_images_are_the_last_to_train_on():
    whole = datasets.load("fashion_mnist_mini")
    data = datasets.load("fashion_mnist_mini", held_out=300)
    assert (data.info.train_images, data.info.test_images) == (9700, 300)
    images, labels = data.test_arrays(None)
    trained, classes = (part.numpy() for part in whole._train_tensors)
    np.testing.assert_array_equal(images, trained[-300:].astype(np.float32) / 255)
    np.testing.assert_array_equal(labels, classes[-300:])
    with pytest.raises(InputError, match="below fashion_mnist_mini's 10000"):
        datasets.load("fashion_mnist_mini", held_out=10_000)


def test_folder_holds_licence_and_provenance_and_is_small():
    folder = embedded.FILE.parent
    assert "Zalando" in (folder / "LICENSE").read_text(encoding="utf-8")
    assert embedded.SHA256 in (folder / "PROVENANCE.md").read_text(encoding="utf-8")
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 6_000_000


def test_tool_makes_the_same_bytes_again():
    spec = importlib.util.spec_from_file_location("make_embedded_images", TOOL)
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    if not tool.SOURCE.is_dir():
        pytest.skip(f"Debian's dataset-fashion-mnist is not installed: no {tool.SOURCE}")
    assert hashlib.sha256(tool.build()).hexdigest() == embedded.SHA256
