"""Attacks that ask for decisions only, by Foolbox, which is an extra."""

from typing import Any, Literal

import numpy as np
import tensorflow as tf

from tfrobust.attacks.base import Attack, Block, meets
from tfrobust.attacks.minimum_norm import known, shortened
from tfrobust.core.criteria import Criterion
from tfrobust.core.distances import Bounds, per_image
from tfrobust.core.opaque import Model, answers
from tfrobust.errors import InputError, ReportedError

KINDS = {"HopSkipJump": 64, "Boundary": 25_000}  # and Foolbox's own steps
# Without a box pixels may go as far beyond [0, 1] as it is wide.
WIDE = (-1.0, 2.0)
# Pictures of noise that are tried where nothing is known to begin with, and halvings from there.
NOISES, BEGINNING = 100, 12
# Foolbox asks about one image at a time, we about a block, where rounding differs.
BEYOND = (1.0, 1.0001, 1.001)


class Decision(Attack):
    """HopSkipJump or the Boundary attack, by Foolbox: needs the classes told, no gradients.

    For networks whose gradients are masked, and for goals that are judged elsewhere. An image
    is walked from the perturbation known to meet the goal, or else from noise: uniform pictures,
    of which the first that meets the goal is brought near the image by bisection. Noise hardly
    ever is a chosen class: for `TargetClass` give a start, or nothing is found.

    One image at a time, so that an image's draws depend on the seed and its number only; each
    sets TensorFlow's global seed. HopSkipJump's step t asks for 100·√t decisions.

    Args:
        kind: "HopSkipJump" or "Boundary".
        steps: of Foolbox's attack; None for its own, 64 and 25,000.
        seed: of the draws.
        bounds: the lowest and highest value of an attacked pixel, as (0, 1). The attacks need
            bounds: where None are given they are −1 and 2.
        batch_size: images begun together.

    Raises:
        InputError: another kind, or fewer than 1 step.
        ReportedError: Foolbox is not installed; the message says how to.

    Source: arXiv 1904.02144 and arXiv 1712.04248, as implemented by Foolbox.
    """

    needs_gradient = False

    def __init__(
        self,
        *,
        kind: Literal["HopSkipJump", "Boundary"] = "HopSkipJump",
        steps: int | None = None,
        seed: int = 0,
        bounds: Bounds | None = None,
        batch_size: int = 50,
    ) -> None:
        super().__init__(bounds=bounds, batch_size=batch_size)
        if kind not in KINDS:
            raise InputError(f"expected {' or '.join(KINDS)}, got {kind!r}")
        steps = KINDS[kind] if steps is None else steps
        if steps < 1 or seed < 0:
            raise InputError(
                f"expected steps of at least 1 and a seed not below 0, got {steps}, {seed}"
            )
        self.kind, self.steps, self.seed = kind, steps, seed
        self._foolbox = import_foolbox()

    @property
    def name(self) -> str:
        """E.g. "Foolbox HopSkipJump (64 steps)"."""
        return f"Foolbox {self.kind} ({self.steps} steps)"

    def _run(self, model: Model, block: Block) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        images, classes, criterion = block.images, block.classes, block.criterion
        start, found = self._beginning(model, block)
        start = shortened(model, criterion, images, classes, start, BEGINNING).numpy()
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
            shorter = met & (_squares(longer) < _squares(best))
            best = np.where(shorter[:, None, None, None], longer, best)
        return best, found, np.zeros_like(found)

    @property
    def _bounds(self) -> tuple[float, float]:
        return self.bounds or WIDE

    def _beginning(self, model: Model, block: Block) -> tuple[tf.Tensor, np.ndarray]:
        """Perturbations that meet the goal, from what is known or from noise."""
        low, high = self._bounds
        start, given = known(model, block, self.bounds)
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
        model: Model,
        criterion: Criterion,
        image: tf.Tensor,
        label: tf.Tensor,
        start: np.ndarray,
        number: int,
    ) -> np.ndarray:
        """Foolbox's attack on one image, in coordinates where the bounds are 0 and 1."""
        low, high = self._bounds
        width = high - low
        # HopSkipJump cuts at 0 and 1 whatever bounds Foolbox is told.
        stretched = self._foolbox.TensorFlowModel(
            lambda images: answers(model, low + width * images), bounds=(0, 1), device="/CPU:0"
        )
        attack = {
            "HopSkipJump": self._foolbox.attacks.HopSkipJumpAttack,
            "Boundary": self._foolbox.attacks.BoundaryAttack,
        }[self.kind](steps=self.steps)
        seeds = np.random.SeedSequence([self.seed, number]).generate_state(1)
        tf.random.set_seed(int(seeds[0]))
        original = (image[None] - low) / width
        begun = tf.clip_by_value((image[None] + start[None] - low) / width, 0.0, 1.0)
        judge = _criterion(self._foolbox, criterion, label[None])
        if not judge(begun, answers(model, low + width * begun)):
            return start  # on the boundary itself, where rounding decides
        adversarial = attack.run(stretched, original, judge, starting_points=begun)
        return ((adversarial - original) * width)[0].numpy()


def _squares(delta: np.ndarray) -> np.ndarray:
    return np.sum(np.square(delta, dtype=np.float64), axis=(1, 2, 3))


def _criterion(foolbox: Any, criterion: Criterion, classes: tf.Tensor) -> Any:
    """A goal of ours as Foolbox's criterion."""
    import eagerpy

    class Goal(foolbox.criteria.Criterion):
        def __repr__(self) -> str:
            return repr(criterion)

        def __call__(self, perturbed: Any, outputs: Any) -> Any:
            logits, restore = eagerpy.astensor_(outputs)
            return restore(eagerpy.astensor(criterion.met(logits.raw, classes)))

    return Goal()


def import_foolbox() -> Any:
    """Foolbox, made to run on NumPy 2.

    Raises:
        ReportedError: it is not installed.
    """
    try:
        import foolbox
    except ImportError as error:
        raise ReportedError(
            "this attack is Foolbox's, which is not installed: "
            "pip install 'tfrobust[foolbox]', or 'foolbox>=3.3.4,<4'"
        ) from error
    if not hasattr(np, "find_common_type"):
        # Foolbox 3.3.4's tensors ask NumPy for what version 2 has not.
        np.find_common_type = lambda arrays, scalars: np.result_type(*arrays, *scalars)  # type: ignore[attr-defined]
    return foolbox
