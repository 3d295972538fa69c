"""Attacks that ask the model for decisions only."""

import dataclasses
from typing import Literal

import numpy as np
import tensorflow as tf

from tfrobust.attacks.base import Attack, Block, meets
from tfrobust.attacks.foolbox import foolbox_criterion, import_foolbox
from tfrobust.attacks.line_search import known_start, shortened
from tfrobust.core.classifier import Classifier, answers
from tfrobust.core.criterion import Criterion
from tfrobust.core.distances import per_image, rmse64
from tfrobust.errors import InputError

KINDS = {"HopSkipJump": 64, "Boundary": 25_000}  # and Foolbox's own number of steps
# Without bounds pixels may go as far beyond [0, 1] as it is wide.
WIDE = (-1.0, 2.0)
# How many pictures of noise are tried where nothing is known to begin with, and halvings from
# there.
NOISES, BEGINNING = 100, 12
# Foolbox asks about one image at a time and we ask about a block, where rounding differs.
BEYOND = (1.0, 1.0001, 1.001)


@dataclasses.dataclass(kw_only=True, eq=False)
class Decision(Attack):
    """HopSkipJump or the Boundary attack, by Foolbox. It needs decisions and no gradient.

    It is for networks whose gradients are masked, and for models that only answer. A walk begins
    with the perturbation that is known to meet the criterion, or else with noise: of uniform
    pictures the first that meets the criterion is brought near the image by bisection. Noise is
    hardly ever of a chosen class, so that with `TargetClass` nothing is found without a start.

    Images are walked one at a time, so that an image's draws depend on the seed and on its number
    only. Each walk sets TensorFlow's global seed. HopSkipJump's step t asks for 100·√t decisions.

    Args:
        kind: "HopSkipJump" or "Boundary".
        steps: of Foolbox's attack; None for its own, 64 and 25,000.
        seed: of the draws, not below 0.
        bounds: the lowest and the highest value of an attacked pixel, as (0, 1). The attacks need
            bounds: where None are given they are −1 and 2.
        batch_size: how many images are begun together.

    Raises:
        InputError: another kind, fewer than 1 step, or a negative seed.
        ReportedError: Foolbox is not installed; the message says how to install it.

    Source: Chen et al., arXiv 1904.02144, and Brendel et al., arXiv 1712.04248, as implemented by
    Foolbox.
    """

    needs_gradient = False

    kind: Literal["HopSkipJump", "Boundary"] = "HopSkipJump"
    steps: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind not in KINDS:
            raise InputError(f"expected {' or '.join(KINDS)}, got {self.kind!r}")
        if self.steps is None:
            self.steps = KINDS[self.kind]
        if self.steps < 1 or self.seed < 0:
            raise InputError(
                "expected steps of at least 1 and a seed not below 0, got "
                f"{self.steps}, {self.seed}"
            )
        import_foolbox()

    @property
    def name(self) -> str:
        """E.g. "Foolbox HopSkipJump (64 steps)"."""
        return f"Foolbox {self.kind} ({self.steps} steps)"

    def _run(self, model: Classifier, block: Block) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        images, classes, criterion = block.images, block.classes, block.criterion
        begun, found = self._beginning(model, block)
        start = shortened(model, criterion, images, classes, begun, BEGINNING).numpy()
        walked = start.copy()
        done: dict[tuple[int, bytes], np.ndarray] = {}
        for row in np.flatnonzero(found):
            # A block is padded with its first image, which is not walked again.
            key = int(block.numbers[row]), images[row].numpy().tobytes()
            if key not in done:
                done[key] = self._walk(
                    model, criterion, images[row], classes[row], start[row], key[0]
                )
            walked[row] = done[key]
        best = start
        for beyond in reversed(BEYOND):
            longer = np.float32(beyond) * walked
            met = meets(model, criterion, images + longer, classes).numpy() & found
            shorter = met & (rmse64(longer) < rmse64(best))
            best = np.where(shorter[:, None, None, None], longer, best)
        return best, found, np.zeros_like(found)

    @property
    def _bounds(self) -> tuple[float, float]:
        return self.bounds or WIDE

    def _beginning(self, model: Classifier, block: Block) -> tuple[tf.Tensor, np.ndarray]:
        """Perturbations that meet the criterion, from what is known or from noise."""
        low, high = self._bounds
        start, given = known_start(model, block, self.bounds)
        cut = tf.clip_by_value(block.images + start, low, high) - block.images
        found = given & meets(model, block.criterion, block.images + cut, block.classes)
        start = tf.where(per_image(found), cut, 0.0)
        draws = [np.random.default_rng([self.seed, int(number)]) for number in block.numbers]
        for _ in range(NOISES):
            if tf.reduce_all(found):
                break
            noise = np.stack([one.uniform(low, high, block.images.shape[1:]) for one in draws])
            picture = tf.constant(noise, tf.float32)
            met = meets(model, block.criterion, picture, block.classes) & ~found
            start = tf.where(per_image(met), picture - block.images, start)
            found |= met
        return start, found.numpy()

    def _walk(
        self,
        model: Classifier,
        criterion: Criterion,
        image: tf.Tensor,
        label: tf.Tensor,
        start: np.ndarray,
        number: int,
    ) -> np.ndarray:
        """Foolbox's attack on one image, in coordinates where the bounds are 0 and 1."""
        foolbox = import_foolbox()
        low, high = self._bounds
        width = high - low
        # HopSkipJump cuts at 0 and 1, whatever bounds Foolbox is told.
        stretched = foolbox.TensorFlowModel(
            lambda images: answers(model, low + width * images), bounds=(0, 1), device="/CPU:0"
        )
        attack = {
            "HopSkipJump": foolbox.attacks.HopSkipJumpAttack,
            "Boundary": foolbox.attacks.BoundaryAttack,
        }[self.kind](steps=self.steps)
        seeds = np.random.SeedSequence([self.seed, number]).generate_state(1)
        tf.random.set_seed(int(seeds[0]))
        original = (image[None] - low) / width
        begun = tf.clip_by_value((image[None] + start[None] - low) / width, 0.0, 1.0)
        judge = foolbox_criterion(criterion, label[None])
        if not judge(begun, answers(model, low + width * begun)):
            return start  # on the boundary itself, where rounding decides
        adversarial = attack.run(stretched, original, judge, starting_points=begun)
        return ((adversarial - original) * width)[0].numpy()
