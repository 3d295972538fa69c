"""An attack on another network, tried on this one, which is asked for nothing but decisions."""

import dataclasses

import numpy as np
import tensorflow as tf

from tfrobust.attacks.base import Attack, Block, meets
from tfrobust.attacks.line_search import bisected
from tfrobust.attacks.linearized_margin import LinearizedMargin
from tfrobust.core.bounds import Bounds
from tfrobust.core.classifier import Classifier, Model
from tfrobust.core.distances import clip, per_image
from tfrobust.core.door import as_classifier
from tfrobust.errors import InputError


@dataclasses.dataclass(kw_only=True, eq=False)
class Transfer(Attack):
    """A surrogate's perturbations, each scaled to the smallest size that does on the model.

    The scale grows by half from an eighth up to the factor, until the criterion is met. Then it
    is bisected between this scale and the one before, which is 0 at first. An image that meets
    the criterion on the surrogate as it is gives no direction, and is not found. The model's
    gradient is not taken: where this attack finds smaller sizes than attacks that do take it, the
    model's gradient is masked.

    Args:
        surrogate: another network for the same classes: images (B, H, W, C) → logits (B, K). It
            must have a gradient if the attack takes one.
        attack: what is run on the surrogate; a `LinearizedMargin` when None. Its bounds and its
            batch size hold for the result too.
        factor: the largest scale, at least 1.
        line_steps: forward passes of the bisection.

    Raises:
        InputError: a surrogate that is no function, or a number outside its range; when called, a
            criterion about labels that may hold together.

    Source: Papernot et al., arXiv 1605.07277. The line search is ours.
    """

    # The model's; the surrogate's is taken.
    needs_gradient = False

    bounds: Bounds | None = dataclasses.field(default=None, init=False)
    batch_size: int = dataclasses.field(default=50, init=False)
    surrogate: Model = dataclasses.field(repr=False)
    attack: Attack = dataclasses.field(default_factory=LinearizedMargin)
    factor: float = 32.0
    line_steps: int = 12

    def __post_init__(self) -> None:
        self.bounds, self.batch_size = self.attack.bounds, self.attack.batch_size
        super().__post_init__()
        surrogate = as_classifier(self.surrogate)
        if self.attack.needs_gradient and not surrogate.has_gradient:
            raise InputError(
                f"expected a surrogate with a gradient, which {self.attack.name} follows, but "
                f"{surrogate.name} only gives answers"
            )
        if self.factor < 1 or self.line_steps < 0:
            raise InputError(
                "expected a factor of at least 1 and line_steps not below 0, got "
                f"{self.factor}, {self.line_steps}"
            )

    @property
    def name(self) -> str:
        """E.g. "transfer of linearized margin (60 steps, 6 rivals)"."""
        return f"transfer of {self.attack.name}"

    @property
    def scales(self) -> np.ndarray:
        """The scales that are tried, float32, ascending."""
        steps = int(np.ceil(np.log(self.factor * 8) / np.log(1.5)))
        return np.geomspace(1 / 8, self.factor, steps + 1).astype(np.float32)

    @property
    def queries(self) -> int:
        """One for each scale, and the bisection."""
        return len(self.scales) + self.line_steps + 1

    @property
    def searches_linf(self) -> bool:
        """As the attack on the surrogate does."""
        return self.attack.searches_linf

    def _run(self, model: Classifier, block: Block) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if block.criterion.of_labels:
            raise InputError(
                "expected a criterion about classes, which a surrogate tells apart, got "
                f"{type(block.criterion).__name__}. Attack one label: give as_classifier(network, "
                "label=0) as the model and the same label of the other network as the surrogate"
            )
        # The start meets the criterion on the model, which says nothing about the surrogate.
        foreign = block._replace(start=tf.zeros_like(block.start))
        deltas, given, _ = self.attack._run(as_classifier(self.surrogate), foreign)
        directions = tf.constant(np.where(given[:, None, None, None], deltas, 0), tf.float32)

        def moved(scale: tf.Tensor) -> tf.Tensor:
            return clip(block.images, per_image(scale) * directions, self.bounds)

        def met(scale: tf.Tensor) -> tf.Tensor:
            return meets(model, block.criterion, block.images + moved(scale), block.classes)

        short = np.zeros(len(given), np.float32)
        long = np.zeros_like(short)
        found = np.zeros_like(given)
        for scale in self.scales:
            does = met(tf.fill([len(given)], scale)).numpy() & given & ~found
            long[does] = scale
            found |= does
            short[~found] = scale
            if found[given].all():
                break
        long = bisected(met, tf.constant(short), tf.constant(long), self.line_steps)
        return moved(tf.where(found, long, 0.0)).numpy(), found, np.zeros_like(found)
