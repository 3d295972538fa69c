"""The animation's frames."""

import io

import keras
import numpy as np
import pytest
from PIL import Image, ImageSequence

from tfrobust.errors import InputError
from tfrobust.explanations import explain
from tfrobust.reports.animation import animation

IMAGE = np.random.default_rng(0).random((10, 6, 1), np.float32)
NAMES = ["cat", "dog\n", "a bird of paradise that has a long name"]


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [keras.Input((10, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )


def frames_of(file: bytes) -> list[np.ndarray]:
    with Image.open(io.BytesIO(file)) as picture:
        return [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(picture)]


@pytest.mark.parametrize(("kind", "off"), [("png", 0.51 / 255), ("gif", 0.03)])
def test_frames_grow_from_the_image_to_the_explanation(network, kind: str, off: float) -> None:
    frames = frames_of(animation(network, IMAGE, NAMES, frames=3, rho=0.12, kind=kind))
    assert len(frames) == 4
    shown = [IMAGE]
    shown += [explain(network, IMAGE[None], rho=rho).explanation[0] for rho in (0.04, 0.08, 0.12)]
    for frame, expected in zip(frames, shown, strict=True):
        large = np.clip(expected, 0, 1).repeat(15, 0).repeat(15, 1)
        # PNG is exact, of 8 bits; GIF chooses 256 colours, enough for greys and a little more.
        np.testing.assert_allclose(
            frame[8:158, 8:98] / 255, np.broadcast_to(large, (150, 90, 3)), atol=off
        )
    # At first nothing is changed: all grey.
    np.testing.assert_allclose(frames[0][8:158, 106:196] / 255, 0.5, atol=off)


def test_the_same_bytes_twice(network) -> None:
    once, again = (animation(network, IMAGE, NAMES, frames=2) for _ in range(2))
    assert once == again and once.startswith(b"GIF89a")


@pytest.mark.parametrize(
    ("image", "names", "options", "message"),
    [
        (IMAGE[None], NAMES, {}, "H, W, 1"),
        (IMAGE, NAMES[:1], {}, "3 class names"),
        (IMAGE, NAMES, {"kind": "mp4"}, "gif or png"),
        (IMAGE, NAMES, {"frames": 0}, "1 frame"),
        (IMAGE, NAMES, {"rho": 2.0}, "rho"),
        (IMAGE, NAMES, {"target": 3}, "targets from 0 to 2"),
    ],
)
def test_refuses(network, image, names, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        animation(network, image, names, **options)
