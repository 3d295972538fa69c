"""The order of training images and their weights: balanced, seeded, and the same when resumed."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfrobust import datasets
from tfrobust.datasets import folder as folder_module
from tfrobust.datasets.order import balanced, image_weights, shuffled
from tfrobust.errors import InputError

COUNTS = {"common": 30, "rare": 5, "rarest": 1}
LABELS = np.repeat([0, 2, 3], [30, 5, 1])  # class 1 has no image


def epochs(count: int, labels: np.ndarray = LABELS, seed: int = 3) -> np.ndarray:
    order = balanced(seed, labels)
    positions = tf.range(len(labels), dtype=tf.int64)
    return np.array([order(positions, tf.constant(epoch, tf.int64)) for epoch in range(count)])


def test_each_class_is_shown_equally_often() -> None:
    shown = epochs(10)
    for epoch in shown:
        np.testing.assert_array_equal(np.bincount(LABELS[epoch], minlength=4), [12, 0, 12, 12])
    # Within a class, images take turns.
    counts = np.bincount(shown.ravel(), minlength=36)
    assert set(counts[:30]) == {4} and set(counts[30:35]) == {24} and counts[35] == 120
    assert (shown[0] != shown[1]).any()
    assert (epochs(1) != epochs(1, seed=4)).any()


@pytest.mark.parametrize("order", [shuffled(1, 36), balanced(1, LABELS)])
def test_a_place_alone_gives_what_it_gives_among_others(order) -> None:
    epoch = tf.constant(5, tf.int64)
    together = order(tf.range(36, dtype=tf.int64), epoch)
    for place in (0, 17, 35):
        assert int(order(tf.constant(place, tf.int64), epoch)) == int(together[place])


def test_a_class_count_that_does_not_divide_the_epoch_loses_no_image() -> None:
    labels = np.repeat([0, 1, 2], [7, 2, 5])
    shown = epochs(30, labels)
    counts = np.array([np.bincount(labels[epoch], minlength=3) for epoch in shown])
    assert set(counts.ravel()) == {4, 5}
    for label in range(3):
        own = np.bincount(shown.ravel(), minlength=14)[labels == label]
        assert own.min() > 0.7 * own.mean()


def test_weights_by_hand() -> None:
    np.testing.assert_allclose(image_weights(3, np.array([1, 3, 0]), None), [0.75, 2.25, 0])
    found = image_weights(36, None, LABELS)
    assert found.dtype == np.float32 and found.mean() == pytest.approx(1)
    np.testing.assert_allclose(found[[0, 30, 35]], [36 / 90, 36 / 15, 36 / 3], rtol=1e-6)
    both = image_weights(4, np.array([1.0, 3.0, 2.0, 0.0]), np.array([0, 0, 1, 2]))
    np.testing.assert_allclose(both, [0.5, 1.5, 2, 0])


def fill(root: Path) -> None:
    shade = 0
    lines = ["file,label,weight,split"]
    for label, count in COUNTS.items():
        for number in range(count + 1):
            shade += 4
            Image.fromarray(np.full((12, 12), shade, np.uint8)).save(root / f"{shade}.png")
            part = "train" if number < count else "test"
            lines.append(f"{shade}.png,{label},{1 + number % 2},{part}")
    (root / "labels.csv").write_text("\n".join(lines))


@pytest.fixture(params=[10**9, 1], ids=["memory", "files"])
def data(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> datasets.DataSource:
    monkeypatch.setattr(folder_module, "MEMORY_BYTES", request.param)
    fill(tmp_path)
    return datasets.load(f"folder:{tmp_path}", labels=tmp_path / "labels.csv")


@pytest.mark.parametrize("balance", ["none", "weights", "sampling"])
def test_batches_have_their_weights_and_resume_to_the_same_bytes(
    data: datasets.DataSource, balance: str
) -> None:
    def batches(start: int, count: int, **options: object) -> list[tuple[np.ndarray, ...]]:
        stream = data.train(9, seed=2, start_step=start, balance=balance, **options)
        return list(stream.take(count).as_numpy_iterator())

    whole = batches(0, 8, augmentation="none")
    weights = image_weights(
        36,
        np.array([1 + number % 2 for count in COUNTS.values() for number in range(count)]),
        np.repeat([0, 1, 2], list(COUNTS.values())) if balance == "weights" else None,
    )
    by_shade = {}
    shade, place = 0, 0
    for count in COUNTS.values():
        for number in range(count + 1):
            shade += 4
            if number < count:
                by_shade[shade] = weights[place]
                place += 1
    for images, labels, found in whole:
        shades = np.rint(images[:, 0, 0, 0] * 255).astype(int)
        np.testing.assert_array_equal(found, [by_shade[one] for one in shades])
        if balance == "sampling":
            assert labels.shape == (9,)
    if balance == "sampling":
        every = np.concatenate([labels for _, labels, _ in whole[:4]])
        np.testing.assert_array_equal(np.bincount(every), [12, 12, 12])
    varied = batches(0, 8, augmentation="crop_flip")
    for start in (3, 4, 5):
        for one, other in zip(varied[start:], batches(start, 8 - start), strict=True):
            for ours, theirs in zip(one, other, strict=True):
                np.testing.assert_array_equal(ours, theirs)
    rows = batches(0, 2, augmentation="none", rows=(3, 6))
    for part, other in zip(rows, whole, strict=False):
        for ours, theirs in zip(part, other, strict=True):
            np.testing.assert_array_equal(ours, theirs[3:6])


def test_sets_whose_labels_are_not_known_cannot_be_balanced(data: datasets.DataSource) -> None:
    data._training_labels = lambda: None
    with pytest.raises(InputError, match=r"`balance` to be none .* stored order, got 'sampling'"):
        data.train(4, seed=0, balance="sampling")
