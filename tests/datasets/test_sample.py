"""Samples that stand for a set: by label, whatever the shares are."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrobust.datasets.sample import by_label


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(0, 9))
@settings(deadline=None)
def test_every_beginning_has_the_shares_of_the_whole(sizes: list[int], seed: int) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    order = by_label(labels, seed)
    assert sorted(order) == list(range(len(labels)))
    np.testing.assert_array_equal(order, by_label(labels, seed))
    total = len(labels)
    for count in range(1, total + 1):
        found = np.bincount(labels[order[:count]], minlength=len(sizes))
        # Each class has its size times a number, rounded. So all of them together miss the count
        # by at most half a place a class, of which a class has its share.
        shares = np.array(sizes) / total
        assert np.all(np.abs(found - count * shares) <= 0.5 + shares * len(sizes) / 2 + 1e-9)


def test_a_label_is_drawn_without_favour() -> None:
    labels = np.array([0] * 6 + [1] * 2)
    first = [by_label(labels, seed)[:4] for seed in range(400)]
    drawn = np.bincount(np.concatenate(first), minlength=8) / 400
    # Half of each label; the deviation of a share of 400 draws is 0.025.
    np.testing.assert_allclose(drawn, 0.5, atol=0.1)


def test_an_image_of_several_labels_counts_as_one_of_its_rarest() -> None:
    labels = np.zeros((40, 3), np.int32)
    labels[:, 0] = 1
    labels[:8, 1] = 1
    labels[:4, 2] = 1
    labels[36:] = 0
    order = by_label(labels, 0)
    for beginning in (10, 20, 30):
        held = labels[order[:beginning]]
        share = beginning / 40
        assert abs(held[:, 2].sum() - 4 * share) <= 1
        assert abs(held[:, 1].sum() - 8 * share) <= 1
        assert abs((held.sum(axis=1) == 0).sum() - 4 * share) <= 1
