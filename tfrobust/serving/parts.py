"""Large batches in parts that a server takes, and their answers put together again."""

import numpy as np

Arrays = dict[str, np.ndarray]
# An answer may have so many times the bytes of its request: an explanation has three images.
ANSWER_BYTES = 4


def split(inputs: Arrays, *, most_images: int, most_bytes: int) -> list[Arrays]:
    """Parts of a batch.

    Args:
        inputs: arrays with the batch in front.
        most_images: the most images of a part.
        most_bytes: the most bytes of a part's arrays and of those that answer it. A part has at
            least one image.

    Returns:
        The parts in order. A batch without images is one part.
    """
    count = len(next(iter(inputs.values())))
    each = sum(_bytes_of_one(array) for array in inputs.values())
    size = max(1, min(most_images, most_bytes // max(1, ANSWER_BYTES * each)))
    return [
        {name: array[start : start + size] for name, array in inputs.items()}
        for start in range(0, max(count, 1), size)
    ]


def join(found: list[Arrays]) -> Arrays:
    """The answers to the parts as one."""
    if len(found) == 1:
        return found[0]
    return {name: np.concatenate([one[name] for one in found]) for name in found[0]}


def _bytes_of_one(array: np.ndarray) -> int:
    """The bytes of the largest of a batch."""
    if array.dtype == object:
        return max((len(one) for one in array), default=0)
    return int(array[:1].nbytes)
