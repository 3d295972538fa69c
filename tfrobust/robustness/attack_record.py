"""What a report says of one attack."""

import dataclasses
from collections.abc import Sequence

from tfrobust.core.ara import Ara
from tfrobust.core.records import Array, brief


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class AttackRecord:
    """What one attack found for one goal.

    Args:
        name: the attack's name, which says how long it searched.
        goal: "attack" (the image is misclassified) or "btr" (its label is no more likely than a
            guess).
        ara: the area that this attack alone would give.
        rmse: float64 (N,), the sizes of its perturbations, RMSE of pixels from 0 to 1. A size is
            infinite where the attack found none.
        won: for how many images no other attack found a smaller size. In a tie the first attack
            wins. An image that meets the goal unchanged counts for no attack.
        late: how many perturbations were found so late in the search that their sizes are not to
            be trusted.
        seconds: the time that the attack took.
        gradients: how many gradients of the network it took for each image, at most; None where
            nobody counted.
        queries: how many answers it asked for, for each image at most, if it needs no gradient;
            None where nobody counted.
    """

    name: str
    goal: str
    ara: Ara
    rmse: Array
    won: int
    late: int
    seconds: float
    gradients: int | None
    queries: int | None

    __repr__ = brief


def gradients_of(records: Sequence[AttackRecord]) -> int | None:
    """The gradients of all attacks together; None where one does not count them."""
    counts = [record.gradients for record in records]
    return None if None in counts else sum(filter(None, counts))
