"""Adversarial explanations: the image changed so that the network is surer, or less sure.

On a robust network the attack is the explanation. Source: Woods et al., arXiv 1906.02896.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfrobust.attacks.walk import advance, step_lengths
from tfrobust.core.classifier import Classifier, Model, answers, compiled
from tfrobust.core.criteria import cross_entropy
from tfrobust.core.distances import per_image, rmse
from tfrobust.core.gradients import input_gradient
from tfrobust.core.input_range import Range
from tfrobust.errors import InputError
from tfrobust.explanations.base import Method, nothing
from tfrobust.explanations.explanation import Explanation
from tfrobust.explanations.targets import by_batches, confidence, question, resolved

STEPS = 35
OVERSHOOT = 5.0
# A walk that ends nearer to the image than this share of rho has run out of gradient.
FALLS_SHORT = 0.95
MAX_RHO = 1.0
# Steps of the walk that a gradient is taken through.
UNROLLED = 3


def walk_step(
    model: Model,
    images: tf.Tensor,
    target: tf.Tensor,
    direction: tf.Tensor,
    rho: tf.Tensor,
    delta: tf.Tensor,
    length: tf.Tensor,
) -> tf.Tensor:
    """One step: inside the ball towards or away from the target, outside it back to the image.

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


_walk_step = compiled(walk_step)


def explain(
    network: Model,
    images: Any,
    targets: Any = None,
    *,
    input_range: Range | None = None,
    rho: Any = 0.1,
    direction: Any = 1,
    batch_size: int = 8,
) -> Explanation:
    """Explains what a network sees of a class in images, by g_explain+ or g_explain−.

    Args:
        network: what `as_classifier` takes; its gradient is used.
        images: float (N, H, W, C) in [0, 1] or uint8; or a tf.data.Dataset of them.
        targets: int (N,) or a single int, the class to explain; None or −1 for the predicted.
        input_range: the lowest and the highest pixel that the network takes, as (0, 255), where
            that is not (0, 1). The images are from 0 to 1.
        rho: the explanation's distance from the image, RMSE of pixels from 0 to 1; the paper shows
            0.075 to 0.1. A float, or float (N,) with one an image.
        direction: +1 for what the network would need to see to be surer of the class, −1 for
            what it would need to lose. An int, or int (N,).
        batch_size: images computed at a time.

    Returns:
        The explanations. `falls_short` tells where gradients vanished before `rho` was reached.

    Raises:
        InputError: images outside [0, 1], a target that is no class of the network, a size not
            above 0 or above 1, a direction other than +1 and −1, or a batch_size below 1.

    Source: arXiv 1906.02896; 35 steps, overshoot 5, no momentum.
    """
    classifier, images, targets = question(network, images, targets, input_range)
    if not classifier.has_gradient:
        raise InputError(
            f"expected a network with a gradient, which g_explain follows, but {classifier.name} "
            "only gives answers; explain it with Occlusion"
        )
    radii, signs = _one_each(rho, "rho", images), _one_each(direction, "direction", images)
    if not np.all((np.asarray(rho) > 0) & (np.asarray(rho) <= MAX_RHO)):
        raise InputError(f"expected rho above 0 and at most {MAX_RHO}, got {rho}")
    if not np.all(np.abs(direction) == 1):
        raise InputError(f"expected a direction of +1 or -1, got {direction}")
    if batch_size < 1:
        raise InputError(f"expected a batch_size of at least 1, got {batch_size}")
    if not len(images):
        return nothing(images, _name(rho, direction))
    walked = functools.partial(_walked, classifier)
    found = by_batches(walked, batch_size, images, targets, signs, radii)
    return Explanation(
        **found,
        rho=rho if np.ndim(rho) == 0 else radii,
        reached=found["rmse"] >= FALLS_SHORT * radii,
        attribution=found["difference"],
        map=np.abs(found["difference"]).sum(axis=-1),
        method=_name(rho, direction),
    )


