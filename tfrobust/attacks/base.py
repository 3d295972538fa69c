"""What every attack shares: the call, its checks, fixed blocks, and the result's record."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf

from tfrobust.attacks.criteria import Criterion, Misclassified
from tfrobust.attacks.opaque import Model, Opaque, compiled
from tfrobust.errors import InputError


@dataclasses.dataclass(frozen=True)
class AttackResult:
    """The smallest perturbations found.

    Args:
        adversarials: float32 (N, H, W, C); the clean image where none was found.
        rmse: float64 (N,), each perturbation's size in units of pixels from 0 to 1; 0 where
            the clean image meets the goal, infinite where none was found.
        found: bool (N,).
        late: bool (N,), found, but so late in the search that its size is not to be trusted.
    """

    adversarials: np.ndarray
    rmse: np.ndarray
    found: np.ndarray
    late: np.ndarray


class Block(NamedTuple):
    """What an attack works on at a time.

    Args:
        images: float32 (B, H, W, C) in [0, 1].
        classes: int32 (B,), which class of each image the goal is about.
        goal: when it is met.
        start: float32 (B, H, W, C), a perturbation that meets the goal and may be improved on;
            zeros where none is known.
        numbers: int64 (B,), which image each is: draws depend on it, not on the block.
    """

    images: tf.Tensor
    classes: tf.Tensor
    goal: type[Criterion]
    start: tf.Tensor
    numbers: tf.Tensor


class Attack(ABC):
    """Searches, per image, the smallest perturbation that meets a criterion.

    Args:
        box: whether adversarial images stay in [0, 1]; the published figures do without.
        block: images computed at a time; a short last block is padded, so that every block is
            of one size and nothing is compiled twice.
    """

    # Whether the attack follows the model's gradient, which an `Opaque` one does not give.
    needs_gradient: ClassVar[bool] = True

    def __init__(self, *, box: bool = False, block: int = 50) -> None:
        if block < 1:
            raise InputError(f"expected a block of at least 1 image, got {block}")
        self.box = box
        self.block = block

    @property
    @abstractmethod
    def name(self) -> str:
        """What a report calls the attack, its strength included."""

    @abstractmethod
    def _run(self, model: Model, block: Block) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Attacks one block: → perturbations (B, H, W, C), found (B,), late (B,)."""

    def __call__(
        self,
        model: Model,
        images: Any,
        labels: Any,
        criterion: Criterion | None = None,
        *,
        start: AttackResult | None = None,
        numbers: Any = None,
    ) -> AttackResult:
        """Attacks images.

        Args:
            model: gives logits (B, K) for images; its gradient is used.
            images: float (N, H, W, C) in [0, 1].
            labels: int (N,), the true classes.
            criterion: the goal; `Misclassified()` when None.
            start: what another attack found for the same images; attacks that can, begin there.
            numbers: int (N,), which image of its data set each is, for attacks that draw
                random numbers; 0 to N − 1 when None.

        Returns:
            The smallest perturbation that this attack found for each image.

        Raises:
            InputError: images outside [0, 1], labels that do not fit, or a model without a
                gradient where the attack needs one.
        """
        if self.needs_gradient and isinstance(model, Opaque):
            raise InputError(
                f"expected a model with a gradient, which {self.name} follows, but {model.name} "
                "only gives answers; attack it with SPSA, Decision or Blend"
            )
        criterion = criterion or Misclassified()
        images = np.asarray(images, np.float32)
        classes = criterion.classes(np.asarray(labels))
        check_images(images, classes, model)
        outputs = getattr(model, "output_shape", (None,))[-1]
        if len(classes) and outputs is not None and classes.max() >= outputs:
            raise InputError(
                f"expected classes from 0 to {outputs - 1}, as the model tells {outputs} apart, "
                f"got {classes.max()}"
            )
        numbers = np.arange(len(images)) if numbers is None else np.asarray(numbers)
        deltas = np.zeros_like(images)
        found, late = np.zeros((2, len(images)), bool)
        known = np.zeros_like(images)
        if start is not None:
            known = np.where(start.found[:, None, None, None], start.adversarials - images, 0)
        # What meets the goal as it is takes no search: the others are packed together.
        for rows in self._blocks(np.arange(len(images))):
            met = meets(
                model,
                type(criterion),
                tf.constant(_padded(images[rows], self.block)),
                tf.constant(_padded(classes[rows], self.block)),
            )
            found[rows] = met.numpy()[: len(rows)]
        for rows in self._blocks(np.flatnonzero(~found)):
            block = Block(
                images=tf.constant(_padded(images[rows], self.block)),
                classes=tf.constant(_padded(classes[rows], self.block)),
                goal=type(criterion),
                start=tf.constant(_padded(known[rows], self.block), tf.float32),
                numbers=tf.constant(_padded(numbers[rows], self.block), tf.int64),
            )
            outcome = [part[: len(rows)] for part in self._run(model, block)]
            deltas[rows], found[rows], late[rows] = outcome
        sizes = np.sqrt(np.mean(np.square(deltas, dtype=np.float64), axis=(1, 2, 3)))
        adversarials = np.where(found[:, None, None, None], images + deltas, images)
        return AttackResult(adversarials, np.where(found, sizes, np.inf), found, late & found)

    def _blocks(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """At most `block` rows at a time."""
        for first in range(0, len(rows), self.block):
            yield rows[first : first + self.block]


@compiled
def answers(model: Model, images: tf.Tensor) -> tf.Tensor:
    """Logits: (B, K)."""
    return model(images)


# Model and goal are arguments, not closures: TensorFlow keeps one program for each pair and
# each shape, whichever attack object asks.
@compiled
def meets(model: Model, goal: type[Criterion], images: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """Whether each image meets the goal: bool (B,)."""
    return goal.met(model(images), classes)


def check_images(images: np.ndarray, classes: np.ndarray, model: Model | None = None) -> None:
    """Refuses what no attack can be run on.

    Args:
        images: should be (N, H, W, C) in [0, 1].
        classes: should be (N,), from 0.
        model: what the images are for, where that is known.

    Raises:
        InputError: says what was expected and what came.
    """
    if images.ndim != 4:
        raise InputError(f"expected images of shape (N, H, W, C), got {images.shape}")
    taken = getattr(model, "input_shape", None)
    if isinstance(taken, tuple) and len(taken) == 4:
        for size, wanted in zip(images.shape[1:], taken[1:], strict=True):
            if wanted not in (None, size):
                raise InputError(f"expected images of shape {taken}, got {images.shape}")
    if classes.shape != (len(images),):
        raise InputError(f"expected {len(images)} labels, one an image, got {classes.shape}")
    if np.isnan(images).any():
        raise InputError("expected pixels from 0 to 1, got NaN; look for a division by zero")
    if images.size and not (images.min() >= 0 and images.max() <= 1):
        raise InputError(
            "expected pixels from 0 to 1, got some from "
            f"{images.min():.3g} to {images.max():.3g}; divide 8-bit images by 255"
        )
    if len(classes) and classes.min() < 0:
        raise InputError(f"expected classes from 0, got {classes.min()}")


def _padded(values: np.ndarray, size: int) -> np.ndarray:
    """Repeats the first row until there are `size` rows."""
    return np.concatenate([values, np.repeat(values[:1], size - len(values), axis=0)])
