"""The one check of arrays: what is taken becomes of one type, and each fault has its words."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tfrobust.core.images import (
    arrays,
    check_drawable,
    checked_images,
    checked_labels,
    checked_targets,
)
from tfrobust.core.opaque import Opaque
from tfrobust.errors import InputError

IMAGES = np.random.default_rng(0).random((3, 4, 5, 1))
NETWORK = Opaque(lambda images: images, input_shape=(None, 4, None, 1), num_classes=2)


@pytest.mark.parametrize("given", [IMAGES, IMAGES.tolist(), tf.constant(IMAGES), IMAGES[:0]])
def test_images_become_float32(given: Any) -> None:
    found = checked_images(given, NETWORK if len(given) else None)
    assert found.dtype == np.float32 and found.shape[0] == len(given)
    np.testing.assert_array_equal(found, np.asarray(given, np.float32))


def test_bytes_become_pixels_from_0_to_1() -> None:
    given = np.arange(60, dtype=np.uint8).reshape(3, 4, 5, 1) * 4
    np.testing.assert_array_equal(checked_images(given), given / np.float32(255))


def data_set(*columns: Any) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(columns if len(columns) > 1 else columns[0])


def test_a_data_set_becomes_arrays() -> None:
    labels = np.array([2, 0, 1])
    for pairs in (data_set(IMAGES, labels), data_set(IMAGES, labels).batch(2)):
        images, found = arrays(pairs)
        np.testing.assert_array_equal(images, IMAGES)
        np.testing.assert_array_equal(found, labels)
    for alone in (data_set(IMAGES), data_set(IMAGES).batch(2)):
        images, found = arrays(alone, labels)
        np.testing.assert_array_equal(images, IMAGES)
        assert found is labels
    assert arrays(IMAGES, labels)[0] is IMAGES


@pytest.mark.parametrize(
    ("given", "labels", "message"),
    [
        (data_set(IMAGES).repeat(), None, "with an end, got one without"),
        (data_set(IMAGES, [0, 1, 2]), [0, 1, 2], "in the data set or beside it, got both"),
        (data_set(IMAGES, [0, 1, 2], [1.0, 1.0, 1.0]), None, "of images .* and labels"),
        (data_set({"image": IMAGES}), None, "of images .* and labels"),
        (data_set(np.zeros((3, 2))), None, "of images .* and labels"),
    ],
)
def test_refuses_data_sets(given: Any, labels: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        arrays(given, labels)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES[0], r"shape \(N, H, W, C\), got \(4, 5, 1\)"),
        ([[[[1.0]]], [[[1.0, 2.0]]]], "one array of images"),
        (IMAGES[:, :3], r"shape \(None, 4, None, 1\), got \(3, 3, 5, 1\)"),
        (IMAGES + np.nan, "got NaN"),
        (IMAGES * 255, r"divide 8-bit images by 255.*input_range=\(0, 255\)"),
        (IMAGES * 2 - 1, r"got some from -.*divide them by 2.*input_range=\(-1, 1\)"),
        ((IMAGES - 0.5) * 5, r"keras\.layers\.Normalization"),
        (IMAGES[:0], "at least one image"),
    ],
)
def test_refuses_images(images: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        checked_images(images, NETWORK, at_least_one=True)


@pytest.mark.parametrize("given", [[0, 1, 2], np.array([0, 1, 2], np.uint8), (2, 1, 0)])
def test_labels_become_int32(given: Any) -> None:
    found = checked_labels(given, 3, 3)
    assert found.dtype == np.int32 and found.tolist() == list(given)
    assert checked_labels([], 0, 3).shape == (0,)
    # As keras.datasets.cifar10 has them.
    assert checked_labels(np.array(given)[:, None], 3).tolist() == list(given)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1], "3 labels, one an image"),
        ([[[0]], [[1]], [[2]]], r"got \(3, 1, 1\)$"),
        (np.eye(3), r"labels\.argmax"),
        ([0.0, 1.0, 2.0], "whole numbers, got float64"),
        ([0, np.nan, 1], "whole numbers"),
        ([True, False, True], "whole numbers, got bool"),
        ([0, -1, 2], "labels from 0, got -1"),
        ([1, 2, 3], r"labels below 3, .* classes, got 3\. Take 1 from labels that count from 1"),
        ([0, 2, 3], r"labels below 3, .* classes, got 3\. Is it for other data"),
    ],
)
def test_refuses_labels(labels: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        checked_labels(labels, 3, 3)


@pytest.mark.parametrize(
    ("given", "expected"), [(None, [-1] * 3), (2, [2] * 3), ([0, -1, 1], [0, -1, 1])]
)
def test_targets_become_one_an_image(given: Any, expected: list[int]) -> None:
    found = checked_targets(given, 3, 3)
    assert found.dtype == np.int32 and found.tolist() == expected


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (3, "targets from 0 to 2, or -1 for the predicted class, got 3"),
        ([0, 0, -2], "got -2"),
        (2**32, "got 4294967296"),
        ([0, 1], "each of 3 images"),
        (0.5, "whole number as target"),
    ],
)
def test_refuses_targets(targets: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        checked_targets(targets, 3, 3)


@pytest.mark.parametrize("shape", [(4, 5, 1), (1, 4, 5, 2), (0, 4, 5, 3)])
def test_refuses_what_no_picture_can_show(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"grey \(H, W, 1\) or colour"):
        check_drawable(np.zeros(shape))
