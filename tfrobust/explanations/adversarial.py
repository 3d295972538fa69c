"""Adversarial explanations: the image changed so that the network is surer, or less sure.

On a robust network the attack itself is the explanation, for it is made of the network's own
response: Woods et al., arXiv 1906.02896, "Adversarial explanations" (g_explain+, g_explain−).
"""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from tfrobust.attacks.base import Model, check_images
from tfrobust.attacks.criteria import cross_entropy
from tfrobust.attacks.paper import advance, input_gradient, per_image, rmse, step_lengths
from tfrobust.errors import InputError

STEPS = 35
OVERSHOOT = 5.0
# A walk that ends nearer to the image than this share of rho has run out of gradient.
FALLS_SHORT = 0.95
MAX_RHO = 1.0


@dataclasses.dataclass(frozen=True)
class Explanation:
    """Explanations of N images; the fields bear the names of the exported signature's outputs.

    Args:
        explanation: float32 (N, H, W, C), the image as the network would need to see it; not
            clipped to [0, 1].
        difference: float32 (N, H, W, C), explanation − image: the evidence.
        target: int32 (N,), the class that is explained.
        confidence_before: float32 (N,), softmax of the target for the image.
        confidence_after: float32 (N,), for the explanation.
        rmse: float32 (N,), size of the difference in units of pixels from 0 to 1.
        rho: the size asked for.
    """

    explanation: np.ndarray
    difference: np.ndarray
    target: np.ndarray
    confidence_before: np.ndarray
    confidence_after: np.ndarray
    rmse: np.ndarray
    rho: float

    @property
    def explanations(self) -> np.ndarray:
        """`explanation`, under the plural's name."""
        return self.explanation

    @property
    def falls_short(self) -> np.ndarray:
        """bool (N,): the walk ended well inside the ball, as where gradients vanish."""
        return self.rmse < FALLS_SHORT * self.rho


def walk_step(
    model: Model,
    images: tf.Tensor,
    target: tf.Tensor,
    direction: tf.Tensor,
    rho: tf.Tensor,
    delta: tf.Tensor,
    length: tf.Tensor,
) -> tf.Tensor:
    """One step: towards or away from the target inside the ball, back to the image outside.

    Args:
        model: images (B, H, W, C) → logits (B, K).
        images: float32 (B, H, W, C) in [0, 1].
        target: int32 (B,), the class explained.
        direction: float32 (B,), +1 to raise the class's confidence, −1 to lower it.
        rho: float32 (B,), the ball's radius as RMSE.
        delta: float32 (B, H, W, C), where the walk stands.
        length: float32 scalar, the step's RMSE as a share of rho.

    Returns:
        The new delta.
    """
    _, gradient = input_gradient(
        model, images + delta, lambda logits: -direction * cross_entropy(logits, target)
    )
    met = rmse(delta) >= rho
    # Without momentum the velocity is the direction itself, which takes each image's own rho.
    _, velocity = advance(delta, tf.zeros_like(delta), gradient, met, length, 0.0)
    return delta + length * per_image(rho) * velocity


