"""CleverHans' attacks of fixed size, made minimal by bisection over sizes."""

import numpy as np
import tensorflow as tf
from cleverhans.tf2.attacks.projected_gradient_descent import projected_gradient_descent

from tfrobust.attacks.base import Attack, Block, Model
from tfrobust.attacks.criteria import Criterion
from tfrobust.attacks.paper import per_image
from tfrobust.errors import InputError

FIRST_SIZE = 0.03  # RMSE; where the search for each image's bracket begins


@tf.function(jit_compile=True)
def _stretched_logits(
    model: Model, images: tf.Tensor, offset: tf.Tensor, radius: tf.Tensor, box: bool
) -> tf.Tensor:
    moved = images + per_image(radius) * offset
    return model(tf.clip_by_value(moved, 0.0, 1.0) if box else moved)


class _UnitBalls:
    """A model of offsets in the unit ball, each stretched to its own image's radius.

    Images and radii are variables, because CleverHans compiles anew for each model object.
    """

    def __init__(
        self, model: Model, goal: type[Criterion], shape: tuple[int, ...], box: bool
    ) -> None:
        self.model, self.goal, self.box = model, goal, box
        self.images = tf.Variable(tf.zeros(shape))
        self.radius = tf.Variable(tf.zeros(shape[:1]))

    def fits(self, model: Model, goal: type[Criterion], shape: tuple[int, ...]) -> bool:
        return (self.model, self.goal, self.images.shape) == (model, goal, shape)

    def logits(self, offset: tf.Tensor) -> tf.Tensor:
        return _stretched_logits(self.model, self.images, offset, self.radius, self.box)

    def loss(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        return self.goal.loss(logits, labels)


class PGD(Attack):
    """CleverHans' projected gradient descent in L2 balls, whose radius is bisected per image.

    CleverHans takes one radius for a batch. It is given the unit ball and a model that
    stretches it to each image's own radius, which without a box is the same attack.

    Args:
        steps: of each attack.
        rounds: attacks with another radius each.
        step_size: as a share of the radius; None for 2.5/steps (Madry et al., 1706.06083).
        box: whether adversarial images stay in [0, 1].
        block: images computed at a time.

    Source: arXiv 1706.06083, as implemented by CleverHans.
    """

    def __init__(
        self,
        *,
        steps: int = 10,
        rounds: int = 9,
        step_size: float | None = None,
        box: bool = False,
        block: int = 50,
    ) -> None:
        super().__init__(box=box, block=block)
        if steps < 1 or rounds < 1:
            raise InputError(f"expected steps and rounds of at least 1, got {steps} and {rounds}")
        self.steps, self.rounds = steps, rounds
        self.step_size = min(1.0, 2.5 / steps if step_size is None else step_size)
        self._balls: _UnitBalls | None = None

    @property
    def name(self) -> str:
        """E.g. "CleverHans PGD-L2 (10 steps × 9 sizes)"."""
        return f"CleverHans PGD-L2 ({self.steps} steps × {self.rounds} sizes)"

    def _run(self, model: Model, block: Block) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        images, classes, goal = block.images, block.classes, block.goal
        count = len(classes)
        if self._balls is None or not self._balls.fits(model, goal, tuple(images.shape)):
            self._balls = _UnitBalls(model, goal, tuple(images.shape), self.box)
            # Bound once: CleverHans tells functions apart by identity.
            self._logits, self._loss = self._balls.logits, self._balls.loss
        self._balls.images.assign(images)
        self._balls.radius.assign(tf.zeros(count))
        origin = tf.zeros_like(images)
        best = np.zeros(images.shape, np.float32)
        found = goal.met(self._logits(origin), classes).numpy()
        best_size = np.where(found, 0.0, np.inf)
        below, above = np.zeros(count), np.full(count, np.inf)
        size = np.full(count, FIRST_SIZE)
        unit_per_rmse = float(np.sqrt(np.prod(images.shape[1:])))
        for _ in range(self.rounds):
            self._balls.radius.assign(size * unit_per_rmse)
            offset = projected_gradient_descent(
                self._logits,
                origin,
                eps=1.0,
                eps_iter=self.step_size,
                nb_iter=self.steps,
                norm=2,
                # CleverHans raises the loss that it is given.
                loss_fn=self._loss,
                y=classes,
            )
            met = goal.met(self._logits(offset), classes).numpy()
            delta = (offset * per_image(self._balls.radius)).numpy()
            if self.box:
                delta = np.clip(images + delta, 0.0, 1.0) - images.numpy()
            # The walk may end inside its ball: what counts is where it ended.
            reached = np.sqrt(np.mean(np.square(delta, dtype=np.float64), axis=(1, 2, 3)))
            better = met & (reached < best_size)
            best[better], best_size[better] = delta[better], reached[better]
            found |= met
            above, below = np.where(met, size, above), np.where(met, below, size)
            # Doubled or halved until both ends are known, then their geometric middle.
            size = np.where(
                np.isinf(above),
                2 * below,
                np.where(below == 0, above / 2, np.sqrt(above * np.maximum(below, 1e-12))),
            )
        return best, found, np.zeros(count, bool)
