"""Adversarial explanations: the image changed so that the network is surer, or less sure.

On a robust network the attack is the explanation. Source: Woods et al., arXiv 1906.02896.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfrobust.core.classifier import Classifier, Model
from tfrobust.core.input_range import Range
from tfrobust.errors import InputError
from tfrobust.explanations.base import Method, nothing
from tfrobust.explanations.explanation import Explanation
from tfrobust.explanations.targets import by_batches, question
from tfrobust.explanations.walks import MAX_RHO, WALKS, walked

# A walk that ends nearer to the image than this share of rho has run out of gradient.
FALLS_SHORT = 0.95
# Steps of the walk that a gradient is taken through.
UNROLLED = 3


def explain(
    network: Model,
    images: Any,
    targets: Any = None,
    *,
    input_range: Range | None = None,
    rho: Any = 0.1,
    direction: Any = 1,
    walk: str = "frank_wolfe",
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
        walk: how to get there. "frank_wolfe" takes 10 gradients and ends at `rho`, "paper" takes
            the paper's 35 steps and ends near it.
        batch_size: images computed at a time.

    Returns:
        The explanations. `falls_short` tells where gradients vanished before `rho` was reached.

    Raises:
        InputError: images outside [0, 1], a target that is no class of the network, a size not
            above 0 or above 1, a direction other than +1 and −1, a walk of another name, or a
            batch_size below 1.

    Source: explanations and "paper", 35 steps with an overshoot of 5 and without momentum: arXiv
    1906.02896. "frank_wolfe": Chen et al., arXiv 1811.10828, here on a sphere.
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
    if walk not in WALKS:
        raise InputError(f"expected a walk of {', '.join(WALKS)}, got {walk!r}")
    if batch_size < 1:
        raise InputError(f"expected a batch_size of at least 1, got {batch_size}")
    if not len(images):
        return nothing(images, _name(rho, direction, walk))
    explained = functools.partial(walked, WALKS[walk], classifier)
    found = by_batches(explained, batch_size, images, targets, signs, radii)
    return Explanation(
        **found,
        rho=rho if np.ndim(rho) == 0 else radii,
        reached=found["rmse"] >= FALLS_SHORT * radii,
        attribution=found["difference"],
        map=np.abs(found["difference"]).sum(axis=-1),
        method=_name(rho, direction, walk),
    )


def _name(rho: Any, direction: Any, walk: str) -> str:
    """E.g. "g_explain+ (RMSE 0.1)"; without a size where images have different ones."""
    signs = {1: "+", -1: "−"}
    sign = "".join(word for number, word in signs.items() if np.any(np.equal(direction, number)))
    notes = [f"RMSE {rho:g}"] if np.ndim(rho) == 0 else []
    notes += ["the paper's walk"] if walk == "paper" else []
    return f"g_explain{sign}" + (f" ({', '.join(notes)})" if notes else "")


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
            method=_name(float(rho), direction, "frank_wolfe"),
        )
        for row, rho in enumerate(rhos)
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adversarial(Method):
    """g_explain+ or g_explain−: the image as the network would need to see it.

    Args:
        rho: the explanation's distance from the image, RMSE in units of pixels from 0 to 1.
        direction: +1 to make the network surer of the class, −1 to make it less sure.
        walk: as for `explain`.
        batch_size: images computed at a time.

    Source: arXiv 1906.02896.
    """

    rho: float = 0.1
    direction: int = 1
    walk: str = "frank_wolfe"
    batch_size: int = 8

    @property
    def name(self) -> str:
        """E.g. "g_explain+ (RMSE 0.1)"."""
        return _name(self.rho, self.direction, self.walk)

    def __call__(self, model: Model, images: Any, targets: Any = None) -> Explanation:
        """Explains images: see `Method` and `explain`."""
        return explain(
            model,
            images,
            targets,
            rho=self.rho,
            direction=self.direction,
            walk=self.walk,
            batch_size=self.batch_size,
        )

    def attribution(self, model: Classifier, images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """See `Method.attribution`: where the first few steps lead, not the whole walk."""
        sign = tf.fill([len(images)], np.float32(self.direction))
        radius = tf.fill([len(images)], np.float32(self.rho))
        delta = tf.zeros_like(images)
        walk = WALKS[self.walk]
        for size in walk.sizes[:UNROLLED]:
            size = tf.constant(size)
            _, delta = walk.step(model, images, targets, sign, radius, delta, size)
        return delta
