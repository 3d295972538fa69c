"""What every attack shares: the call with its checks, blocks of one size, and the result."""

import dataclasses
from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf

from tfrobust.core.batching import batches
from tfrobust.core.bounds import Bounds, checked_bounds
from tfrobust.core.classifier import Classifier, Model, compiled
from tfrobust.core.config import Configured
from tfrobust.core.criteria import Misclassified
from tfrobust.core.criterion import Criterion
from tfrobust.core.distances import rmse64
from tfrobust.core.door import as_classifier, as_labels
from tfrobust.core.images import checked_images, checked_label_rows, checked_labels
from tfrobust.core.records import brief
from tfrobust.errors import InputError


@dataclasses.dataclass(frozen=True)
class AttackResult:
    """The smallest perturbation that an attack found for each of N images.

    Args:
        adversarials: float32 (N, H, W, C), the perturbed images; the clean image where nothing
            was found.
        rmse: float64 (N,), each perturbation's size as RMSE in units of pixels from 0 to 1. It is
            0 where the clean image meets the criterion, and infinite where nothing was found.
        found: bool (N,), whether the criterion is met.
        late: bool (N,), whether the attack met the criterion only in the second half of its
            search, so that more steps would probably find a smaller perturbation.
    """

    adversarials: np.ndarray
    rmse: np.ndarray
    found: np.ndarray
    late: np.ndarray

    __repr__ = brief


class Block(NamedTuple):
    """The B images that an attack works on at a time.

    Args:
        images: float32 (B, H, W, C) in [0, 1].
        classes: int32 (B,), the class of each image that the criterion is about.
        criterion: what the attack looks for. It is `Criterion.static`: what it keeps for each
            image is in `classes`.
        start: float32 (B, H, W, C), a perturbation that another attack found, which may be
            improved on; zeros where none is known.
        numbers: int64 (B,), the number of each image in its data set. Random draws depend on it,
            and not on the block.
    """

    images: tf.Tensor
    classes: tf.Tensor
    criterion: Criterion
    start: tf.Tensor
    numbers: tf.Tensor


def at_least(least: float, **settings: float) -> None:
    """Refuses settings that are too small.

    Raises:
        InputError: names the first of them.
    """
    for name, value in settings.items():
        if value < least:
            raise InputError(f"expected {name} of at least {least:g}, got {value}")


