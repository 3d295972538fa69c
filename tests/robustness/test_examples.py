"""Which images a report shows."""

import numpy as np
import pytest

from tfrobust.robustness.examples import pick_examples


@pytest.mark.parametrize("found", [0, 1, 5, 12])
def test_examples_are_the_hardest_and_the_easiest(found: int) -> None:
    rmse = np.concatenate([np.linspace(0.1, 0.2, found), [0.0, np.inf]])
    rng = np.random.default_rng(0)
    images = rng.random((len(rmse), 2, 2, 1)).astype(np.float32)
    labels = np.arange(len(rmse)) % 3

    given = np.where(labels == 2, 1, 2)
    picked = pick_examples(images, labels, images + 0.1, rmse, given)
    order = list(range(found))[::-1]
    assert [one.number for one in picked] == (order if found <= 8 else order[:4] + order[-4:])
    assert all(one.given == given[one.number] for one in picked)
