"""The bar of an evaluation, which knows how much each attack asks of the network."""

import sys
from collections.abc import Iterable, Sequence

from tqdm import tqdm

from tfrobust.attacks import Attack
from tfrobust.core.progress import speed

# An answer takes about a third of a gradient's time: forward, without the way back.
ANSWER = 1 / 3


class AttackProgress(tqdm):
    """A bar whose length is the work of the attacks, in gradients, and not the number of attacks.

    A cheap attack then fills less of it than a dear one, and the time that remains is about right.
    It shows images/s, an image being done when all attacks have had it, and gradients/s by what the
    attacks say they take at most.

    Args:
        attacks: of the evaluation, in order.
        sizes: how many images each unit has.
        done: how many attacks each unit has behind it.
        goals: for how many goals each image is attacked.
        shown: whether there is a bar at all.
    """

    def __init__(
        self,
        attacks: Sequence[Attack],
        sizes: Sequence[int],
        done: Iterable[int],
        *,
        goals: int,
        shown: bool,
    ) -> None:
        self.attacks, self.blocks = attacks, len(sizes) * len(attacks)
        self.of_image = goals * sum(map(work, attacks))
        begun = [(size, attacks[:count]) for size, count in zip(sizes, done, strict=True)]
        self.ended = sum(len(behind) for _, behind in begun)
        self.gradients = 0
        super().__init__(
            total=sum(sizes) * sum(map(work, attacks)),
            initial=sum(size * sum(map(work, behind)) for size, behind in begun),
            desc="attacking",
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}",
            file=sys.stderr,
            disable=not shown,
        )

    def begin(self, attack: Attack, goal: str) -> None:
        """Says which attack works now."""
        if self.disable:
            return
        speeds = [
            speed(self, (self.n - self.initial) / self.of_image, "images"),
            speed(self, self.gradients, "gradients"),
        ]
        block = f"block {self.ended + 1} of {self.blocks}"
        self.set_postfix_str(", ".join([*speeds, block, f"{attack.name}, {goal}"]))

    def end(self, attack: Attack, images: int) -> None:
        """Counts an attack on so many images."""
        self.ended += 1
        self.gradients += images * (attack.gradients or 0)
        self.update(images * work(attack))


def work(attack: Attack) -> float:
    """What an attack asks for each image, in gradients; 1 where nobody counted."""
    return attack.gradients or ANSWER * (attack.queries or 0) or 1
