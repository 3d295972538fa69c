"""Bounds of the pixels of attacked images, as Foolbox names them."""

from tfrobust.errors import InputError

# The lowest and the highest value that a pixel of an attacked image may have: (0, 1).
Bounds = tuple[float, float]


def checked_bounds(bounds: Bounds | None) -> Bounds | None:
    """The bounds as two floats.

    Raises:
        InputError: they are others than those of images.
    """
    if bounds is None:
        return None
    if tuple(bounds) != (0, 1):
        raise InputError(
            "expected bounds=(0, 1), as images have pixels from 0 to 1 whatever the network takes, "
            f"or None, got {bounds}. If the network takes other pixels, say so by input_range, "
            "such as (0, 255), and leave the bounds at (0, 1)"
        )
    return 0.0, 1.0
