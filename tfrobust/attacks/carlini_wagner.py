"""CleverHans' Carlini-Wagner attack in L2, mended for batches and Keras 3."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from cleverhans.tf2.attacks.carlini_wagner_l2 import CarliniWagnerL2

from tfrobust.attacks.base import Attack, Block, meets
from tfrobust.attacks.minimum_norm import known, shortened
from tfrobust.core.criteria import Criterion
from tfrobust.core.distances import Bounds, clip, norm, per_image
from tfrobust.core.opaque import Model
from tfrobust.errors import InputError

# The attack needs bounds. Without any, pixels may go as far beyond [0, 1] as it is wide.
WIDE = (-1.0, 2.0)
# CleverHans judges in a program of its own, where rounding differs on the boundary itself.
BEYOND = (1.0, 1.0001, 1.001)
# The constant of an image that was never attacked successfully grows this fast.
GROWTH = 10.0


class _Constants:
    """A constant for each image, c in the paper.

    CleverHans multiplies it with ones of the images' shape, where it means one an image.
    """

    def __init__(self, values: np.ndarray) -> None:
        self._values = tf.constant(values, tf.float32)

    def __rmul__(self, ones: tf.Tensor) -> tf.Tensor:
        return self._values


class _Adam:
    """Keras 3's Adam by the names that CleverHans calls.

    Keras 3 has no `variables()`, and among its variables, which CleverHans sets to zero before
    it begins, is the learning rate. A new Adam has no state, and no ties to a former variable.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._adam = keras.optimizers.Adam(rate)

    def variables(self) -> list[tf.Variable]:
        self._adam = keras.optimizers.Adam(self._rate)
        return []

    def apply_gradients(self, pairs: list[tuple[tf.Tensor, tf.Variable]]) -> None:
        self._adam.apply_gradients(pairs)


@tf.function(jit_compile=True)
def _two_logits(
    model: Model, criterion: Criterion, images: tf.Tensor, classes: tf.Tensor
) -> tf.Tensor:
    """The goal's margin and 0: class 1 once the goal is met."""
    margin = criterion.margin(model(images), classes)
    return tf.stack([margin, tf.zeros_like(margin)], axis=-1)


class _Goal:
    """A model of two classes, of which the second is that the goal is met.

    Classes are a variable, because CleverHans compiles anew for each attack object.
    """

    def __init__(self, model: Model, criterion: Criterion, count: int) -> None:
        self.model, self.criterion = model, criterion
        self.classes = tf.Variable(tf.zeros([count], tf.int32), trainable=False)

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        return _two_logits(self.model, self.criterion, images, self.classes)


class CarliniWagner(Attack):
    """CleverHans' Carlini-Wagner attack, whose constant is bisected per image.

    Adam minimises |δ|² + c·max(0, margin), in coordinates whose tanh are the pixels. The margin
    is the goal's own: f_y − max of the others, for `BelowChance` the log odds over a guess's,
    which CleverHans is shown as two logits, margin and 0.

    Of CleverHans 4.0.0's code the walk is used, with c from here, as two faults call for (see
    `_Constants` and `_Adam`); its own search for c lowers c ever after the first success, whether
    or not later walks succeed, and its early end looks at the sum over a batch: neither is used.

    The coordinates know no pixels outside bounds: without any these are −1 and 2, which the
    result may not leave. With (0, 1), pixels at 0 or 1 hardly move, for the tanh is flat there:
    images with a black background are attacked less well.

    Args:
        steps: of each walk.
        searches: walks, each with another c.
        rate: Adam's learning rate.
        constant: the first c; ten times as large until a walk succeeds, then bisected.
        line_steps: forward passes of a last bisection, between the clean image and the best,
            which the paper does not have.
        bounds: the lowest and highest value of an attacked pixel, as (0, 1); None for no bounds.
        batch_size: images computed at a time.

    Source: arXiv 1608.04644, as implemented by CleverHans.
    """

    def __init__(
        self,
        *,
        steps: int = 100,
        searches: int = 9,
        rate: float = 0.01,
        constant: float = 1.0,
        line_steps: int = 8,
        bounds: Bounds | None = None,
        batch_size: int = 50,
    ) -> None:
        super().__init__(bounds=bounds, batch_size=batch_size)
        if steps < 1 or searches < 1 or line_steps < 0:
            raise InputError(
                "expected steps and searches of at least 1 and line_steps not below 0, got "
                f"{steps}, {searches}, {line_steps}"
            )
        if rate <= 0 or constant <= 0:
            raise InputError(f"expected a rate and a constant above 0, got {rate}, {constant}")
        self.steps, self.searches, self.rate, self.constant = steps, searches, rate, constant
        self.line_steps = line_steps
        self._walk: Any = None

    @property
    def name(self) -> str:
        """E.g. "CleverHans CW-L2 (9 × 100 steps)"."""
        return f"CleverHans CW-L2 ({self.searches} × {self.steps} steps)"

    def _prepared(self, model: Model, criterion: Criterion, count: int) -> Any:
        """CleverHans' attack, made once: it compiles a program for each attack object."""
        walk = self._walk
        if walk is None or (walk.model_fn.model, walk.model_fn.criterion, walk.batch_size) != (
            model,
            criterion,
            count,
        ):
            low, high = self.bounds or WIDE
            walk = self._walk = CarliniWagnerL2(
                _Goal(model, criterion, count),
                y=np.ones(count, np.int32),  # given classes are targets
                batch_size=count,
                clip_min=low,
                clip_max=high,
                binary_search_steps=1,
                max_iterations=self.steps,
                abort_early=False,
                learning_rate=self.rate,
            )
            walk.optimizer = _Adam(self.rate)
        return walk

    def _run(self, model: Model, block: Block) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        images, classes, criterion = block.images, block.classes, block.criterion
        count = len(classes)
        walk = self._prepared(model, criterion, count)
        walk.model_fn.classes.assign(classes)
        best, given = known(model, block, self.bounds)
        best_size = tf.where(given, norm(best), np.inf)
        below, above = np.zeros(count), np.full(count, np.inf)
        constants = np.full(count, self.constant)
        found_by_half = given.numpy()
        for search in range(self.searches):
            walk.initial_const = _Constants(constants)
            delta = tf.constant(walk.attack(images.numpy()) - images.numpy())
            success = np.zeros(count, bool)
            for beyond in BEYOND:
                longer = clip(images, np.float32(beyond) * delta, self.bounds)
                met = meets(model, criterion, images + longer, classes)
                better = met & (norm(longer) < best_size)
                best = tf.where(per_image(better), longer, best)
                best_size = tf.where(better, norm(longer), best_size)
                success |= met.numpy()
            above, below = np.where(success, constants, above), np.where(success, below, constants)
            constants = np.where(np.isinf(above), GROWTH * constants, (below + above) / 2)
            if search == self.searches // 2:
                found_by_half = np.isfinite(best_size.numpy())
        found = np.isfinite(best_size.numpy())
        best = shortened(model, criterion, images, classes, best, self.line_steps)
        return best.numpy(), found, found & ~found_by_half
