"""Two reports compared, and a report cut to its first images."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from tfrobust.attacks import PGD, LinearizedMargin
from tfrobust.errors import InputError
from tfrobust.robustness import AraReport, Comparison, compare, first_images
from tfrobust.robustness.evaluate import evaluate

Make = Callable[..., AraReport]


def test_equal_images_are_paired(make_report: Make) -> None:
    robust, twin = make_report(unfound=0), make_report(scale=0.5, unfound=0)
    ratios = compare(robust, twin)
    assert ratios.attack.paired and ratios.notes == ()
    assert (ratios.btr.low, ratios.btr.high) == pytest.approx((2, 2))


def test_what_makes_a_ratio_unfair_is_noted(make_report: Make) -> None:
    twin = make_report(scale=0.5, unfound=0)
    others = dataclasses.replace(twin, image_hash="cd" * 32, attacks=twin.attacks[:1])
    ratios = compare(make_report(unfound=0), others)
    assert not ratios.attack.paired and ratios.attack.low < 1.9
    assert "different images" in ratios.notes[0] and "unequal attacks" in ratios.notes[1]


def test_other_bounds_or_classes_are_refused(make_report: Make) -> None:
    for other in (make_report(bounds=(0.0, 1.0)), make_report(num_classes=9, predictions=None)):
        with pytest.raises(InputError, match="in the same way"):
            compare(make_report(), other)


@pytest.mark.parametrize("unfound", [0, 20])
def test_json_there_and_back(make_report: Make, tmp_path: Path, unfound: int) -> None:
    ratios = compare(make_report(unfound=unfound), make_report(image_hash="cd" * 32))
    ratios.to_json(tmp_path / "ratios.json")
    assert Comparison.from_json(tmp_path / "ratios.json") == ratios


@pytest.mark.slow
def test_the_first_images_of_a_report_are_their_own_report() -> None:
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [keras.Input((3, 3, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    rng = np.random.default_rng(0)
    images = rng.random((8, 3, 3, 1)).astype(np.float32)
    # Right for most images, so that there is something to attack.
    labels = np.asarray(network(images)).argmax(-1)
    labels[2] = (labels[2] + 1) % 3
    attacks = [LinearizedMargin(steps=3, batch_size=4), PGD(steps=2, rounds=3, batch_size=4)]
    whole = evaluate(network, images, labels, attacks=attacks, progress=False)
    part = evaluate(network, images[:4], labels[:4], attacks=attacks[:1], progress=False)
    cut = first_images(whole, 4, part.attack_names, part.image_hash)
    assert cut.clean_accuracy == part.clean_accuracy == 0.75
    assert (cut.attack_ara, cut.btr_ara) == (part.attack_ara, part.btr_ara)
    np.testing.assert_array_equal(cut.btr_rmse, part.btr_rmse)
    assert cut.attack_names == part.attack_names
    found, wanted = cut.predictions, part.predictions
    assert found is not None and wanted is not None
    np.testing.assert_array_equal(found.probabilities, wanted.probabilities)
    np.testing.assert_array_equal(found.predicted, wanted.predicted)
    known = found.attacked >= 0
    assert known[2] and np.all(found.attacked[known] == wanted.attacked[known])
    assert [record.won for record in cut.attacks] == [record.won for record in part.attacks]
