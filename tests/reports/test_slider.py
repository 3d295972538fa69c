"""The slider's page: what it holds, and what it does in a browser."""

import dataclasses
import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest

from tfrobust.errors import InputError
from tfrobust.explanations import Explanation, at_sizes, explain
from tfrobust.reports.slider import slider_page

NAMES = [
    "{{ script }}{{script}}",
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
]
IMAGE = np.random.default_rng(0).random((9, 7, 3), np.float32)
RHOS = (0.02, 0.1)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Flatten(), keras.layers.Dense(3)]
    return keras.Sequential([keras.Input((9, 7, 3)), *layers])


Steps = tuple[Explanation, ...]


@pytest.fixture(scope="module")
def ways(network: keras.Model) -> list[Steps]:
    """The explanations of three classes at two sizes: surer, and less sure."""
    images = np.repeat(IMAGE[None], 3, axis=0)
    return [at_sizes(network, images, [0, 1, 2], rhos=RHOS, direction=sign) for sign in (1, -1)]


@pytest.fixture(scope="module")
def page(ways: list[Steps]) -> str:
    return slider_page(*ways, NAMES, predicted=1)


def data_of(page: str) -> dict:
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])


def test_holds_what_explain_gives(network: keras.Model, page: str) -> None:
    data = data_of(page)
    assert data["rhos"] == list(RHOS) and [one["name"] for one in data["classes"]] == NAMES
    for target, one in enumerate(data["classes"]):
        for way, direction in (("surer", 1), ("less", -1)):
            for rho, frame in zip(RHOS, one[way], strict=True):
                found = explain(network, IMAGE[None], target, rho=rho, direction=direction)
                assert frame["confidence"] == pytest.approx(found.confidence_after[0], abs=1e-5)
                assert frame["rmse"] == pytest.approx(found.rmse[0], abs=1e-5)
                assert frame["image"].startswith("data:image/png;base64,") and not frame["short"]
        assert one["confidence"] == pytest.approx(found.confidence_before[0], abs=1e-5)


def test_asks_for_nothing_and_no_class_name_becomes_markup(page: str) -> None:
    # But for the data, in which "<" is written otherwise.
    markup = re.sub(r'id="data">.*?</script>', "", page, flags=re.S)
    assert "http://" not in page and "https://" not in page
    assert markup.count("<script") == 2 and "<img src=x" not in markup and "{{" not in markup
    assert "default-src 'none'" in markup


def test_says_what_the_image_is_seen_as(ways: list[Steps], page: str, read) -> None:
    assert f"seen as {NAMES[1]}" in read(page).text
    assert "seen as class 2" in read(slider_page(*ways, predicted=2)).text


def test_photographs_are_stored_as_jpeg() -> None:
    layers = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)]
    network = keras.Sequential([keras.Input((80, 80, 1)), *layers])
    image = np.random.default_rng(0).random((1, 80, 80, 1), np.float32)
    ways = [at_sizes(network, image, rhos=(0.1,), direction=sign) for sign in (1, -1)]
    page = slider_page(*ways, predicted=0)
    assert data_of(page)["image"].startswith("data:image/jpeg")
    assert "image-rendering: auto" in page


def test_refuses(ways: list[Steps]) -> None:
    surer, less_sure = ways
    with pytest.raises(InputError, match=r"growing sizes, got sizes \[0.1, 0.02\]"):
        slider_page(surer[::-1], less_sure[::-1], NAMES, predicted=0)
    with pytest.raises(InputError, match=r"growing sizes, got sizes \[\]"):
        slider_page([], [], NAMES, predicted=0)
    with pytest.raises(InputError, match="got 2 and 1 sizes"):
        slider_page(surer, less_sure[:1], NAMES, predicted=0)
    with pytest.raises(InputError, match="the same classes"):
        other = [dataclasses.replace(found, target=found.target[::-1]) for found in less_sure]
        slider_page(surer, other, NAMES, predicted=0)
    with pytest.raises(InputError, match="got 2 names and class 2"):
        slider_page(surer, less_sure, NAMES[:2], predicted=0)


@pytest.mark.parametrize("shape", [(0, 9, 7, 3), (1, 9, 7, 2)])
def test_refuses_other_images(ways: list[Steps], shape: tuple[int, ...]) -> None:
    count = shape[0]
    found = dataclasses.replace(
        ways[0][0],
        explanation=np.zeros(shape),
        difference=np.zeros(shape),
        target=np.zeros(count, int),
    )
    with pytest.raises(InputError, match="H, W, 1"):
        slider_page([found], [found], NAMES, predicted=0)


def test_in_a_browser_the_slider_moves_the_picture(page: str, tmp_path: Path, chromium) -> None:
    path = tmp_path / "slider.html"
    path.write_text(page)
    with chromium(path.as_uri(), tmp_path) as opened:
        data = data_of(page)

        def move(step: int) -> None:
            opened.run(
                f"rho.value = {step}; rho.dispatchEvent(new Event('input')); "
                "document.getElementById('explanation').decode()"
            )

        shown = "document.getElementById('explanation').src"
        said = "document.getElementById('state').textContent"
        assert opened.run("target.options.length") == 3
        for step, way in ((1, "surer"), (2, "surer"), (-1, "less"), (-2, "less")):
            move(step)
            frame = data["classes"][0][way][abs(step) - 1]
            assert opened.run(shown) == frame["image"]
            assert f"→ {100 * frame['confidence']:.1f} %" in opened.run(said)
        move(0)
        assert opened.run(shown) == data["image"]
        move(2)
        opened.run("target.value = 1; target.dispatchEvent(new Event('change'))")
        assert opened.run(shown) == data["classes"][1]["surer"][1]["image"]
        assert opened.run(said).startswith(NAMES[1])
        # The keyboard moves it as well.
        opened.run("rho.focus()")
        for kind in ("keyDown", "keyUp"):
            opened.tell("Input.dispatchKeyEvent", type=kind, key="ArrowLeft", code="ArrowLeft",
                        windowsVirtualKeyCode=37)  # fmt: skip
        assert opened.run("rho.value") == "1"
        assert opened.run(shown) == data["classes"][1]["surer"][0]["image"]
        assert not opened.complaints
        asked = [url for url in opened.requests if not url.startswith("data:")]
        assert asked == [path.as_uri()]