@dataclasses.dataclass(kw_only=True, eq=False)
class Attack(Configured, ABC):
    """Searches for each image the smallest perturbation that meets a criterion.

    Attacks with the same class and hyper-parameters are equal: see `config`.

    Args:
        bounds: (0, 1) to keep attacked pixels from 0 to 1, as images are; None, as in the published
            figures, for no bounds.
        batch_size: how many images are computed at a time. A short last batch is padded, so that
            all are of one size and nothing is compiled twice.

    Raises:
        InputError: a hyper-parameter is outside its range.
    """

    # Whether the attack follows the model's gradient, which an `Opaque` one does not give.
    needs_gradient: ClassVar[bool] = True
    # Whether it tells which perturbations it found only late in its search.
    tells_late: ClassVar[bool] = False

    bounds: Bounds | None = None
    batch_size: int = 50

    def __post_init__(self) -> None:
        at_least(1, batch_size=self.batch_size)
        self.bounds = checked_bounds(self.bounds)

    @property
    @abstractmethod
    def name(self) -> str:
        """What reports call the attack, with its number of steps."""

    @property
    def gradients(self) -> int | None:
        """How many gradients of the model it takes for each image, at most.

        None where nobody counted.
        """
        return None if self.needs_gradient else 0

    @property
    def judgements(self) -> int | None:
        """How many answers it asks for besides those of its gradients, for each image at most.

        None where nobody counted.
        """
        return None

    @property
    def queries(self) -> int | None:
        """How many answers it asks the model for, for each image at most, if it needs no gradient.

        The packing of images into blocks is left out. None where nobody counted.
        """
        return None

    @property
    def searches_linf(self) -> bool:
        """Whether it looks for perturbations that are small in L∞, and not in L2."""
        return False

    @abstractmethod
    def _run(self, model: Classifier, block: Block) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Attacks one block.

        Returns:
            Perturbations float32 (B, H, W, C), whether each meets the criterion, bool (B,), and
            whether it was found late, bool (B,).
        """

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
            model: a network, or a function of images (B, H, W, C) that gives logits (B, K); see
                `as_classifier`. Most attacks take its gradient.
            images: float (N, H, W, C) in [0, 1].
            labels: int (N,), the true classes, from 0 to K − 1; for a criterion about labels that
                may hold together (N, K) of 0 and 1.
            criterion: what to look for; `Misclassified()` when None.
            start: what another attack found for the same images. Attacks that can begin there.
            numbers: int (N,), the number of each image in its data set, for attacks that draw
                random numbers; 0 to N − 1 when None.

        Returns:
            The smallest perturbation that this attack found for each image.

        Raises:
            InputError: images outside [0, 1], labels that do not fit them or the model, or a
                model without a gradient where the attack needs one.
        """
        criterion = criterion or Misclassified()
        model = as_labels(model) if criterion.of_labels else as_classifier(model)
        if self.needs_gradient and not model.has_gradient:
            raise InputError(
                f"expected a model with a gradient, which {self.name} follows, but {model.name} "
                "only gives answers; attack it with FiniteDifferences, Square or Decision"
            )
        images = checked_images(images, model)
        num_classes = model.num_classes
        if len(images):
            num_classes = model.check(images, needs_gradient=self.needs_gradient)
        if criterion.of_labels:
            labels = checked_label_rows(labels, len(images), num_classes)
        else:
            labels = checked_labels(labels, len(images), num_classes)
        classes = criterion.classes(labels)
        of_labels, criterion = criterion.of_labels, criterion.static()
        most = np.inf if of_labels or num_classes is None else num_classes
        if len(classes) and not 0 <= classes.min() <= classes.max() < most:
            raise InputError(
                f"expected a criterion about classes from 0 to {(num_classes or 0) - 1}, "
                f"which {model.name} tells apart, got {classes.min()} to {classes.max()}"
            )
        numbers = np.arange(len(images)) if numbers is None else np.asarray(numbers)
        deltas = np.zeros_like(images)
        found, late = np.zeros((2, len(images)), bool)
        known = np.zeros_like(images)
        if start is not None:
            known = np.where(start.found[:, None, None, None], start.adversarials - images, 0)
        # Images that meet the criterion as they are need no search. The others are packed.
        for rows, asked in batches(len(images), self.batch_size):
            met = meets(model, criterion, tf.constant(images[rows]), tf.constant(classes[rows]))
            found[rows[:asked]] = met[:asked]
        for rows, asked in batches(np.flatnonzero(~found), self.batch_size):
            block = Block(
                images=tf.constant(images[rows]),
                classes=tf.constant(classes[rows]),
                criterion=criterion,
                start=tf.constant(known[rows], tf.float32),
                numbers=tf.constant(numbers[rows], tf.int64),
            )
            outcome = [part[:asked] for part in self._run(model, block)]
            rows = rows[:asked]
            deltas[rows], found[rows], late[rows] = outcome
        adversarials = np.where(found[:, None, None, None], images + deltas, images)
        return AttackResult(
            adversarials, np.where(found, rmse64(deltas), np.inf), found, late & found
        )


# The model and the criterion are arguments and no closures: TensorFlow then keeps one program for
# each pair of them and each shape, whichever attack asks.
@compiled
def judged(
    model: Classifier, criterion: Criterion, images: tf.Tensor, classes: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Whether each image meets the criterion, and the criterion's margin.

    Args:
        model: images (B, H, W, C) → logits (B, K).
        criterion: what to judge by.
        images: float32 (B, H, W, C).
        classes: int32 (B,), the class of each image that the criterion is about.

    Returns:
        bool (B,) and float32 (B,).
    """
    logits = model(images)
    return criterion.met(logits, classes), criterion.margin(logits, classes)


def meets(
    model: Classifier, criterion: Criterion, images: tf.Tensor, classes: tf.Tensor
) -> tf.Tensor:
    """Whether each image meets the criterion, bool (B,). The arguments are those of `judged`."""
    return judged(model, criterion, images, classes)[0]
