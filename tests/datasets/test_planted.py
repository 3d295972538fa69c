"""Planted evidence is where its masks say, of the kind that its labels say, and nothing else is."""

import numpy as np
import pytest

from tfrobust.datasets import plant
from tfrobust.datasets.planted import KINDS
from tfrobust.errors import InputError

PICTURES = np.random.default_rng(2).uniform(0.2, 0.8, (12, 28, 30, 3)).astype(np.float32)


def test_pictures_change_in_their_masks_only_and_equally_much() -> None:
    planted = plant(PICTURES, num_classes=4, contrast=0.2)
    np.testing.assert_allclose(planted.healthy, 0.8 * PICTURES, rtol=1e-6)
    change = planted.images - planted.healthy
    assert not change[~planted.lesions].any() and not planted.marks.any()
    assert (planted.letters == -1).all() and planted.class_names == tuple(KINDS)
    np.testing.assert_array_equal(np.bincount(planted.labels), [3, 3, 3, 3])
    # Brightness tells no kind from another: every lesion changes its picture by the same sum.
    sums = change.sum(axis=(1, 2, 3))
    np.testing.assert_allclose(sums, sums[0], rtol=1e-4)
    np.testing.assert_allclose([change.min(), change.max()], [0, 0.2], atol=1e-6)


def test_lesions_of_one_kind_are_alike_and_those_of_two_are_not() -> None:
    black = np.zeros((9, 28, 28, 1), np.float32)
    planted = plant(black)
    cut = []
    for image, lesion in zip(planted.images, planted.lesions, strict=True):
        rows, columns = np.nonzero(lesion)  # 69 pixels lie nearer than 4.5 to the centre
        assert np.ptp(rows) == np.ptp(columns) == 8 and lesion.sum() == 69
        cut.append(image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1, 0])
    for one, label in zip(cut, planted.labels, strict=True):
        alike = [np.array_equal(one, other) for other in cut]
        np.testing.assert_array_equal(alike, planted.labels == label)


@pytest.mark.parametrize("agreement", [1.0, 0.0, 0.5])
def test_the_label_agrees_as_often_as_asked_and_moves_no_lesion(agreement: float) -> None:
    many = np.zeros((600, 20, 20, 1), np.float32)
    planted, without = plant(many, agreement=agreement, seed=4), plant(many, seed=4)
    np.testing.assert_array_equal(planted.lesions, without.lesions)
    np.testing.assert_array_equal(planted.labels, without.labels)
    np.testing.assert_array_equal(planted.healthy[planted.marks], planted.images[planted.marks])
    same = np.where(planted.marks[..., None], 0, planted.images - without.images)
    assert not same.any() and not (planted.marks & planted.lesions).any()
    # Five standard deviations of a share of 600 draws.
    share = (planted.letters == planted.labels).mean()
    assert abs(share - agreement) <= 5 * np.sqrt(agreement * (1 - agreement) / 600)
    assert set(planted.letters) == {0, 1, 2}
    # A letter looks the same on every picture, and differs from the others.
    corner = planted.images[:, 1:8, 1:6, 0]
    first = {letter: corner[planted.letters == letter][0] for letter in range(3)}
    for image, letter in zip(corner, planted.letters, strict=True):
        np.testing.assert_array_equal(image, first[letter])
    assert len({one.tobytes() for one in first.values()}) == 3


def test_the_same_seed_gives_the_same_and_another_does_not() -> None:
    one, again, other = (plant(PICTURES, agreement=0.5, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.images, again.images)
    assert (one.lesions != other.lesions).any()
    assert plant(PICTURES[:0], agreement=1.0).images.shape == (0, 28, 30, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 5}, "num_classes from 2 to 4, got 5"),
        ({"contrast": 1.0}, "a contrast above 0 and below 1 .* got 1.0 and None"),
        ({"agreement": 1.5}, "an agreement from 0 to 1 .* got 0.5 and 1.5"),
        ({"radius": 1}, "a radius of at least 2 pixels, got 1"),
        ({"radius": 14}, "room for lesions of radius 14 beside a label of 7 × 5 pixels"),
    ],
)
def test_refuses(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        plant(PICTURES, **options)
