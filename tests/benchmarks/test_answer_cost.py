"""What an answer costs, against a count by hand."""

from collections.abc import Callable

import keras
from keras import layers

from tfrobust.models import mirrored


def test_counts_by_hand(benchmark: Callable) -> None:
    count = benchmark("answer_cost").answer_cost
    network = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(5, 3, padding="same", use_bias=False),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10, use_bias=False),
        ]
    )
    # A product and a sum for each weight of the window at each place.
    convolution, dense = 2 * 9 * 3 * 5 * 64, 2 * 5 * 10
    found = count(network)
    assert found.parameters == 9 * 3 * 5 + 5 * 10
    # The mean of 64 places takes a sum each, and a division.
    assert 0 <= found.operations - convolution - dense <= 5 * 65
    both = count(mirrored(network))
    assert both.parameters == found.parameters
    # A second view, and at each place a sum and a division for the mean of both.
    assert 0 <= both.operations - 2 * convolution - dense <= 5 * 65 + 2 * 5 * 64
