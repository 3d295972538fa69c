"""Dissection and ablation of networks whose units look at what is known."""

import keras
import numpy as np
import pytest

from tfrobust.errors import InputError
from tfrobust.explanations import ablate, dissect, switched_off

RNG = np.random.default_rng(0)
COLOURS = ("red", "green", "blue")


def squares(count: int = 12) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """A square of one colour on black, somewhere in each picture; the colour is the class."""
    images, labels = np.zeros((count, 16, 16, 3), np.float32), np.arange(count) % 3
    for image, label in zip(images, labels, strict=True):
        row, column = RNG.integers(0, 12, 2)
        image[row : row + 4, column : column + 4, label] = RNG.uniform(0.6, 1)
    return images, labels, {name: images[..., n] > 0 for n, name in enumerate(COLOURS)}


def network(mixing: np.ndarray) -> keras.Model:
    """Units that see the colours as `mixing` says, (3, units), whose largest value decides."""
    images = keras.Input((16, 16, 3))
    features = keras.layers.Conv2D(mixing.shape[1], 1, use_bias=False, name="units")(images)
    pooled = keras.layers.GlobalMaxPooling2D()(features)
    logits = keras.layers.Dense(3, use_bias=False)(pooled)
    made = keras.Model(images, logits)
    made.layers[1].set_weights([mixing[None, None].astype(np.float32)])
    made.layers[-1].set_weights([np.linalg.pinv(mixing)])
    return made


IMAGES, LABELS, CONCEPTS = squares()
# Unit 3 sees nothing that is there.
MIXING = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0]])


def test_units_fit_the_colours_that_they_see_and_no_others() -> None:
    # Of all places a twelfth of a square's share has each colour.
    share = 0.9 * CONCEPTS["red"].mean()
    found = dissect(network(MIXING), IMAGES, CONCEPTS, layers=["units"], active_share=share)
    assert found.concepts == COLOURS
    iou = found.iou["units"]
    # By hand: unit 0 is the red channel, active in .9 of the red places by the choice of the share.
    assert iou[0, 0] == pytest.approx(active_part(IMAGES[..., 0], share, CONCEPTS["red"]))
    assert iou[0, 0] > 0.7 and iou[1, 2] > 0.7 and iou[2, 1] > 0.7
    assert not iou[0, 1:].any() and not iou[3].any()
    best = found.detectors()
    assert [(best[name][0].unit, len(best[name])) for name in COLOURS] == [(0, 1), (2, 1), (1, 1)]


def active_part(channel: np.ndarray, share: float, concept: np.ndarray) -> float:
    active = channel > np.quantile(channel, 1 - share).astype(np.float32)
    return float((active & concept).sum() / (active | concept).sum())


def test_what_lies_at_the_same_place_in_every_picture_is_known_by_chance_too() -> None:
    corner = np.zeros((6, 16, 16), bool)
    corner[:, :4, :4] = True
    images = np.zeros((6, 16, 16, 3), np.float32)
    images[..., 0] = corner
    found = dissect(network(MIXING), images, {"corner": corner}, active_share=0.0624)
    [unit] = [one for one in found.units() if one.unit == 0]
    assert unit.iou == unit.by_chance and not unit.is_detector


def test_smaller_maps_are_enlarged_and_each_size_s_last_layer_is_taken() -> None:
    images = keras.Input((16, 16, 3))
    features = images
    for size, name in ((1, "first"), (1, "second"), (2, "third")):
        features = keras.layers.Conv2D(2, size, strides=size, name=name)(features)
    logits = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(features))
    found = dissect(keras.Model(images, logits), IMAGES, CONCEPTS)
    assert {name: one.shape for name, one in found.iou.items()} == {
        "second": (2, 3),
        "third": (2, 3),
    }
    assert all((one >= 0).all() and (one <= 1).all() for one in found.iou.values())


def test_without_its_unit_a_colour_is_not_found_and_others_are() -> None:
    made = network(MIXING)
    found = ablate(made, IMAGES, LABELS, layer="units", units=[2], draws=8)
    np.testing.assert_array_equal(found.before, 1)
    # Without the unit of green all logits of its images are 0, and the first class wins.
    np.testing.assert_array_equal(found.after, [1, 0, 1])
    # Of the others, 0 and 1 take their colours away, unless the first class wins anyway; 3 nothing.
    assert found.at_random.shape == (8, 3)
    np.testing.assert_array_equal(found.at_random[:, 1], 1)
    assert set(found.at_random[:, 2]) == {0.0, 1.0}


def test_no_unit_off_is_the_network_itself_also_inside_a_nested_one() -> None:
    inner = network(MIXING)
    images = keras.Input((16, 16, 3))
    outer = keras.Model(images, inner(images))
    for made in (inner, outer):
        same = switched_off(made, layer="units", units=[])
        np.testing.assert_array_equal(same(IMAGES), made(IMAGES))
        changed = switched_off(made, layer="units", units=[0])
        np.testing.assert_array_equal(changed(IMAGES)[LABELS != 0], made(IMAGES)[LABELS != 0])
        assert not np.asarray(changed(IMAGES)[LABELS == 0]).any()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"concepts": {}}, "at least one concept"),
        ({"concepts": {"sky": np.zeros((12, 16, 16), bool)}}, "expected sky to be somewhere"),
        ({"concepts": {"sky": np.ones((12, 8, 8), bool)}}, r"masks of sky as bool \(12, 16, 16\)"),
        ({"concepts": {"sky": np.ones((12, 16, 16))}}, "got float64"),
        ({"active_share": 1.0}, "active_share above 0 and below 1"),
        ({"layers": ["nowhere"]}, "got 'nowhere'"),
    ],
)
def test_what_cannot_be_dissected_is_refused(change: dict[str, object], words: str) -> None:
    asked = {"concepts": CONCEPTS, **change}
    with pytest.raises(InputError, match=words):
        dissect(network(MIXING), IMAGES, **asked)  # type: ignore[arg-type]


def test_units_that_are_not_there_are_refused() -> None:
    with pytest.raises(InputError, match=r"units of units from 0 to 3, got \[4\]"):
        switched_off(network(MIXING), layer="units", units=[0, 4])
    for units, draws in (([], 1), ([0, 1, 2], 1), ([0], 0)):
        with pytest.raises(
            InputError, match="from 1 to 2 units of units, which has 4, and at least"
        ):
            ablate(network(MIXING), IMAGES, LABELS, layer="units", units=units, draws=draws)


def test_units_of_a_sum_are_switched_off_as_those_of_a_layer() -> None:
    images = keras.Input((16, 16, 3))
    both = images + images  # an operation, and no layer
    made = keras.Model(images, keras.layers.GlobalMaxPooling2D()(both))
    name = next(one.name for one in made.operations if type(one).__name__ == "Add")
    found = np.asarray(switched_off(made, layer=name, units=[1])(IMAGES))
    np.testing.assert_array_equal(found, np.asarray(made(IMAGES)) * [1, 0, 1])
