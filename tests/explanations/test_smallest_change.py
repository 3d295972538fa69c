"""What would change the decision, where the distance to it is known."""

import numpy as np
import pytest
import tensorflow as tf

from tfrobust.attacks import LinearizedMargin
from tfrobust.errors import InputError
from tfrobust.explanations import SmallestChange, SparseChange, growing
from tfrobust.reports.animation import animate

rng = np.random.default_rng(2)
WEIGHTS = rng.normal(size=(20, 4)).astype(np.float32)
IMAGES = (0.5 + 0.02 * rng.normal(size=(6, 4, 5, 1))).astype(np.float32)
METHOD = SmallestChange(attack=LinearizedMargin(steps=24, batch_size=6))


def model(images: tf.Tensor) -> tf.Tensor:
    return tf.reshape(images - 0.5, (-1, 20)) @ WEIGHTS


LOGITS = model(IMAGES).numpy().astype(np.float64)
PREDICTED = LOGITS.argmax(axis=-1)


def distances() -> np.ndarray:
    """RMSE to the plane where each class is as likely as the predicted one: (6, 4)."""
    across = WEIGHTS[:, PREDICTED].T[:, None] - WEIGHTS.T[None]
    gaps = LOGITS[np.arange(6), PREDICTED][:, None] - LOGITS
    return gaps / np.maximum(np.linalg.norm(across, axis=-1), 1e-9) / np.sqrt(20)


def test_the_nearest_other_class() -> None:
    found = METHOD(model, IMAGES)
    others = distances() + np.where(np.arange(4) == PREDICTED[:, None], np.inf, 0)
    assert found.reached.all()
    # Just beyond the plane, by the attack's overshoot.
    np.testing.assert_allclose(found.rmse, others.min(axis=1), rtol=0.01)
    np.testing.assert_array_equal(found.target, others.argmin(axis=1))
    np.testing.assert_array_equal(np.argmax(model(found.explanation), -1), found.target)
    assert (found.confidence_after > found.confidence_before).all()


def test_a_chosen_class_is_reached_and_an_image_of_it_stays() -> None:
    target = int(PREDICTED[0])
    found = METHOD(model, IMAGES, target)
    same = target == PREDICTED
    assert found.reached.all() and same.any() and not same.all()
    np.testing.assert_array_equal(found.explanation[same], IMAGES[same])
    assert (found.rmse[same] == 0).all()
    np.testing.assert_array_equal(np.argmax(model(found.explanation), -1), target)
    # The class's own plane is no farther than where it wins over all others.
    assert (found.rmse >= distances()[:, target] * (1 - 1e-4)).all()


def test_a_class_that_cannot_be_reached_is_flagged() -> None:
    def two(images: tf.Tensor) -> tf.Tensor:
        some = model(images)[:, :2]
        return tf.concat([some, tf.fill([tf.shape(some)[0], 1], -1000.0)], axis=-1)

    found = METHOD(two, IMAGES, 2)
    assert not found.reached.any() and found.falls_short.all()
    np.testing.assert_array_equal(found.explanation, IMAGES)
    assert (found.target == 2).all()


def test_the_size_is_what_an_attack_finds() -> None:
    attack = LinearizedMargin(steps=24, batch_size=6)
    sizes = attack(model, IMAGES, PREDICTED).rmse
    np.testing.assert_allclose(METHOD(model, IMAGES).rmse, sizes, rtol=1e-5)
    assert SmallestChange().name == METHOD.name == "smallest change"
    assert (
        METHOD.attribution(model, tf.constant(IMAGES), tf.zeros(6, tf.int32)).shape == IMAGES.shape
    )


@pytest.mark.parametrize("count", [0, 1])
def test_few_images(count: int) -> None:
    assert METHOD(model, IMAGES[:count]).reached.shape == (count,)


def test_a_sparse_change_keeps_to_its_region_and_grows_along_a_way() -> None:
    region = np.zeros((4, 5), bool)
    region[:2] = True
    found = SparseChange(region=region)(model, IMAGES)
    assert found.reached.sum() >= 4 and found.method == "sparse change in a region"
    assert not found.difference[:, ~region].any()
    way = growing(model, found, steps=4)
    assert len(way) == 4 and [one.rho for one in way] == sorted(one.rho for one in way)
    np.testing.assert_allclose(way[-1].explanation, found.explanation, atol=1e-6)
    np.testing.assert_allclose(way[1].difference, found.difference / 2, atol=1e-6)
    # The model is linear: the confidence grows along the way.
    rows = found.reached
    confidences = np.stack([found.confidence_before, *(one.confidence_after for one in way)])
    assert (np.diff(confidences[:, rows], axis=0) > 0).all()
    alone = growing(model, SparseChange()(model, IMAGES[:1]), steps=2)
    assert animate(alone, [f"class {number}" for number in range(4)])[:3] == b"GIF"
    with pytest.raises(InputError, match="at least 1 step and 1 image"):
        growing(model, found, steps=0)
    with pytest.raises(InputError, match="an attack or a region, got both"):
        SparseChange(attack=LinearizedMargin(), region=region)
