"""Pictures brought to a network's size."""

import numpy as np
import pytest

from tfrobust.datasets.resizing import fit, spread_back, without_margins


def test_the_aspect_and_the_middle_are_kept() -> None:
    image = np.zeros((20, 60, 1), np.uint8)
    image[:, 20:40] = 200
    fitted = fit(image, (10, 10))
    np.testing.assert_array_equal(fitted[:, 1:-1], np.full((10, 8, 1), 200))
    # The smoothing reaches one source pixel beyond the middle.
    assert fitted.min() > 150
    # One pixel high and very long: must not be enlarged whole.
    assert fit(np.zeros((1, 100_000, 3), np.uint8), (64, 64)).shape == (64, 64, 3)


def test_a_letterbox_keeps_all_of_the_picture() -> None:
    wide = np.full((20, 60, 1), 200, np.uint8)
    wide[:, :30] = 100
    framed = fit(wide, (30, 30), "letterbox")
    np.testing.assert_array_equal(framed[:10], 0)
    np.testing.assert_array_equal(framed[20:], 0)
    np.testing.assert_array_equal(framed[10:20, :14], 100)
    np.testing.assert_array_equal(framed[10:20, 16:], 200)
    assert fit(np.ones((1, 100_000, 3), np.uint8), (64, 64), "letterbox")[31].any()
    square = np.random.default_rng(0).integers(0, 256, (50, 50, 3)).astype(np.uint8)
    np.testing.assert_array_equal(fit(square, (20, 20), "letterbox"), fit(square, (20, 20)))


@pytest.mark.parametrize("size", [28, 224, 299])
def test_any_size_fits_any_other(size: int) -> None:
    # Rounding once carried the crop's box a hair outside for sides such as 29 and 225.
    for side in range(1, 700, 7):
        for shape in ((side, side + 13), (side + 5, side), (side, side)):
            fitted = fit(np.zeros((*shape, 1), np.uint8), (size, size))
            assert fitted.shape == (size, size, 1)
    for side in (29, 58, 225, 232, 450):
        assert fit(np.zeros((side, 300, 3), np.uint8), (224, 224)).shape == (224, 224, 3)


@pytest.mark.parametrize("how", ["crop", "letterbox"])
@pytest.mark.parametrize("size", [(90, 150), (150, 90), (24, 24), (13, 20), (7, 500)])
def test_values_lie_again_where_the_picture_had_them(how: str, size: tuple[int, int]) -> None:
    rows, columns = np.mgrid[: size[0], : size[1]]
    ramp = (40 + 160 * (rows / size[0] + columns / size[1]) / 2).astype(np.uint8)[..., None]
    fitted = fit(ramp, (24, 24), how).astype(np.float32)
    spread = spread_back(fitted, size, how)
    assert spread.shape == (*size, 1)
    seen = spread > 0
    # Of a ramp a resampling loses only its rounding to bytes, twice, and a step at each end; the
    # shorter side has so many steps.
    step = 160 / max(1, min(*size, 24 * min(size) / max(size)))
    assert np.abs(spread - ramp)[seen].max() <= step + 2
    if how == "letterbox":
        assert seen.all()
    else:
        # It saw a square in the middle, of which pixels that it saw in part are left out.
        side = min(size)
        assert (side - 2) ** 2 <= seen.sum() <= side**2
        assert seen[size[0] // 2, size[1] // 2, 0]


def test_what_lies_on_margins_is_not_spread() -> None:
    values = np.ones((20, 20, 1), np.float32)
    values[5:15] = 0  # a picture twice as wide as high lies there
    assert not spread_back(values, (40, 80), "letterbox").any()
    assert without_margins(values, (40, 80), "letterbox").shape == (10, 20, 1)
    assert without_margins(values, (40, 80), "crop").shape == (20, 20, 1)
