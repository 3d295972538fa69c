"""The CLEVER score: an estimate of the distance to the nearest other class.

From an image to the nearest point of another class the margin falls to 0. So the distance is at
least the margin divided by the margin's steepest slope on the way. CLEVER estimates this slope from
gradients at random points: it fits an extreme value distribution to their maxima, and takes its
endpoint. The score is an estimate and no bound. The fit may miss steeper places, and an attack may
find smaller perturbations.

Source: Weng et al., "Evaluating the robustness of neural networks: an extreme value theory
approach", arXiv 1801.10578.
"""

import functools
import math
import sys
import time
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfrobust.certification.estimate import POOR_FIT, Clever
from tfrobust.certification.extreme_values import steepest
from tfrobust.certification.sampling import Use, checked_inputs, draw_seed, noise, portion
from tfrobust.core.ara import accuracy_robustness_area
from tfrobust.core.classifier import Classifier, Model, answers, compiled
from tfrobust.core.distances import per_image
from tfrobust.core.gradients import input_gradient
from tfrobust.core.progress import speed
from tfrobust.errors import InputError


@compiled
def _slopes(
    network: Classifier,
    draws: int,
    image: tf.Tensor,
    label: tf.Tensor,
    rival: tf.Tensor,
    radius: tf.Tensor,
    seeds: tuple[tf.Tensor, tf.Tensor],
) -> tf.Tensor:
    """L2 norms of the gradient of f_label − f_rival at points uniform in a ball.

    Args:
        network: what is scored.
        draws: how many.
        image: float32 (H, W, C), the centre.
        label: int32 scalar.
        rival: int32 scalar.
        radius: float32 scalar, L2.
        seeds: int64 (2,) each, of directions and lengths.

    Returns:
        float32 (draws,).
    """
    direction = noise((draws, *image.shape), seeds[0])
    direction /= per_image(tf.sqrt(tf.reduce_sum(tf.square(direction), axis=(1, 2, 3))))
    share = tf.random.stateless_uniform((draws,), seeds[1], alg="philox")
    length = radius * share ** (1.0 / math.prod(image.shape))
    _, gradient = input_gradient(
        network,
        image + per_image(length) * direction,
        lambda logits: tf.gather(logits, label, axis=1) - tf.gather(logits, rival, axis=1),
    )
    return tf.sqrt(tf.reduce_sum(tf.square(gradient), axis=(1, 2, 3)))


