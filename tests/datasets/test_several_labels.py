"""COCO and CheXpert by the features of their own builders, with made examples."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from tfrobust import datasets
from tfrobust.datasets import tfds_builder
from tfrobust.datasets.several_labels import OBSERVATIONS, SeveralLabels
from tfrobust.errors import InputError

STATES = ("uncertain", "positive", "negative", "unmentioned")


def image(number: int, height: int = 24) -> np.ndarray:
    return np.full((height, 30 - number, 3), 8 * number, np.uint8)


def coco(split: str, count: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Image n has objects of the kinds n and n + 1, the latter twice; every third has none."""
    for number in range(count):
        kinds = [] if split == "test" or number % 3 == 2 else [number, number + 1, number + 1]
        box = tfds.features.BBox(0.0, 0.0, 0.5, 0.5)
        objects = [
            {"id": n, "area": 9, "bbox": box, "label": f"kind{kind}", "is_crowd": False}
            for n, kind in enumerate(kinds)
        ]
        example = {"image": image(number), "image/filename": "x.jpg", "image/id": number}
        yield number, {**example, "objects": objects}


def chexpert(split: str, count: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Observation k of image n is in the state n + k."""
    for number in range(count):
        states = [STATES[(number + place) % 4] for place in range(14)]
        example = {"name": "patient1/x.jpg", "image": image(number), "image_view": "frontal"}
        yield number, {**example, "label": states}


def build(
    name: str, root: Path, monkeypatch: pytest.MonkeyPatch, examples: Any, counts: dict[str, int]
) -> None:
    builder = tfds.builder(name, data_dir=root)
    monkeypatch.setattr(
        type(builder),
        "_split_generators",
        lambda self, dl: {split: examples(split, count) for split, count in counts.items()},
    )
    if name.startswith("coco"):
        label = builder.info.features["objects"].feature["label"]
        label.names = [f"kind{number}" for number in range(80)]
    builder.download_and_prepare()


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tfds_builder, "is_offline", lambda: True)


def test_coco_says_which_objects_are_in_an_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build("coco/2017", tmp_path, monkeypatch, coco, {"train": 12, "validation": 6, "test": 3})
    data = datasets.load("coco/2017", data_dir=tmp_path, image_size=16)
    assert data.info.multi_label and data.info.num_classes == 80
    assert data.info.class_names[3] == "kind3"
    # The labels of the test images are secret.
    assert (data.info.train_images, data.info.test_images) == (12, 6)
    assert "(validation)" in data.info.provenance
    batches = [data.test_arrays(None), next(iter(data.train(12, seed=0, augmentation="none")))]
    for images, labels in batches:
        images, labels = np.asarray(images), np.asarray(labels)
        assert labels.shape == (len(images), 80) and labels.dtype == np.int32
        for number, own in zip(
            np.rint(images[:, 8, 8, 0] * 255 / 8).astype(int), labels, strict=True
        ):
            expected = [] if number % 3 == 2 else [number, number + 1]
            np.testing.assert_array_equal(np.flatnonzero(own), expected)


def test_chexpert_says_what_is_positive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build("chexpert", tmp_path, monkeypatch, chexpert, {"train": 8, "validation": 4})
    data = datasets.load("chexpert", data_dir=tmp_path, image_size=16)
    assert data.info.class_names == OBSERVATIONS and data.info.multi_label
    images, labels = data.test_arrays(None)
    numbers = np.rint(images[:, 8, 8, 0] * 255 / 8).astype(int)
    assert sorted(numbers) == [0, 1, 2, 3]
    expected = (numbers[:, None] + np.arange(14)) % 4 == STATES.index("positive")
    np.testing.assert_array_equal(labels, expected)


def test_a_configuration_without_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"coco/2017_panoptic/1.1.0 does not have the labels"):
        datasets.load("coco/2017_panoptic")


def test_vectors_by_hand() -> None:
    listed = SeveralLabels("x", ("a", "b", "c"))
    np.testing.assert_array_equal(listed.vector(tf.constant([2, 0, 2], tf.int64)), [1, 0, 1])
    np.testing.assert_array_equal(listed.vector(tf.constant([], tf.int64)), [0, 0, 0])
    states = SeveralLabels("x", ("a", "b", "c"), state=1)
    np.testing.assert_array_equal(states.vector(tf.constant([1, 0, 3], tf.int64)), [1, 0, 0])
