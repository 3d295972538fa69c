"""The smallest L1 change of a flat boundary in the box is known; a region bounds it."""

import numpy as np
import pytest
import tensorflow as tf

from tfrobust.attacks import LinearizedMargin, SparseL1, TargetClass
from tfrobust.errors import InputError

rng = np.random.default_rng(4)
PLANE = rng.normal(size=(20, 2)).astype(np.float32)
IMAGES = rng.random((6, 4, 5, 1), np.float32)
REGION = np.zeros((4, 5), bool)
REGION[1:3, 1:4] = True
CURVE = rng.normal(size=(20, 12)).astype(np.float32)
OUT = rng.normal(size=(12, 3)).astype(np.float32)


def plane(images: tf.Tensor) -> tf.Tensor:
    return tf.reshape(images - 0.5, (-1, 20)) @ PLANE


def curved(images: tf.Tensor) -> tf.Tensor:
    return tf.tanh(tf.reshape(images - 0.5, (-1, 20)) @ CURVE / 2) @ OUT


def smallest(image: np.ndarray, label: int, allowed: np.ndarray) -> float:
    """The L1 norm of the smallest change: the steepest pixels go to their bound, one by one."""
    slope = (PLANE[:, label] - PLANE[:, 1 - label]).astype(np.float64)
    gap, size = float((image.ravel() - 0.5) @ slope), 0.0
    for pixel in np.argsort(-np.abs(slope) * allowed.ravel()):
        room = image.ravel()[pixel] if slope[pixel] > 0 else 1 - image.ravel()[pixel]
        part = min(room, gap / abs(slope[pixel])) if allowed.ravel()[pixel] else 0.0
        gap, size = gap - part * abs(slope[pixel]), size + part
    return size if gap < 1e-9 else np.inf


@pytest.mark.parametrize("region", [None, REGION], ids=["everywhere", "region"])
def test_a_flat_boundary_is_reached_by_the_smallest_change(region: np.ndarray | None) -> None:
    labels = np.argmax(plane(IMAGES), axis=-1)
    found = SparseL1(steps=24, batch_size=6, region=region)(plane, IMAGES, labels)
    allowed = np.ones((4, 5), bool) if region is None else region
    sizes = [smallest(one, label, allowed) for one, label in zip(IMAGES, labels, strict=True)]
    assert np.isfinite(sizes).sum() >= 3, "where no region suffices there is nothing to compare"
    np.testing.assert_array_equal(found.found, np.isfinite(sizes))
    change = np.abs(found.adversarials - IMAGES).sum(axis=(1, 2, 3))
    # 5 % beyond the boundary, then a search on the line, which scales the first pixels as well.
    np.testing.assert_allclose(change[found.found], np.array(sizes)[found.found], rtol=0.02)
    assert not (found.adversarials - IMAGES)[:, ~allowed].any()
    assert found.adversarials.min() >= 0 and found.adversarials.max() <= 1


@pytest.mark.slow
def test_on_a_curved_network_few_values_change_and_fewer_in_sum_than_by_l2() -> None:
    labels = np.argmax(curved(IMAGES), axis=-1)
    target = TargetClass((labels + 1) % 3)
    sparse = SparseL1(steps=40, batch_size=6)(curved, IMAGES, labels, target)
    dense = LinearizedMargin(steps=40, batch_size=6, bounds=(0, 1))(curved, IMAGES, labels, target)
    both = sparse.found & dense.found
    assert both.sum() >= 4
    np.testing.assert_array_equal(
        np.argmax(curved(sparse.adversarials), axis=-1)[sparse.found],
        ((labels + 1) % 3)[sparse.found],
    )
    one, other = ((found.adversarials - IMAGES)[both] for found in (sparse, dense))
    assert (np.abs(one).sum(axis=(1, 2, 3)) < np.abs(other).sum(axis=(1, 2, 3))).all()
    assert np.count_nonzero(np.abs(one) > 1e-6) < 0.5 * np.count_nonzero(np.abs(other) > 1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bounds": None}, "expected bounds such as"),
        ({"region": np.zeros((4, 5), bool)}, "a region as bool"),
        ({"region": np.ones((4, 5))}, "a region as bool"),
    ],
)
def test_refuses(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        SparseL1(**options)


def test_a_region_of_another_size_is_refused() -> None:
    attack = SparseL1(region=np.ones((5, 4), bool))
    with pytest.raises(InputError, match="the images' 4 × 5 pixels"):
        attack(plane, IMAGES, np.argmax(plane(IMAGES), axis=-1))