def clever_score(
    network: Model,
    images: Any,
    labels: Any,
    *,
    radius: float = 5.0,
    batches: int = 50,
    samples: int = 100,
    rivals: int = 9,
    seed: int = 0,
    numbers: Any = None,
    progress: bool = True,
) -> Clever:
    """Estimates each image's L2 distance to the nearest other class.

    For each rival class k, gradients of the margin f_y − f_k are taken at batches·samples points,
    drawn uniformly from a ball around the image. A reverse Weibull distribution is fitted to the
    maxima of their norms, and its endpoint is taken for the margin's steepest slope. The score is
    the smallest margin/slope over the rivals, and at most the radius. An image's draws depend on
    the seed and the image's number alone.

    Args:
        network: what `as_classifier` takes; its gradient is used.
        images: float (N, H, W, C) in [0, 1], at least one.
        labels: int (N,), the true classes, from 0 to K − 1.
        radius: R, the ball's L2 radius, above 0, in units of pixels from 0 to 1; the paper took 5.
            Points may have pixels outside [0, 1].
        batches: how many maxima are fitted, at least 10; the paper took 500.
        samples: how many gradients each maximum is of, at least 1; the paper took 1,024.
        rivals: how many other classes are looked at, the most likely ones, at least 1. K − 1 or
            more means all of them.
        seed: the seed of the draws, 0 or above.
        numbers: int (N,), which image of its data set each one is; None for 0 to N − 1.
        progress: whether to show a bar with the rate on stderr.

    Returns:
        The scores. A misclassified image has score 0.

    Raises:
        InputError: the input cannot be scored, which is said before the long work begins; or
            gradients are not finite.

    Source: arXiv 1801.10578, algorithms 1 and 2, p = 2.
    """
    if not (radius > 0 and math.isfinite(radius)) or seed < 0:
        raise InputError(
            f"expected a radius above 0 and a seed of 0 or above, got {radius} and {seed}"
        )
    if batches < 10 or samples < 1 or rivals < 1:
        raise InputError(
            "expected at least 10 batches to fit a distribution to, 1 sample and 1 rival, got "
            f"{batches}, {samples} and {rivals}"
        )
    network, images, labels, numbers, num_classes = checked_inputs(network, images, labels, numbers)
    if not network.has_gradient:
        raise InputError(
            f"expected a network with a gradient, which CLEVER samples, but {network.name} only "
            "gives answers; `certify` needs no more than these"
        )
    rivals = min(rivals, num_classes - 1)
    began = time.perf_counter()
    scores, fits = np.zeros(len(images)), np.ones(len(images))
    unsettled = np.zeros(len(images), bool)
    nearest = labels.astype(np.int64)
    with tqdm(
        total=len(images) * rivals * batches * samples,
        desc="CLEVER",
        unit="gradient",
        unit_scale=True,
        file=sys.stderr,
        disable=not progress,
    ) as bar:
        for row, (image, label, number) in enumerate(zip(images, labels, numbers, strict=True)):
            if row:
                bar.set_postfix_str(speed(bar, row, "images"))
            # Two images, as in `Classifier.check`.
            logits = answers(network, tf.constant(np.stack([image, image]))).numpy()[0]
            others = np.argsort(-logits, kind="stable")
            others = others[others != label][:rivals]
            if logits[others[0]] >= logits[label]:
                bar.update(rivals * batches * samples)
                continue
            scores[row] = np.inf
            for rival in others:
                norms = _norms(
                    network,
                    image,
                    int(label),
                    int(rival),
                    radius,
                    batches * samples,
                    functools.partial(draw_seed, seed, number=int(number)),
                    bar,
                )
                slope, fit, settled = steepest(norms.reshape(batches, samples).max(axis=1))
                margin = float(logits[label]) - float(logits[rival])
                score = min(radius, margin / slope) if slope > 0 else radius
                if score < scores[row]:
                    scores[row], fits[row], nearest[row] = score, fit, rival
                    unsettled[row] = not settled
    rmse = scores / np.sqrt(images[0].size)
    return Clever(
        ara=accuracy_robustness_area(rmse, num_classes, seed=seed),
        l2=scores,
        rmse=rmse,
        rival=nearest,
        fit=fits,
        capped=int((scores >= radius).sum()),
        poor=int((fits < POOR_FIT).sum()),
        unsettled=int(unsettled.sum()),
        radius=float(radius),
        batches=batches,
        samples=samples,
        rivals=rivals,
        seed=seed,
        seconds=time.perf_counter() - began,
    )


def _norms(
    network: Classifier,
    image: np.ndarray,
    label: int,
    rival: int,
    radius: float,
    draws: int,
    seeds: Any,
    bar: tqdm,
) -> np.ndarray:
    """L2 norms of the margin's gradient at random points, float64 (draws,)."""
    at_once = portion(image.shape)
    tensor = tf.constant(image)
    parts = []
    for index, start in enumerate(range(0, draws, at_once)):
        parts.append(
            _slopes(
                network,
                at_once,
                tensor,
                tf.constant(label, tf.int32),
                tf.constant(rival, tf.int32),
                tf.constant(radius, tf.float32),
                (seeds(use=Use.DIRECTIONS, index=index), seeds(use=Use.LENGTHS, index=index)),
            )
        )
        bar.update(min(at_once, draws - start))
    norms = np.concatenate(parts)[:draws].astype(np.float64)
    if not np.all(np.isfinite(norms)):
        raise InputError(
            "expected finite gradients, got NaN or infinity; did the training diverge?"
        )
    return norms
