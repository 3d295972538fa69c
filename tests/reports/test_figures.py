"""The pictures: pixels, captions, and what is refused."""

import functools
import io

import keras
import matplotlib
import numpy as np
import pytest
from marks import quick
from matplotlib.figure import Figure
from PIL import Image

from tfrobust.errors import InputError
from tfrobust.explanations import (
    Adversarial,
    GradCAM,
    IntegratedGradients,
    Method,
    SmallestChange,
    explain,
    overview,
)
from tfrobust.models import HalfHuberReLU
from tfrobust.reports.figures import explanation_png, overview_png
from tfrobust.reports.pixels import heat

NAMES = ["cat", "$\\frac{dog$ ^_", "a name that is much too long\n\x00"]


@functools.cache  # what explains it is then compiled once
def network_of(channels: int = 1, *, scale: float = 1.0) -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((9, 9, channels)),
            keras.layers.Conv2D(4, 3),
            HalfHuberReLU(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(
                3,
                kernel_initializer=keras.initializers.RandomNormal(stddev=5 * scale)
                if scale
                else "zeros",
            ),
        ]
    )


def images_of(count: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(0).random((count, 9, 9, channels), np.float32)


def grid(
    network: keras.Model,
    images: np.ndarray,
    labels: list[int] | None,
    names: list[str],
    *,
    targets: int | None = None,
    methods: list[Method] | None = None,
) -> bytes:
    """A picture of what `overview` computes."""
    found = overview(network, images, targets, methods=methods)
    return overview_png(found, names, labels=labels)


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), np.float64) / 255


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is written into figures."""
    written: list[str] = []
    write = Figure.text

    def spy(self: Figure, x: float, y: float, text: str, **options) -> object:
        written.append(text)
        return write(self, x, y, text, **options)

    monkeypatch.setattr(Figure, "text", spy)
    return written


@pytest.mark.parametrize("channels", quick([1, 3], 1))
def test_every_pixel_is_a_square_of_whole_pixels(channels: int) -> None:
    images = images_of(2, channels)
    picture = pixels(grid(network_of(channels), images, [0, 1], NAMES))
    scale = 17  # 150/9, rounded
    expected = np.broadcast_to(images[0].repeat(scale, 0).repeat(scale, 1), (153, 153, 3))
    # Where the first panel stands: below gap, heading and gap, right of a gap. 8 bits.
    np.testing.assert_allclose(picture[30:183, 8:161], expected, atol=1.01 / 255)
    one_row = pixels(grid(network_of(channels), images[:1], [0], NAMES))
    assert one_row.shape[1] == picture.shape[1] and one_row.shape[0] < picture.shape[0]


def test_captions(texts: list[str]) -> None:
    network, images = network_of(), images_of(1)
    logits = np.asarray(network(images), np.float64)[0]
    first, rival = np.argsort(-logits)[:2]
    plain = {0: "cat", 1: NAMES[1], 2: "a name that i…"}
    grid(network, images, [2], NAMES)
    captions = texts[-8:]
    assert captions[0] == f"labelled a name that i…\nseen as {plain[first]}"
    before = np.exp(logits) / np.exp(logits).sum()
    assert captions[1].startswith(f"surer: {plain[first]}\n{before[first]:.1%} → ")
    assert captions[3].startswith(f"less sure: {plain[first]}\n{before[first]:.1%} → ")
    assert captions[5].startswith(f"surer: {plain[rival]}\n{before[rival]:.1%} → ")
    assert captions[7].startswith(f"for {plain[first]}")
    assert not any("SHORT" in caption for caption in captions)


def test_a_chosen_target_and_its_rival(texts: list[str]) -> None:
    network, images = network_of(), images_of(1)
    last = int(np.argmin(network(images)))
    first = int(np.argmax(network(images)))
    plain = ["cat", NAMES[1], "a name that i…"]
    grid(network, images, None, NAMES, targets=last)
    assert f"surer: {plain[last]}\n" in texts[-7]
    assert f"surer: {plain[first]}\n" in texts[-3]  # the rival: likeliest of the others


def test_a_walk_that_falls_short_says_so(texts: list[str]) -> None:
    grid(network_of(scale=0), images_of(1), None, NAMES)
    assert sum("FALLS SHORT" in text for text in texts) == 3


def test_a_network_without_spatial_layers_has_its_other_explanations(texts: list[str]) -> None:
    keras.utils.set_random_seed(0)
    flat = keras.Sequential([keras.Input((9, 9, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    grid(flat, images_of(1), None, NAMES)
    assert texts[-1].startswith("none")


def test_methods_have_a_column_each(texts: list[str]) -> None:
    network, images = network_of(), images_of(2)
    methods = [IntegratedGradients(steps=2), SmallestChange(), Adversarial(rho=0.02)]
    picture = pixels(grid(network, images, None, NAMES, targets=1, methods=methods))
    headings = texts[:10]
    assert headings[7:] == ["Integrated Gradients", "smallest change", "g_explain+ (RMSE 0.02)"]
    captions = texts[10:20]
    assert captions[0].startswith("seen as ") and captions[7] == f"for {NAMES[1]}"
    found = SmallestChange()(network, images[:1])
    assert captions[8].endswith(f"RMSE {found.rmse[0]:.4f}")
    assert captions[9].startswith(f"for: {NAMES[1]}\n")
    # Where the smallest change stands: the ninth of columns of 153 + 8 pixels.
    left = 8 + 8 * (153 + 8)
    expected = np.clip(found.explanation[0], 0, 1).repeat(17, 0).repeat(17, 1)
    np.testing.assert_allclose(
        picture[30:183, left : left + 153],
        np.broadcast_to(expected, (153, 153, 3)),
        atol=1.01 / 255,
    )


@pytest.mark.parametrize("signed", [False, True])
def test_maps_in_colour(signed: bool) -> None:
    map_of = np.zeros((20, 20))
    map_of[3, 4] = 1.0
    map_of[:3] = 0.25
    map_of[15:] = -0.5 if signed else 0.0
    image = np.full((20, 20, 1), 0.5)
    drawn = heat(map_of, image)
    assert drawn.shape == (20, 20, 3) and drawn.min() >= 0 and drawn.max() <= 1
    if signed:
        assert drawn[0, 0, 0] > drawn[0, 0, 2] and drawn[19, 0, 2] > drawn[19, 0, 0]
    else:
        assert drawn[0, 0].sum() > drawn[19, 0].sum()
    np.testing.assert_allclose(heat(3 * map_of, image), drawn)  # of any unit
    assert np.isfinite(heat(0 * map_of, image)).all()


def test_same_bytes_twice_whatever_matplotlib_is_set_to() -> None:
    network, images = network_of(), images_of(1)
    once = grid(network, images, None, NAMES)
    with matplotlib.rc_context({"savefig.dpi": 30, "savefig.bbox": "tight", "text.usetex": True}):
        assert grid(network, images, None, NAMES) == once
    assert b"Software" not in once and b"tIME" not in once


def test_large_images_keep_their_pixels() -> None:
    network = keras.Sequential(
        [
            keras.Input((224, 224, 3)),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )
    image = np.random.default_rng(0).random((224, 224, 3), np.float32)
    picture = pixels(grid(network, image[None], None, NAMES))
    np.testing.assert_allclose(picture[30:254, 8:232], image, atol=1.01 / 255)


@pytest.mark.parametrize(
    ("images", "labels", "names", "message"),
    [
        (images_of(2), [0], NAMES, "label for each"),
        (images_of(1), [3], NAMES, "labels from 0 to 2"),
        (images_of(1), [-1], NAMES, "labels from 0 to 2"),
        (images_of(1), [0], NAMES[:2], "3 class names"),
        (images_of(1, 2), [0], NAMES, "grey"),
        (images_of(0), [], NAMES, "at least one"),
        (images_of(1) * 2, [0], NAMES, "0 to 1"),
    ],
)
def test_refuses(images: np.ndarray, labels: list[int], names: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        grid(network_of(images.shape[-1]), images, labels, names)


def test_without_names_classes_have_numbers(texts: list[str]) -> None:
    grid(network_of(), images_of(1), [2], [])
    assert texts[-8].startswith("labelled class 2\nseen as class ")


@pytest.mark.parametrize("method", [Adversarial(rho=0.05), SmallestChange(), GradCAM()])
def test_one_method_alone(method: Method, texts: list[str]) -> None:
    network, images = network_of(), images_of(2)
    found = method(network, images)
    picture = pixels(explanation_png(found, NAMES))
    changes = not isinstance(method, GradCAM)
    headings = ["image", method.name, "difference"][: 2 + changes]
    assert texts[: len(headings)] == headings
    # As many columns of 153 + 8 pixels, and a gap, as headings; two rows of 153 + 46 pixels.
    assert picture.shape == (2 * 199 + 30, len(headings) * 161 + 8, 3)
    captions = texts[len(headings) :]
    name = ["cat", NAMES[1], "a name that i…"][found.target[0]]
    if isinstance(method, SmallestChange):
        assert captions[1] == f"becomes {name}\nRMSE {found.rmse[0]:.4f}"
    else:
        assert captions[1].startswith(f"for {name}" if not changes else f"for: {name}\n")
    shown = found.explanation[1].clip(0, 1) if changes else None
    if shown is not None:
        expected = np.broadcast_to(shown.repeat(17, 0).repeat(17, 1), (153, 153, 3))
        np.testing.assert_allclose(picture[229:382, 169:322], expected, atol=1.01 / 255)


def test_a_size_for_each_image(texts: list[str]) -> None:
    found = explain(network_of(), images_of(2), rho=np.array([0.02, 0.1]))
    explanation_png(found, NAMES)
    spreads = [text.split("\n")[0] for text in texts if text.startswith("grey ±")]
    assert spreads == ["grey ± 0.06", "grey ± 0.3"]


def test_a_target_without_a_name_is_refused() -> None:
    found = explain(network_of(), images_of(1), 2)
    with pytest.raises(InputError, match="got 2 names and class 2"):
        explanation_png(found, NAMES[:2])
