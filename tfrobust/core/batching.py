"""The one way to batches of one size: TensorFlow compiles anew for every size that it meets."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf


def batches(rows: Any, batch_size: int) -> Iterator[tuple[np.ndarray, int]]:
    """Cuts rows into batches of one size.

    Args:
        rows: int (N,), which rows; or N, for all of them.
        batch_size: B. The last batch is filled up with its own first row.

    Yields:
        int (B,), the rows of a batch; and how many of them, the first ones, were asked for.
    """
    rows = np.arange(rows) if np.ndim(rows) == 0 else np.asarray(rows)
    for first in range(0, len(rows), batch_size):
        part = rows[first : first + batch_size]
        yield np.concatenate([part, np.repeat(part[:1], batch_size - len(part))]), len(part)


def in_batches(function: Callable[..., Any], batch_size: int, *arrays: np.ndarray) -> Any:
    """Computes a function of many rows, batch by batch.

    Args:
        function: as many tensors (B, …) as there are arrays → a tensor (B, …), or tuples or
            mappings of such.
        batch_size: B.
        arrays: (N, …) each, N at least 1.

    Returns:
        What the function gives, as NumPy arrays (N, …).
    """
    parts = []
    for rows, count in batches(len(arrays[0]), batch_size):
        found = function(*(tf.constant(values[rows]) for values in arrays))
        # Bound now: the function runs before the loop goes on.
        parts.append(tf.nest.map_structure(lambda part, end=count: np.asarray(part)[:end], found))
    return tf.nest.map_structure(lambda *several: np.concatenate(several), *parts)
