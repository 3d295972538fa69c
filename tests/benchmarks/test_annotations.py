"""Thirty marked pictures turn a network from a planted mark to the garment, in small."""

import numpy as np
import pytest


def test_squares_tell_the_class(benchmark) -> None:
    annotations = benchmark("annotations")
    blank = np.zeros((10, 28, 28, 1), np.float32)
    found = annotations.squared(blank, np.arange(10))
    assert not blank.any() and (found.sum(axis=(1, 2, 3)) == 16).all()
    assert len(np.unique(found.reshape(10, -1), axis=0)) == 10
    assert (annotations.others(np.arange(10), 0) != np.arange(10)).all()


@pytest.mark.slow
def test_marks_bring_the_accuracy_back(benchmark) -> None:
    found = benchmark("annotations").compared(3000, 500, 12, 10.0, 0)
    clean, misled, corrected = found["clean"], found["misled"], found["corrected"]
    assert found["pictures"] == 30 and clean["without"] > 0.7
    # With the squares all is well, and without them nothing: so the mark is spurious.
    assert misled["right"] > 0.95 and misled["without"] < 0.5 * clean["without"]
    assert corrected["without"] > 0.85 * clean["without"]
