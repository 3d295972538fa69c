"""What every attack shares: the call, its checks, fixed blocks, and the result's record."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf

from tfrobust.core.criteria import Criterion, Misclassified
from tfrobust.core.distances import Bounds
from tfrobust.core.images import check_images
from tfrobust.core.opaque import Model, Opaque, compiled
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
        classes: int32 (B,), which class of each image the criterion is about.
        criterion: what is looked for; `classes` has what it keeps for each image.
        start: float32 (B, H, W, C), a perturbation that meets the goal and may be improved on;
            zeros where none is known.
        numbers: int64 (B,), which image each is: draws depend on it, not on the block.
    """

    images: tf.Tensor
    classes: tf.Tensor
    criterion: Criterion
    start: tf.Tensor
    numbers: tf.Tensor


class Attack(ABC):
    """Searches, per image, the smallest perturbation that meets a criterion.

    Args:
        bounds: the lowest and highest value of an attacked pixel, as (0, 1); None, as in
            the published figures, for no bounds.
        batch_size: images computed at a time; a short last block is padded, so that every block is
            of one size and nothing is compiled twice.
    """

    # Whether the attack follows the model's gradient, which an `Opaque` one does not give.
    needs_gradient: ClassVar[bool] = True

    def __init__(self, *, bounds: Bounds | None = None, batch_size: int = 50) -> None:
        if batch_size < 1:
            raise InputError(f"expected a batch_size of at least 1, got {batch_size}")
        if bounds is not None and not (bounds[0] <= 0 and bounds[1] >= 1):
            raise InputError(f"expected bounds that hold all pixels from 0 to 1, got {bounds}")
        self.bounds = None if bounds is None else (float(bounds[0]), float(bounds[1]))
        self.batch_size = batch_size

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
                criterion.static(),
                tf.constant(_padded(images[rows], self.batch_size)),
                tf.constant(_padded(classes[rows], self.batch_size)),
            )
            found[rows] = met.numpy()[: len(rows)]
        for rows in self._blocks(np.flatnonzero(~found)):
            block = Block(
                images=tf.constant(_padded(images[rows], self.batch_size)),
                classes=tf.constant(_padded(classes[rows], self.batch_size)),
                criterion=criterion.static(),
                start=tf.constant(_padded(known[rows], self.batch_size), tf.float32),
                numbers=tf.constant(_padded(numbers[rows], self.batch_size), tf.int64),
            )
            outcome = [part[: len(rows)] for part in self._run(model, block)]
            deltas[rows], found[rows], late[rows] = outcome
        sizes = np.sqrt(np.mean(np.square(deltas, dtype=np.float64), axis=(1, 2, 3)))
        adversarials = np.where(found[:, None, None, None], images + deltas, images)
        return AttackResult(adversarials, np.where(found, sizes, np.inf), found, late & found)

    def _blocks(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """At most `block` rows at a time."""
        for first in range(0, len(rows), self.batch_size):
            yield rows[first : first + self.batch_size]


# Model and criterion are arguments, not closures: TensorFlow keeps one program for each pair and
# each shape, whichever attack object asks.
@compiled
def meets(model: Model, criterion: Criterion, images: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """Whether each image meets the goal: bool (B,)."""
    return criterion.met(model(images), classes)


def _padded(values: np.ndarray, size: int) -> np.ndarray:
    """Repeats the first row until there are `size` rows."""
    return np.concatenate([values, np.repeat(values[:1], size - len(values), axis=0)])
