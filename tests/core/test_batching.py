"""Batches of one size, against slices by hand."""

import numpy as np
import pytest
import tensorflow as tf

from tfrobust.core.batching import batches, in_batches


@pytest.mark.parametrize(
    ("rows", "size", "expected"),
    [
        (5, 2, [([0, 1], 2), ([2, 3], 2), ([4, 4], 1)]),
        (4, 2, [([0, 1], 2), ([2, 3], 2)]),
        (2, 4, [([0, 1, 0, 0], 2)]),
        ([7, 3, 9], 2, [([7, 3], 2), ([9, 9], 1)]),
        (0, 3, []),
        ([], 3, []),
    ],
)
def test_the_last_batch_is_filled_with_its_first_row(rows, size, expected) -> None:
    assert [(list(batch), count) for batch, count in batches(rows, size)] == expected


@pytest.mark.parametrize("size", [1, 3, 5, 8])
def test_a_function_of_many_rows_is_that_of_each(size: int) -> None:
    first, second = np.arange(10.0).reshape(5, 2), np.arange(5)
    seen = []

    def function(one: tf.Tensor, other: tf.Tensor) -> dict[str, tf.Tensor]:
        seen.append(len(one))
        return {"sum": tf.reduce_sum(one, axis=1), "both": one * tf.cast(other, one.dtype)[:, None]}

    found = in_batches(function, size, first, second)
    assert set(seen) == {size}
    np.testing.assert_array_equal(found["sum"], first.sum(axis=1))
    np.testing.assert_array_equal(found["both"], first * second[:, None])