def confidence(logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """Softmax of one class per image: logits (B, K), int (B,) → (B,)."""
    return tf.exp(-cross_entropy(logits, classes))


def walk(
    model: Model,
    images: tf.Tensor,
    target: tf.Tensor,
    direction: tf.Tensor,
    rho: tf.Tensor,
) -> dict[str, tf.Tensor]:
    """The whole explanation as one graph with a loop, for exports.

    Args:
        model: images (B, H, W, C) → logits (B, K).
        images: float32 (B, H, W, C) in [0, 1].
        target: int32 (B,), the class explained; negative for the predicted class.
        direction: int32 (B,): below 0 lowers the class's confidence, else raises it.
        rho: float32 (B,), RMSE in units of pixels from 0 to 1, brought into [0, 1].

    Returns:
        explanation, difference, target, confidence_before, confidence_after and rmse, as in
        `Explanation`.
    """
    before = model(images)
    predicted = tf.argmax(before, axis=-1, output_type=tf.int32)
    target = tf.where(target < 0, predicted, tf.minimum(target, tf.shape(before)[-1] - 1))
    sign = tf.where(direction < 0, -1.0, 1.0)
    rho = tf.clip_by_value(rho, 0.0, MAX_RHO)
    lengths = tf.constant(step_lengths(STEPS, OVERSHOOT))
    _, delta = tf.while_loop(
        lambda step, delta: step < STEPS,
        lambda step, delta: (
            step + 1,
            walk_step(model, images, target, sign, rho, delta, lengths[step]),
        ),
        (tf.constant(0), tf.zeros_like(images)),
        maximum_iterations=STEPS,
    )
    return _outcome(before, model(images + delta), images, target, delta)


def _outcome(
    before: tf.Tensor, after: tf.Tensor, images: tf.Tensor, target: tf.Tensor, delta: tf.Tensor
) -> dict[str, tf.Tensor]:
    return {
        "explanation": images + delta,
        "difference": delta,
        "target": target,
        "confidence_before": confidence(before, target),
        "confidence_after": confidence(after, target),
        "rmse": rmse(delta),
    }


def chosen_targets(targets: Any, count: int) -> np.ndarray:
    """One target an image, from what users may give: one class, one an image, or None.

    Args:
        targets: int (count,), a single int, or None for the predicted class (−1).
        count: N, the number of images.

    Returns:
        int32 (N,).

    Raises:
        InputError: another number of targets, or targets that are no whole numbers.
    """
    values = np.asarray(-1 if targets is None else targets)
    if values.shape not in ((), (count,)) or (values.size and values.dtype.kind not in "iu"):
        raise InputError(
            f"expected one whole number as target, or one for each of {count} images, got "
            f"{values.dtype} of shape {values.shape}"
        )
    return np.broadcast_to(values.astype(np.int32), (count,))


def check_targets(targets: np.ndarray, num_classes: int) -> None:
    """Refuses targets, int (N,), that are neither one of K classes nor −1, the predicted one.

    Raises:
        InputError: says which.
    """
    for target in targets:
        if not -1 <= target < num_classes:
            raise InputError(
                f"expected targets from 0 to {num_classes - 1}, or -1 for the predicted class, "
                f"got {target}"
            )


_walk_step = tf.function(walk_step, jit_compile=True)
_logits = tf.function(lambda model, images: model(images), jit_compile=True)


def explain(
    network: Model,
    images: Any,
    targets: Any = None,
    *,
    rho: float = 0.1,
    direction: int = 1,
    block: int = 8,
) -> Explanation:
    """Explains what a network sees of a class in images: g_explain+ or g_explain−.

    Args:
        network: gives logits (B, K) for images; its gradient is used.
        images: float (N, H, W, C) in [0, 1].
        targets: int (N,) or a single int, the class to explain; None or −1 for the predicted.
        rho: the explanation's distance from the image, RMSE in units of pixels from 0 to 1;
            the paper shows 0.075 to 0.1.
        direction: +1 for what the network would need to see to be surer of the class, −1 for
            what it would need to lose.
        block: images computed at a time.

    Returns:
        The explanations. `falls_short` tells where gradients vanished before `rho` was reached.

    Raises:
        InputError: images outside [0, 1], a target that is no class of the network, a size not
            above 0 or above 1, a direction other than +1 and −1, or an empty block.

    Source: arXiv 1906.02896; 35 steps, overshoot 5, no momentum.
    """
    if not 0 < rho <= MAX_RHO:
        raise InputError(f"expected rho above 0 and at most {MAX_RHO}, got {rho}")
    if direction not in (1, -1):
        raise InputError(f"expected a direction of +1 or -1, got {direction}")
    if block < 1:
        raise InputError(f"expected a block of at least 1 image, got {block}")
    images = np.asarray(images, np.float32)
    check_images(images, np.zeros(images.shape[:1]))
    target = chosen_targets(targets, len(images))
    parts = []
    for start in range(0, len(images), block):
        part, classes = images[start : start + block], target[start : start + block]
        missing = block - len(part)
        padded = tf.constant(np.concatenate([part, np.repeat(part[:1], missing, axis=0)]))
        before = _logits(network, padded)
        check_targets(classes, before.shape[-1])
        chosen = np.concatenate([classes, np.repeat(classes[:1], missing)])
        chosen = np.where(chosen < 0, np.argmax(before, axis=-1), chosen).astype(np.int32)
        sign = tf.fill([block], np.float32(direction))
        radius = tf.fill([block], np.float32(rho))
        delta = tf.zeros_like(padded)
        for length in step_lengths(STEPS, OVERSHOOT):
            delta = _walk_step(
                network, padded, tf.constant(chosen), sign, radius, delta, tf.constant(length)
            )
        after = _logits(network, padded + delta)
        outcome = _outcome(before, after, padded, chosen, delta)
        parts.append({name: np.asarray(value)[: len(part)] for name, value in outcome.items()})
    if not parts:
        nothing = np.zeros(0, np.float32)
        return Explanation(images, images, target, nothing, nothing, nothing, rho)
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return Explanation(**joined, rho=rho)