def _name(rho: Any, direction: Any) -> str:
    """E.g. "g_explain+ (RMSE 0.1)"; without a size where images have different ones."""
    signs = {1: "+", -1: "−"}
    sign = "".join(word for number, word in signs.items() if np.any(np.equal(direction, number)))
    return f"g_explain{sign}" + (f" (RMSE {rho:g})" if np.ndim(rho) == 0 else "")


def _walked(
    network: Classifier,
    images: tf.Tensor,
    targets: tf.Tensor,
    signs: tf.Tensor,
    radii: tf.Tensor,
) -> dict[str, tf.Tensor]:
    """`walk` in one compiled program a step, which is faster than a compiled loop."""
    before = answers(network, images)
    targets = resolved(targets, before)
    delta = tf.zeros_like(images)
    for length in step_lengths(STEPS, OVERSHOOT):
        delta = _walk_step(network, images, targets, signs, radii, delta, tf.constant(length))
    return _outcome(before, answers(network, images + delta), images, targets, delta)


def _one_each(values: Any, name: str, images: np.ndarray) -> np.ndarray:
    numbers = np.asarray(values)
    if numbers.dtype.kind not in "iuf" or numbers.shape not in ((), (len(images),)):
        raise InputError(
            f"expected {name} as a number, or one for each of {len(images)} images, got "
            f"{values!r:.40} of shape {numbers.shape}"
        )
    return np.broadcast_to(numbers.astype(np.float32), (len(images),))


def at_sizes(
    network: Model,
    images: Any,
    targets: Any = None,
    *,
    rhos: Sequence[float],
    direction: int = 1,
    batch_size: int = 8,
) -> tuple[Explanation, ...]:
    """`explain` at several sizes, in full batches: images of different sizes share them.

    Args:
        network, images, targets, direction, batch_size: as for `explain`.
        rhos: the sizes, RMSE in units of pixels from 0 to 1.

    Returns:
        The explanations, one record a size.

    Raises:
        InputError: as for `explain`, or no size at all.
    """
    if not len(rhos):
        raise InputError("expected at least one size, got none")
    classifier, images, targets = question(network, images, targets)
    count = len(images)
    found = explain(
        classifier,
        np.concatenate([images] * len(rhos)),
        np.tile(targets, len(rhos)),
        rho=np.repeat(np.asarray(rhos, np.float64), count),
        direction=direction,
        batch_size=batch_size,
    )
    fields = {
        field.name: getattr(found, field.name)
        for field in dataclasses.fields(Explanation)
        if field.name not in ("rho", "method")
    }
    return tuple(
        Explanation(
            **{name: values[row * count : (row + 1) * count] for name, values in fields.items()},
            rho=float(rho),
            method=_name(float(rho), direction),
        )
        for row, rho in enumerate(rhos)
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adversarial(Method):
    """g_explain+ or g_explain−: the image as the network would need to see it.

    Args:
        rho: the explanation's distance from the image, RMSE in units of pixels from 0 to 1.
        direction: +1 to make the network surer of the class, −1 to make it less sure.
        batch_size: images computed at a time.

    Source: arXiv 1906.02896.
    """

    rho: float = 0.1
    direction: int = 1
    batch_size: int = 8

    @property
    def name(self) -> str:
        """E.g. "g_explain+ (RMSE 0.1)"."""
        return _name(self.rho, self.direction)

    def __call__(self, model: Model, images: Any, targets: Any = None) -> Explanation:
        """Explains images: see `Method` and `explain`."""
        return explain(
            model,
            images,
            targets,
            rho=self.rho,
            direction=self.direction,
            batch_size=self.batch_size,
        )

    def attribution(self, model: Classifier, images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """See `Method.attribution`: where the first few steps lead, not the whole walk."""
        sign = tf.fill([len(images)], np.float32(self.direction))
        radius = tf.fill([len(images)], np.float32(self.rho))
        delta = tf.zeros_like(images)
        for length in step_lengths(STEPS, OVERSHOOT)[:UNROLLED]:
            delta = walk_step(model, images, targets, sign, radius, delta, tf.constant(length))
        return delta
