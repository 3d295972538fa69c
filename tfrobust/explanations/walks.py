"""The walks that lead to an adversarial explanation, one gradient a step.

The Frank–Wolfe walk stays on the sphere of all changes of the size that is asked for. Each step
takes it a share of the way to where the gradient points, and back onto the sphere. It needs a
third of the gradients of the paper's walk, which leaves the sphere and returns again and again.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfrobust.attacks.walk import advance, step_lengths
from tfrobust.core.classifier import Classifier, Model, answers, compiled
from tfrobust.core.criteria import cross_entropy, log_odds
from tfrobust.core.distances import per_image, rmse, unit
from tfrobust.core.gradients import input_gradient
from tfrobust.explanations.targets import confidence, resolved

MAX_RHO = 1.0


@dataclasses.dataclass(frozen=True)
class Walk:
    """A rule for steps from an image to its explanation.

    Args:
        sizes: of the steps, one for each.
        objective: logits (B, K), classes int (B,) → float (B,), which g_explain+ raises.
        advance: delta (B, H, W, C), the objective's gradient, rho (B,) and a step's size → the new
            delta.
    """

    sizes: tuple[float, ...]
    objective: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    advance: Callable[[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]

    def step(
        self,
        model: Model,
        images: tf.Tensor,
        target: tf.Tensor,
        direction: tf.Tensor,
        rho: tf.Tensor,
        delta: tf.Tensor,
        size: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """One step towards the target, or away from it.

        Args:
            model: images (B, H, W, C) → logits (B, K).
            images: float32 (B, H, W, C) in [0, 1].
            target: int32 (B,), the class explained; −1 for the one predicted where the walk stands.
            direction: float32 (B,), +1 to raise the class's confidence, −1 to lower it.
            rho: float32 (B,), the explanation's RMSE.
            delta: float32 (B, H, W, C), where the walk stands.
            size: float32 scalar, one of `sizes`.

        Returns:
            The logits where the walk stood, and the new delta.
        """
        logits, gradient = input_gradient(
            model,
            images + delta,
            lambda logits: direction * self.objective(logits, resolved(target, logits)),
        )
        return logits, self.advance(delta, gradient, rho, size)


def _on_the_sphere(
    delta: tf.Tensor, gradient: tf.Tensor, rho: tf.Tensor, share: tf.Tensor
) -> tf.Tensor:
    """A share of the way to the sphere's point along the gradient, then onto the sphere.

    Where the gradient is 0 the delta stays; in the first step it then stays 0.
    """
    mixed = (1.0 - share) * unit(delta) + share * unit(gradient)
    values = tf.cast(tf.reduce_prod(tf.shape(delta)[1:]), tf.float32)
    return per_image(rho * tf.sqrt(values)) * unit(mixed)


def _as_in_the_paper(
    delta: tf.Tensor, gradient: tf.Tensor, rho: tf.Tensor, length: tf.Tensor
) -> tf.Tensor:
    """Inside the ball along the gradient, outside it back towards the image."""
    # Without momentum the velocity is the direction itself, which takes each image's own rho.
    _, velocity = advance(delta, tf.zeros_like(delta), gradient, rmse(delta) >= rho, length, 0.0)
    return delta + length * per_image(rho) * velocity


# The first step goes all the way; then the shares shrink evenly. The log-odds of a class have the
# gradient's direction of its cross-entropy, but do not vanish where the network is sure.
SHARES = (1.0, *(0.1 + 0.7 * np.arange(9, 0, -1) / 10).tolist())
FRANK_WOLFE = Walk(SHARES, log_odds, _on_the_sphere)
PAPER = Walk(
    tuple(step_lengths(35, 5.0).tolist()),
    lambda logits, target: -cross_entropy(logits, target),
    _as_in_the_paper,
)
WALKS = {"frank_wolfe": FRANK_WOLFE, "paper": PAPER}


def walked(
    walk: Walk,
    network: Classifier,
    images: tf.Tensor,
    target: tf.Tensor,
    direction: tf.Tensor,
    rho: tf.Tensor,
) -> dict[str, tf.Tensor]:
    """A whole walk, in one compiled program a step, which is faster than a compiled loop.

    Args:
        walk: the rule.
        network: images (B, H, W, C) → logits (B, K).
        images: float32 (B, H, W, C) in [0, 1].
        target: int32 (B,), the class explained; −1 for the predicted class.
        direction: float32 (B,), +1 or −1.
        rho: float32 (B,), RMSE in units of pixels from 0 to 1.

    Returns:
        explanation, difference, target, confidence_before, confidence_after and rmse, as in
        `Explanation`.
    """
    first, *others = map(tf.constant, walk.sizes)
    delta = tf.zeros_like(images)
    before, delta = _step(walk, network, images, target, direction, rho, delta, first)
    target = resolved(target, before)
    for size in others:
        _, delta = _step(walk, network, images, target, direction, rho, delta, size)
    after = answers(network, images + delta)
    return _outcome(network.shown(before), network.shown(after), images, target, delta)


def walk_graph(
    model: Model,
    images: tf.Tensor,
    target: tf.Tensor,
    direction: tf.Tensor,
    rho: tf.Tensor,
    temperature: float = 1.0,
) -> dict[str, tf.Tensor]:
    """The Frank–Wolfe walk as one graph with a loop, for exports.

    Args:
        model: images (B, H, W, C) → logits (B, K).
        images, target, rho: as for `walked`; rho is brought into [0, 1].
        direction: int32 (B,): below 0 lowers the class's confidence, else raises it.
        temperature: by which logits are divided before they become confidences.

    Returns:
        What `walked` gives, and `gradient`, float32 (B, H, W, C): that of the logarithm of the
        target's softmax, without the temperature, at the explanation.
    """
    sign = tf.where(direction < 0, -1.0, 1.0)
    rho = tf.clip_by_value(rho, 0.0, MAX_RHO)
    shares = tf.constant(FRANK_WOLFE.sizes)
    before = model(images)
    target = tf.minimum(resolved(target, before), tf.shape(before)[-1] - 1)
    _, delta = tf.while_loop(
        lambda step, delta: step < len(SHARES),
        lambda step, delta: (
            step + 1,
            FRANK_WOLFE.step(model, images, target, sign, rho, delta, shares[step])[1],
        ),
        (tf.constant(0), tf.zeros_like(images)),
        maximum_iterations=len(SHARES),
    )
    after, gradient = input_gradient(
        model, images + delta, lambda logits: -cross_entropy(logits, target)
    )
    if temperature != 1:  # a division by 1 would be one more operation for every runtime
        before, after = before / temperature, after / temperature
    return {**_outcome(before, after, images, target, delta), "gradient": gradient}


def _outcome(
    before: tf.Tensor, after: tf.Tensor, images: tf.Tensor, target: tf.Tensor, delta: tf.Tensor
) -> dict[str, tf.Tensor]:
    """What a walk found, from the logits before and after it that confidences are made of."""
    return {
        "explanation": images + delta,
        "difference": delta,
        "target": target,
        "confidence_before": confidence(before, target),
        "confidence_after": confidence(after, target),
        "rmse": rmse(delta),
    }


_step = compiled(Walk.step)
