"""The animation's frames."""

import dataclasses
import io

import keras
import numpy as np
import pytest
from PIL import Image, ImageSequence

from tfrobust.errors import InputError
from tfrobust.explanations import Explanation, at_sizes
from tfrobust.reports.animation import animate

IMAGE = np.random.default_rng(0).random((10, 6, 1), np.float32)
NAMES = ["cat", "dog\n", "a bird of paradise that has a long name"]


@pytest.fixture(scope="module")
def steps() -> tuple[Explanation, ...]:
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [keras.Input((10, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    return at_sizes(network, IMAGE[None], rhos=(0.04, 0.08, 0.12))


def frames_of(file: bytes) -> list[np.ndarray]:
    with Image.open(io.BytesIO(file)) as picture:
        return [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(picture)]


# PNG is exact but for its 8 bits. GIF chooses 256 colours, enough for greys and a little more.
@pytest.mark.parametrize(("kind", "off"), [("png", 0.51 / 255), ("gif", 0.03)])
def test_frames_grow_from_the_image_to_the_explanation(steps, kind: str, off: float) -> None:
    frames = frames_of(animate(steps, NAMES, kind=kind))
    assert len(frames) == 4
    shown = [IMAGE, *(found.explanation[0] for found in steps)]
    for frame, expected in zip(frames, shown, strict=True):
        large = np.clip(expected, 0, 1).repeat(15, 0).repeat(15, 1)
        np.testing.assert_allclose(
            frame[8:158, 8:98] / 255, np.broadcast_to(large, (150, 90, 3)), atol=off
        )
    # At first nothing is changed: all grey.
    np.testing.assert_allclose(frames[0][8:158, 106:196] / 255, 0.5, atol=off)


def test_the_same_bytes_twice(steps) -> None:
    once, again = (animate(steps, NAMES) for _ in range(2))
    assert once == again and once.startswith(b"GIF89a")


def test_without_names_classes_have_numbers(steps) -> None:
    numbers = [f"class {number}" for number in range(3)]
    assert animate(steps) == animate(steps, numbers) != animate(steps, NAMES)


def test_refuses(steps) -> None:
    with pytest.raises(InputError, match="gif or png, got 'mp4'"):
        animate(steps, NAMES, kind="mp4")
    with pytest.raises(InputError, match="at least one step"):
        animate([], NAMES)
    with pytest.raises(InputError, match="got 1 names and class 2"):
        animate([dataclasses.replace(steps[0], target=np.array([2]))], NAMES[:1])


def test_refuses_other_images(steps) -> None:
    (first, *_) = steps
    for image in (np.zeros((2, 4, 4, 1)), np.zeros((1, 4, 4, 2))):
        other = Explanation(image, image, *([first.target] * 8))
        with pytest.raises(InputError, match="one and the same image"):
            animate([other], NAMES)
        with pytest.raises(InputError, match="one and the same image"):
            animate([first, other], NAMES)
