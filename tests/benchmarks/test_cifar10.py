"""Pictures are recognised in their JPEG copies."""

from collections.abc import Callable

import numpy as np
import pytest


def test_copies_are_found_and_what_is_none_is_refused(benchmark: Callable) -> None:
    cifar10 = benchmark("cifar10")
    rng = np.random.default_rng(0)
    images = rng.integers(5, 250, (20, 8, 8, 3), np.uint8)
    # As JPEG changes them: by one grey level in the mean, and here by three at most.
    chosen = np.array([7, 3, 19])
    changed = images[chosen] + rng.integers(-3, 4, (3, 8, 8, 3)).astype(np.uint8)
    np.testing.assert_array_equal(cifar10.copies(changed, images), chosen)
    with pytest.raises(SystemExit, match="found 0"):
        cifar10.copies(rng.integers(0, 256, (1, 8, 8, 3), np.uint8), images)
    with pytest.raises(SystemExit, match="found 2"):
        cifar10.copies(images[:1], np.concatenate([images, images[:1]]))
