"""Pictures brought to a network's size."""

import numpy as np
import pytest

from tfrobust.datasets.resizing import fit


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
