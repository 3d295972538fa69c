"""What would change the decision: the smallest perturbation that reaches another class."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from tfrobust.attacks.base import Attack, AttackResult
from tfrobust.attacks.linearized_margin import LinearizedMargin
from tfrobust.attacks.sparse import SparseL1
from tfrobust.core.classifier import Classifier, Model, logits_of
from tfrobust.core.criteria import Misclassified, TargetClass, class_margin
from tfrobust.core.gradients import input_gradient
from tfrobust.errors import InputError
from tfrobust.explanations.base import Method, nothing
from tfrobust.explanations.explanation import Explanation
from tfrobust.explanations.targets import confidence, question


@dataclasses.dataclass(frozen=True, kw_only=True)
class SmallestChange(Method):
    """The smallest perturbation found that makes the network see a chosen class.

    For targets of None or −1: any class but the predicted one. `target` of the result is the
    class reached, `reached` says whether there was one. Images that the network already sees as
    the target stay as they are. The size is an upper bound, as good as the attack.

    Args:
        attack: what searches; `LinearizedMargin()` when None.

    Source: counterfactual explanations, arXiv 1711.00399, by our `LinearizedMargin`.
    """

    attack: Attack | None = None

    @property
    def name(self) -> str:
        """The method's name; `attack.name` says by what."""
        return "smallest change"

    def search(self) -> Attack:
        """What searches."""
        return self.attack or LinearizedMargin(batch_size=8)

    def __call__(self, model: Model, images: Any, targets: Any = None) -> Explanation:
        """Explains images: see `Method`, and the class for what −1 means."""
        attack = self.search()
        network, images, targets = question(model, images, targets)
        if not len(images):
            return nothing(images, self.name)
        size = 1 if len(images) == 1 else attack.batch_size
        logits = logits_of(network, images, size)
        predicted = logits.argmax(axis=-1).astype(np.int32)
        rivals = logits.copy()
        rivals[np.arange(len(images)), predicted] = -np.inf
        explanation, reached = images.copy(), np.zeros(len(images), bool)
        for rows, chosen in ((targets < 0, False), (targets >= 0, True)):
            if rows.any():
                criterion = TargetClass(targets[rows]) if chosen else Misclassified()
                found: AttackResult = attack(network, images[rows], predicted[rows], criterion)
                explanation[rows], reached[rows] = found.adversarials, found.found
        difference = explanation - images
        after = logits_of(network, explanation, size)
        seen = np.where(reached, after.argmax(axis=-1), rivals.argmax(axis=-1))
        target = np.where(targets < 0, seen, targets).astype(np.int32)
        return Explanation(
            explanation=explanation,
            difference=difference,
            target=target,
            confidence_before=confidence(network.shown(tf.constant(logits)), target).numpy(),
            confidence_after=confidence(network.shown(tf.constant(after)), target).numpy(),
            rmse=np.sqrt(np.mean(np.square(difference), axis=(1, 2, 3))),
            rho=0.0,
            reached=reached,
            attribution=difference,
            map=np.abs(difference).sum(axis=-1),
            method=self.name,
        )

    def check_model(self, model: Classifier) -> None:
        """Leaves it to the attack what it needs."""

    def attribution(self, model: Classifier, images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """See `Method.attribution`: the gradient of the target's margin, the search's beginning."""
        _, gradient = input_gradient(model, images, lambda logits: class_margin(logits, targets))
        return gradient


@dataclasses.dataclass(frozen=True, kw_only=True)
class SparseChange(SmallestChange):
    """The smallest change in L1 norm that makes the network see a chosen class.

    Few values change, each a lot, and all stay from 0 to 1. With a region, only pixels inside it
    may change: is there anything *there* that would turn the decision?

    Args:
        attack: what searches; `SparseL1(region=region)` when None.
        region: bool (H, W), where pixels may change; None for everywhere.

    Raises:
        InputError: both an attack and a region, or a region that is no array of bool (H, W).

    Source: counterfactual explanations, arXiv 1711.00399, which take the L1 norm so that few
    values change; by our `SparseL1`.
    """

    region: Any = None

    def __post_init__(self) -> None:
        if self.attack is not None and self.region is not None:
            raise InputError("expected an attack or a region, got both: give SparseL1 the region")
        self.search()

    @property
    def name(self) -> str:
        """The method's name, which says whether a region bounds it."""
        return "sparse change" if self.region is None else "sparse change in a region"

    def search(self) -> Attack:
        """What searches."""
        return self.attack or SparseL1(region=self.region, batch_size=8)
