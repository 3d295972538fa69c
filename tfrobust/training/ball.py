"""Adversarial training by projected gradient ascent in a ball: Madry's and TRADES."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf
from cleverhans.tf2.utils import clip_eta, optimize_linear

from tfrobust.core.classifier import Model
from tfrobust.core.gradients import input_gradient
from tfrobust.errors import InputError
from tfrobust.training.perturber import Perturber, hardness

NORMS = {"l2": 2, "linf": math.inf}
# All steps together are this many times as long as the ball's radius (arXiv 1706.06083).
REACH = 2.5
# Standard deviation, in pixels, of the random start of TRADES. It cannot start at the image
# itself, where the gradient of the divergence is 0.
TRADES_START = 1e-3


class BallPerturber(Perturber):
    """Projected gradient ascent in a ball, from a random start. Pixels stay in [0, 1].

    The step and the projection are CleverHans' own, in the order of its
    `projected_gradient_descent`. The loop is ours, for two reasons. CleverHans draws the random
    start from TensorFlow's global generator, which a resumed or distributed training cannot
    repeat. And it compiles and keeps a program for every model object, of which each trace of a
    training step makes a new one.

    Args:
        norm: "l2" or "linf".
        epsilon: the radius of the ball, for pixels from 0 to 1: an RMSE for "l2", the largest
            change of a pixel for "linf". None for 0.01 or 8/255.
        steps: how many steps, each of length 2.5·epsilon/steps.
        share: of the images of a batch that are perturbed, above 0 and at most 1.

    Raises:
        InputError: an unknown norm, or a number outside its range.
    """

    def __init__(
        self, *, norm: str, epsilon: float | None = None, steps: int, share: float = 1.0
    ) -> None:
        if norm not in NORMS:
            raise InputError(f"expected a norm of {', '.join(NORMS)}, got {norm!r}")
        if epsilon is None:
            epsilon = 0.01 if norm == "l2" else 8 / 255
        super().__init__(epsilon=epsilon, steps=steps, share=share)
        self.norm = norm

    def draws_per_image(self, shape: Sequence[int]) -> int:
        """One for the share, one for the size of the start, one a value for its direction."""
        return 2 + math.prod(shape)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same perturber."""
        return {**super().get_config(), "norm": self.norm}

    def _ascend(
        self,
        model: Model,
        images: tf.Tensor,
        offset: tf.Tensor,
        objective: Callable[[tf.Tensor], tf.Tensor],
    ) -> tf.Tensor:
        """Moves each image uphill on its objective, within its ball, from images + offset."""
        norm, radius = NORMS[self.norm], self._radius(images)
        step = REACH * radius / self.steps
        moved = tf.clip_by_value(images + clip_eta(offset, norm, radius), 0.0, 1.0)
        for _ in range(self.steps):
            _, gradient = input_gradient(model, moved, objective)
            moved = tf.clip_by_value(moved + optimize_linear(gradient, step, norm), 0.0, 1.0)
            moved = images + clip_eta(moved - images, norm, radius)
            moved = tf.clip_by_value(moved, 0.0, 1.0)
        return moved

    def _radius(self, images: tf.Tensor) -> float:
        """The radius as the norm measures it: L2 = RMSE·sqrt(H·W·C)."""
        return self.epsilon * (math.sqrt(math.prod(images.shape[1:])) if self.norm == "l2" else 1)


