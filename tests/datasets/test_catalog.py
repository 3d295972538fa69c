"""Sets of TensorFlow Datasets: the real ones in ../shared, and simulated ones."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from tfrobust import datasets
from tfrobust.datasets import catalog, names, tfds_builder
from tfrobust.datasets.records import RecordSource
from tfrobust.errors import InputError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "tfds"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"no {SHARED}")


@pytest.fixture(autouse=True)
def no_default_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(tfds_builder, "is_offline", lambda: True)


class TinySet(tfds.core.GeneratorBasedBuilder):
    """A set whose splits each test chooses."""

    VERSION = tfds.core.Version("1.0.0")
    counts: ClassVar[dict[str, int]] = {"train": 20}
    secret: ClassVar[tuple[str, ...]] = ()

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(9, 7, 1)),
            "label": tfds.features.ClassLabel(names=["no", "yes"]),
        }
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features), supervised_keys=("image", "label")
        )

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(split) for split in self.counts}

    def _generate_examples(self, split):
        for number in range(self.counts[split]):
            label = -1 if split in self.secret else number % 2
            yield number, {"image": np.full((9, 7, 1), 3 * number, np.uint8), "label": label}


def build(root: Path, monkeypatch, counts: dict[str, int], secret: tuple[str, ...] = ()) -> None:
    monkeypatch.setattr(TinySet, "counts", counts)
    monkeypatch.setattr(TinySet, "secret", secret)
    TinySet(data_dir=root).download_and_prepare()


@pytest.mark.parametrize(("counts", "test"), [({"train": 20, "test": 4}, 5), ({"train": 20}, 5)])
def test_held_out_images_are_not_trained_on(tmp_path, monkeypatch, counts, test):
    build(tmp_path, monkeypatch, counts)
    whole = datasets.load("tiny_set", data_dir=tmp_path).info
    data = datasets.load("tiny_set", data_dir=tmp_path, held_out=test)
    assert (data.info.train_images, data.info.test_images) == (whole.train_images - test, test)
    stream = data.train(data.info.train_images, seed=0, augmentation="none")
    trained = {float(image[0, 0, 0]) for image in next(iter(stream))[0]}
    held = {float(image[0, 0, 0]) for image in data.test_arrays(None)[0]}
    # A set of one split has lost its last fifth already. The rest is trained on or held out.
    assert len(trained) + len(held) == whole.train_images and not trained & held
    assert f"train[{whole.train_images - test}:{whole.train_images}]" in data.info.provenance
    with pytest.raises(InputError, match=f"below tiny_set's {whole.train_images}"):
        datasets.load("tiny_set", data_dir=tmp_path, held_out=20)


def test_a_set_without_a_test_split_gives_up_a_fifth(tmp_path, monkeypatch):
    build(tmp_path, monkeypatch, {"train": 20})
    data = datasets.load("tiny_set", data_dir=tmp_path)
    assert (data.info.train_images, data.info.test_images) == (16, 4)
    assert data.info.image_shape == (9, 7, 1)
    assert data.info.class_names == ("no", "yes")
    train, train_labels = next(iter(data.train(16, seed=0, augmentation="none")))
    test, test_labels = data.test_arrays(None)
    images, labels = np.concatenate([train, test]), np.concatenate([train_labels, test_labels])
    numbers = np.round(images[:, 0, 0, 0] * 255 / 3)
    assert sorted(numbers) == list(range(20))
    np.testing.assert_array_equal(labels, numbers % 2)


def test_secret_test_labels_send_us_to_validation(tmp_path, monkeypatch):
    build(tmp_path, monkeypatch, {"train": 8, "test": 6, "validation": 4}, secret=("test",))
    data = datasets.load("tiny_set", data_dir=tmp_path)
    assert data.info.test_images == 4
    assert "validation" in data.info.provenance


def test_a_set_for_testing_only_refuses_to_train(tmp_path, monkeypatch):
    build(tmp_path, monkeypatch, {"test": 6})
    data = datasets.load("tiny_set", data_dir=tmp_path)
    assert data.test_arrays(None)[0].shape == (6, 9, 7, 1)
    with pytest.raises(InputError, match="no training images"):
        data.train(2, seed=0)


@pytest.mark.parametrize("memory", [10**9, 1])
def test_a_wished_size_reaches_the_images(tmp_path, monkeypatch, memory):
    monkeypatch.setattr(catalog, "MEMORY_BYTES", memory)
    build(tmp_path, monkeypatch, {"train": 6, "test": 6})
    data = datasets.load("tiny_set", data_dir=tmp_path, image_size=12)
    assert data.test_arrays(2)[0].shape == (2, 12, 12, 1)
    # Images in memory and streamed ones share the augmentations.
    for augmentation in names.AUGMENTATIONS if memory > 1 else ("none", "imagenet"):
        batch = next(iter(data.train(3, seed=0, augmentation=augmentation)))[0]
        assert batch.shape == (3, 12, 12, 1)


def test_no_image_classification_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(names, "CATALOG", (*names.CATALOG, "titanic"))
    with pytest.raises(InputError, match="titanic is no image-classification set"):
        datasets.load("titanic")


def test_without_a_network_the_error_says_how_to_obtain_the_set(tmp_path):
    with pytest.raises(InputError, match=r"there is no network.*tfds build mnist"):
        datasets.load("mnist")
    with pytest.raises(InputError, match=r"ILSVRC2012_img_val.tar.*downloads/manual"):
        datasets.load("imagenet2012")
    with pytest.raises(InputError, match=r"by hand to .*downloads/manual"):
        datasets.load("diabetic_retinopathy_detection")


def test_a_failing_download_is_an_input_error(monkeypatch):
    def fail(self):
        raise ConnectionError("cable cut")

    monkeypatch.setattr(tfds_builder, "is_offline", lambda: False)
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
    with pytest.raises(InputError, match=r"mnist could not be downloaded.*cable cut"):
        datasets.load("mnist")


def test_unknown_configuration_is_an_input_error():
    with pytest.raises(InputError, match="cannot open 'imagenet_resized/7x7'"):
        datasets.load("imagenet_resized/7x7")


def test_the_static_list_is_what_tfds_offers():
    assert set(names.CATALOG) <= set(tfds.list_builders(with_community_datasets=False))


@needs_shared
def test_cifar10():
    data = datasets.load("cifar10", data_dir=SHARED)
    assert data.info.image_shape == (32, 32, 3)
    assert (data.info.train_images, data.info.test_images) == (50_000, 10_000)
    assert data.info.class_names[3] == "cat"
    assert data.info.mean == (0.4914, 0.4822, 0.4465)
    assert "CIFAR-10 (JPEG copy)" in data.info.provenance
    images, labels = data.test_arrays(2000)
    assert set(labels) == set(range(10))
    np.testing.assert_allclose(images.mean((0, 1, 2)), data.info.mean, atol=0.02)
    np.testing.assert_allclose(images.std((0, 1, 2)), data.info.std, atol=0.02)
    reader = tfds.load("cifar10", split="test", data_dir=SHARED, as_supervised=True)
    for image, (expected, label) in zip(images, reader.take(3), strict=False):
        np.testing.assert_array_equal(np.round(image * 255), expected)
        assert label in labels


@needs_shared
def test_imagenet_streams_photographs():
    data = datasets.load("imagenet2012", data_dir=SHARED)
    assert isinstance(data, RecordSource)
    assert data.info.image_shape == (224, 224, 3)
    assert data.info.num_classes == 1000
    whole = list(data.train(8, seed=2, augmentation="imagenet").take(4).as_numpy_iterator())
    resumed = list(
        data.train(8, seed=2, augmentation="imagenet", start_step=2).take(2).as_numpy_iterator()
    )
    for (images, labels), (again, labels_again) in zip(whole[2:], resumed, strict=True):
        np.testing.assert_array_equal(images, again)
        np.testing.assert_array_equal(labels, labels_again)


@needs_shared
def test_imagenet_test_images_are_the_middle_of_the_photographs():
    data = datasets.load("imagenet2012", data_dir=SHARED)
    images, labels = data.test_arrays(3)
    reader = tfds.load("imagenet2012", split="validation", data_dir=SHARED, as_supervised=True)
    for image, own, (photograph, label) in zip(images, labels, reader.take(3), strict=True):
        assert own == label
        side = round(0.875 * min(photograph.shape[:2]))
        top, left = ((length - side) // 2 for length in photograph.shape[:2])
        middle = tf.cast(photograph[top : top + side, left : left + side], tf.float32)
        expected = tf.image.resize(middle, (224, 224), antialias=True) / 255
        assert np.median(np.abs(image - expected)) < 0.01
