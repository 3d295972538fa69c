"""An attack on another network, tried on this one: nothing but decisions is asked of it."""

import numpy as np
import tensorflow as tf

from tfrobust.attacks.base import Attack, Block, meets
from tfrobust.attacks.linearized_margin import LinearizedMargin
from tfrobust.core.distances import clip, per_image
from tfrobust.core.opaque import Model
from tfrobust.errors import InputError


class Transfer(Attack):
    """The surrogate's perturbations, each scaled to the smallest size that does on the model.

    Scales grow by half from an eighth up to the factor, until one meets the goal; between it and
    the one before (the clean image before the first) it is bisected. An image that meets the
    goal on the surrogate as it is gives no direction and is not found. The model's gradient is
    not taken: where this finds smaller sizes than attacks that take it, that gradient is masked.

    Args:
        surrogate: another network for the same classes; gives logits, and gradients if the
            attack takes them.
        attack: computed on the surrogate; its bounds and batch size hold for the result. A
            `LinearizedMargin()` when None.
        factor: the largest scale.
        line_steps: forward passes of the bisection.

    Source: Papernot et al., arXiv 1605.07277; the line search is ours.
    """

    def __init__(
        self,
        *,
        surrogate: Model,
        attack: Attack | None = None,
        factor: float = 32.0,
        line_steps: int = 12,
    ) -> None:
        attack = attack or LinearizedMargin()
        super().__init__(bounds=attack.bounds, batch_size=attack.batch_size)
        if not callable(surrogate):
            raise InputError(
                f"expected a surrogate that gives logits for images, got {surrogate!r}"
            )
        if factor < 1 or line_steps < 0:
            raise InputError(
                "expected a factor of at least 1 and line_steps not below 0, got "
                f"{factor}, {line_steps}"
            )
        self.surrogate, self.attack, self.line_steps = surrogate, attack, line_steps
        self.factor = factor

    @property
    def name(self) -> str:
        """E.g. "transfer of linearized margin (60 steps, 6 rivals)"."""
        return f"transfer of {self.attack.name}"

    @property
    def scales(self) -> np.ndarray:
        """What is tried, float32, ascending."""
        steps = int(np.ceil(np.log(self.factor * 8) / np.log(1.5)))
        return np.geomspace(1 / 8, self.factor, steps + 1).astype(np.float32)

    def _run(self, model: Model, block: Block) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        # What is known to meet the goal is known of the model, not of the surrogate.
        foreign = block._replace(start=tf.zeros_like(block.start))
        deltas, given, _ = self.attack._run(self.surrogate, foreign)
        directions = tf.constant(np.where(given[:, None, None, None], deltas, 0), tf.float32)

        def moved(scale: np.ndarray) -> tf.Tensor:
            whole = per_image(tf.constant(scale, tf.float32)) * directions
            return clip(block.images, whole, self.bounds)

        def does(scale: np.ndarray) -> np.ndarray:
            return meets(model, block.criterion, block.images + moved(scale), block.classes).numpy()

        short = np.zeros(len(given), np.float32)
        long = np.zeros_like(short)
        found = np.zeros_like(given)
        for scale in self.scales:
            met = does(np.full_like(short, scale)) & given & ~found
            long[met] = scale
            found |= met
            short[~found] = scale
            if found[given].all():
                break
        for _ in range(self.line_steps):
            middle = (short + long) / 2
            met = does(middle) & found
            short, long = np.where(met, short, middle), np.where(met, middle, long)
        return moved(np.where(found, long, 0)).numpy(), found, np.zeros_like(found)