@keras.saving.register_keras_serializable(package="tfrobust")
class Madry(BallPerturber):
    """Madry's adversarial training: PGD from a random start, uniform in the ball.

    By default there are 7 steps of about 3/255 with radius 8/255 for "linf" (the source takes 7
    steps of 2/255), and the radius of the paper's "L2", an RMSE of 0.01, for "l2".

    Args:
        norm: "l2" or "linf".
        epsilon: the radius of the ball, for pixels from 0 to 1: an RMSE for "l2", the largest
            change of a pixel for "linf". None for the default.
        steps: how many steps, each of length 2.5·epsilon/steps.
        share: of the images of a batch that are perturbed, above 0 and at most 1.

    Source: Madry et al., arXiv 1706.06083.
    """

    def __init__(
        self, *, norm: str, epsilon: float | None = None, steps: int = 7, share: float = 1.0
    ) -> None:
        super().__init__(norm=norm, epsilon=epsilon, steps=steps, share=share)

    def _perturb(
        self, model: Model, images: tf.Tensor, labels: tf.Tensor, start: tf.Tensor
    ) -> tf.Tensor:
        draws = tf.cast(start, images.dtype)
        if self.norm == "linf":
            offset = tf.reshape((2.0 * draws[:, 1:] - 1.0) * self.epsilon, tf.shape(images))
        else:
            direction = tf.math.l2_normalize(_normal(draws[:, 1:]), axis=1)
            size = self._radius(images) * draws[:, :1] ** (1.0 / math.prod(images.shape[1:]))
            offset = tf.reshape(size * direction, tf.shape(images))
        return self._ascend(model, images, offset, lambda logits: hardness(logits, labels))


@keras.saving.register_keras_serializable(package="tfrobust")
class Trades(BallPerturber):
    """TRADES: the cross-entropy of the clean images plus β·KL(f(x) ‖ f(x')).

    x' is an image in the ball around x, found by going uphill on that divergence. The network
    gets the clean and the perturbed images as two batches, and its moving averages see both, as
    in the authors' code. Their attack runs in inference mode. Ours runs in training mode, like
    the other perturbers here.

    Args:
        beta: β, the weight of the divergence, above 0.
        norm: "l2" or "linf".
        epsilon: the radius of the ball, for pixels from 0 to 1: an RMSE for "l2", the largest
            change of a pixel for "linf". None for 0.01 or 8/255.
        steps: how many steps, each of length 2.5·epsilon/steps.
        share: of the images of a batch that are perturbed. The others add no divergence.

    Source: Zhang et al., arXiv 1901.08573. β = 6, 10 steps and the start at a distance of .001
    are those of its CIFAR-10 example.
    """

    replaces = False

    def __init__(
        self,
        *,
        beta: float = 6.0,
        norm: str = "linf",
        epsilon: float | None = None,
        steps: int = 10,
        share: float = 1.0,
    ) -> None:
        super().__init__(norm=norm, epsilon=epsilon, steps=steps, share=share)
        if not 0 < beta < math.inf:
            raise InputError(f"expected a beta above 0, got {beta}")
        self.beta = float(beta)

    def loss(self, logits: tf.Tensor, perturbed_logits: tf.Tensor) -> tf.Tensor:
        """β times the mean of KL(f(x) ‖ f(x')) of the images, in nats: (B, K), (B, K) → scalar."""
        return self.beta * tf.reduce_mean(_divergence(logits, perturbed_logits))

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same perturber."""
        return {**super().get_config(), "beta": self.beta}

    def _perturb(
        self, model: Model, images: tf.Tensor, labels: tf.Tensor, start: tf.Tensor
    ) -> tf.Tensor:
        clean = model(images)
        offset = TRADES_START * _normal(tf.cast(start[:, 1:], images.dtype))
        return self._ascend(
            model,
            images,
            tf.reshape(offset, tf.shape(images)),
            lambda logits: _divergence(clean, logits),
        )


def _divergence(logits: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """KL(softmax of logits ‖ softmax of others), in nats: (B, K), (B, K) → (B,)."""
    first, second = tf.nn.log_softmax(logits), tf.nn.log_softmax(others)
    return tf.reduce_sum(tf.exp(first) * (first - second), axis=-1)


def _normal(draws: tf.Tensor) -> tf.Tensor:
    """Standard normal numbers from uniform ones in [0, 1)."""
    # Float32 draws are multiples of 2^-23. Half of that is added because the normal quantile of
    # 0 is infinite.
    return tf.math.ndtri(draws + 2.0**-24)
