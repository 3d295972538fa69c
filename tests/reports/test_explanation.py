"""An explanation's page, and what notebooks and data frames show of it."""

from pathlib import Path

import keras
import numpy as np
import pytest

from tfrobust.explanations import Explanation, explain

NAMES = ["cat", "<script>alert(1)</script>", "bird"]


@pytest.fixture(scope="module")
def found() -> Explanation:
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    images = np.random.default_rng(0).random((2, 4, 4, 1), np.float32)
    return explain(network, images, [1, 2], rho=0.05)


def test_page(found: Explanation, tmp_path: Path, read) -> None:
    found.to_html(tmp_path / "e.html", NAMES)
    page = read((tmp_path / "e.html").read_text())
    assert "script" not in page.tags and page.tags.count("img") == 1
    (source,) = page.values("src")
    found.to_png(tmp_path / "e.png", NAMES)
    assert source == _uri((tmp_path / "e.png").read_bytes())
    assert "g_explain+ (RMSE 0.05)" in page.text
    before, after = found.confidence_before[1], found.confidence_after[1]
    assert f"1 bird {before:.1%} {after:.1%} {found.rmse[1]:.4f} yes" in page.text
    assert "did not reach" not in page.text


def test_page_of_explanations_that_fall_short(tmp_path: Path, read) -> None:
    network = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(),
                                keras.layers.Dense(3, kernel_initializer="zeros")])  # fmt: skip
    explain(network, np.full((2, 4, 4, 1), 0.5, np.float32)).to_html(tmp_path / "e.html")
    text = read((tmp_path / "e.html").read_text()).text
    assert "2 of 2 explanations did not reach their goal" in text and "class 0" in text


def test_in_a_notebook(found: Explanation, read) -> None:
    assert read(found._repr_html_()).values("alt") == [
        "g_explain+ (RMSE 0.05): each image and what the method makes of it"
    ]
    network = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(),
                                keras.layers.Dense(3)])  # fmt: skip
    none = explain(network, np.zeros((0, 4, 4, 1), np.float32))
    assert "explanations of no images" in read(none._repr_html_()).text


def test_data_frame(found: Explanation) -> None:
    frame = found.to_dataframe()
    assert list(frame.columns) == [
        "target", "confidence_before", "confidence_after", "rmse", "reached",
    ]  # fmt: skip
    np.testing.assert_array_equal(frame["rmse"], found.rmse)
    assert list(found.to_dataframe(NAMES)["class"]) == NAMES[1:]


def _uri(png: bytes) -> str:
    import base64

    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
