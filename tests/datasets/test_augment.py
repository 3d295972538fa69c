"""Augmentations against NumPy and by their properties."""

import io

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tfrobust.datasets import augment

shapes = st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.sampled_from((1, 3)))


def random_images(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@settings(max_examples=25, deadline=None)
@given(shapes, st.integers(-4, 4), st.integers(-4, 4))
def test_shift_is_the_crop_of_the_edge_padded_image(shape, down, right):
    images = random_images(shape)
    padded = np.pad(images, ((0, 0), (4, 4), (4, 4), (0, 0)), mode="edge")
    height, width = shape[1:3]
    expected = padded[:, 4 + down : 4 + down + height, 4 + right : 4 + right + width]
    offsets = tf.constant([[down, right]] * shape[0])
    np.testing.assert_array_equal(augment.shift(tf.constant(images), offsets), expected)


def test_turns_are_those_of_pillow_inside_the_picture():
    smooth = np.asarray(Image.fromarray(random_images((1, 8, 8, 1))[0, ..., 0]).resize((41, 31)))
    for degrees in (-7, 3.5, 7):
        # Pillow turns counter-clockwise, about the same middle.
        expected = np.asarray(Image.fromarray(smooth).rotate(-degrees, Image.Resampling.BILINEAR))
        angle = tf.constant([np.deg2rad(degrees)], tf.float32)
        found = augment.turned(tf.constant(smooth[None, ..., None]), angle)[0, ..., 0].numpy()
        inside = np.s_[6:-6, 6:-6]
        difference = found[inside].astype(int) - expected[inside]
        assert np.abs(difference).max() <= 2
    same = augment.turned(tf.constant(smooth[None, ..., None]), tf.zeros(1))
    np.testing.assert_array_equal(same[0, ..., 0], smooth)


def test_contrast_is_within_its_bounds_and_keeps_the_order_of_greys():
    images = np.arange(60, 190, dtype=np.uint8).reshape(1, 13, 10, 1).repeat(50, 0)
    changed = augment.contrast(tf.constant(images), tf.constant([1, 2])).numpy().astype(float)
    spread = np.ptp(changed, axis=(1, 2, 3)) / 129
    assert 0.79 < spread.min() < 0.85 and 1.18 < spread.max() < 1.26
    moved = changed.mean((1, 2, 3)) - images.mean()
    assert np.abs(moved).max() < 13.5 and moved.min() < -8 and moved.max() > 8
    assert (np.diff(changed.reshape(50, -1)) >= 0).all()


def test_shift_moves_each_image_by_its_own_offset():
    images = random_images((2, 6, 6, 1))
    both = augment.shift(tf.constant(images), tf.constant([[1, -2], [-3, 4]]))
    second = augment.shift(tf.constant(images[1:]), tf.constant([[-3, 4]]))
    np.testing.assert_array_equal(both[1:], second)


@settings(max_examples=25, deadline=None)
@given(shapes, st.sampled_from(("none", "flip", "crop", "crop_flip")), st.integers(0, 2**31 - 1))
def test_crops_invent_no_value_and_repeat_for_the_seed(shape, name, seed):
    images = random_images(shape)
    seed = tf.constant([seed, 5], tf.int64)
    once = augment.augment(tf.constant(images), name, seed).numpy()
    assert once.shape == images.shape
    assert once.dtype == np.uint8
    for before, after in zip(images, once, strict=True):
        for channel in range(shape[3]):
            assert set(after[..., channel].ravel()) <= set(before[..., channel].ravel())
    np.testing.assert_array_equal(once, augment.augment(tf.constant(images), name, seed))


def test_offsets_cover_all_of_minus_four_to_four():
    rows = tf.tile(tf.range(11, dtype=tf.int32)[None, :, None, None], (600, 1, 11, 1))
    centres = augment.replicate_crop(rows, tf.constant([1, 2])).numpy()[:, 5, 0, 0] - 5
    counts = np.bincount(centres + 4, minlength=9)
    assert len(counts) == 9
    # 600 draws, 67 expected each, standard deviation 7.7.
    assert counts.min() > 35
    assert counts.max() < 100


def test_flip_mirrors_about_half_and_leaves_the_rest():
    images = random_images((400, 2, 3, 1))
    flipped = augment.augment(tf.constant(images), "flip", tf.constant([3, 4])).numpy()
    mirrored = (flipped == images[:, :, ::-1]).all((1, 2, 3))
    same = (flipped == images).all((1, 2, 3))
    assert (mirrored | same).all()
    assert 150 < mirrored.sum() < 250


def test_windows_have_the_stated_area_and_aspect():
    for number in range(60):
        top, left, height, width = augment.random_window(300, 400, [9, number]).numpy()
        assert top >= 0
        assert left >= 0
        assert top + height <= 300
        assert left + width <= 400
        assert 0.075 <= height * width / 120_000 <= 1
        assert 0.73 <= width / height <= 1.36


def test_resized_crop_of_a_ramp_is_the_ramp_of_its_window():
    # A linear image stays linear under bilinear interpolation, so the crop has a closed form.
    ramp = np.arange(32, dtype=np.uint8) * 8
    images = np.broadcast_to(ramp[None, None, :, None], (4, 32, 32, 1))
    seed = tf.constant([11, 12], tf.int64)
    crops = augment.resized_crop(tf.constant(images), seed).numpy()
    for crop, own_seed in zip(crops, tf.random.split(seed, 4), strict=True):
        _, left, _, width = augment.random_window(32, 32, own_seed).numpy()
        expected = 8 * np.linspace(left, left + width - 1, 32)
        assert np.abs(crop[0, :, 0] - expected).max() <= 0.51


@pytest.mark.parametrize("channels", [1, 3])
def test_crop_of_jpeg_is_the_window_of_the_decoded_jpeg(channels):
    smooth = np.asarray(Image.fromarray(random_images((9, 12, 3))).resize((120, 90)))
    file = io.BytesIO()
    Image.fromarray(smooth).convert("L" if channels == 1 else "RGB").save(file, "JPEG")
    encoded = tf.constant(file.getvalue())
    seed = tf.constant([5, 6], tf.int64)
    whole = tf.image.decode_jpeg(encoded, channels)
    window = augment.random_window(90, 120, seed)
    expected = augment.resize(augment.cut(whole, window), (32, 32))
    actual = augment.crop_of_jpeg(encoded, channels, (32, 32), seed)
    # If the whole JPEG is decoded, its chroma is interpolated across the window's border.
    difference = np.abs(np.subtract(actual, expected, dtype=np.int32))
    assert np.median(difference) <= 1
    assert difference[2:-2, 2:-2].max() <= 12


def test_central_window_is_the_middle_square():
    np.testing.assert_array_equal(augment.central_window(100, 200, 0.875), [6, 56, 88, 88])
    np.testing.assert_array_equal(augment.central_window(1, 9, 0.5), [0, 4, 1, 1])
