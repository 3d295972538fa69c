"""What the checks ask of the network itself: a few dozen calls, on one block of images."""

import functools
from typing import NamedTuple

import numpy as np

from tfrobust.attacks import AttackResult, Blend
from tfrobust.core.batching import in_batches
from tfrobust.core.bounds import Bounds
from tfrobust.core.classifier import Classifier, logits_of
from tfrobust.robustness.clean import Clean, answers_and_gradients

# A change of pixels, RMSE, that no eye and no honest network's boundary is fine enough for, but
# that is some hundred times float32's resolution.
TINY = 1e-5
# Steps along the gradient: what it says that they change, as shares of the largest logit. The
# least is a hundred times a deep network's rounding.
CHANGES = (1e-4, 1e-3, 1e-2)
LONGEST = 0.1  # RMSE: where the gradient is so flat that a step would be longer, nothing is said
DRAWS = 4  # of noise
NEARLY = 0.99  # noise is this much smaller than what attacks found, and it is better by no less
POOL = 512  # images to blend with
FARTHER = 1.5  # times what was found


class Probes(NamedTuple):
    """What a network answered, for n images.

    Args:
        rows: int (n,), which images they are.
        drift: float64 (n,), how far logits of the same image differ between calls, as a share of
            the largest.
        still: bool (n,), all logits are the same, bit for bit, after a tiny change.
        slopes: float64 (3, n), the margin's change by steps of three sizes down its gradient, as
            a share of what the gradient says; NaN where that says nothing.
        noise: bool (n,), noise of the size found, and no larger, is misclassified as well.
        free: float64 (n,), the smallest size found by noise or on the line to another image.
        lost: bool (n,), what was found is no longer misclassified when made larger.
    """

    rows: np.ndarray
    drift: np.ndarray
    still: np.ndarray
    slopes: np.ndarray
    noise: np.ndarray
    free: np.ndarray
    lost: np.ndarray


def probe(
    network: Classifier,
    images: np.ndarray,
    labels: np.ndarray,
    clean: Clean,
    found: AttackResult,
    *,
    batch_size: int,
    bounds: Bounds | None,
    seed: int = 0,
) -> Probes:
    """Asks a network about one block of images, spread over all.

    Args:
        network: what is evaluated.
        images: float32 (N, H, W, C) in [0, 1].
        labels: int32 (N,).
        clean: its answers to them.
        found: the smallest perturbations that have them misclassified.
        batch_size: images computed at a time, as by attacks, so that nothing is compiled twice.
        bounds: the lowest and highest value of an attacked pixel, as (0, 1); None for no bounds.
        seed: of the noise.
    """
    rows = _spread(len(images), batch_size)
    x, y = images[rows], labels[rows]

    def ask(moved: np.ndarray) -> np.ndarray:
        return logits_of(network, moved, batch_size)

    def wrong(moved: np.ndarray) -> np.ndarray:
        return ask(moved).argmax(axis=1) != y

    rng = np.random.default_rng(seed)
    logits, again = ask(x), ask(x)
    largest = np.abs(logits).max(axis=1) + 1e-20
    # The clean pass is another program: what was drawn while it was made counts as well.
    drift = np.abs(np.stack([again, clean.logits[rows]]) - logits).max(axis=(0, 2)) / largest

    slopes = np.full((len(CHANGES), len(rows)), np.nan)
    if network.has_gradient:
        _, gradients = in_batches(
            functools.partial(answers_and_gradients, network), batch_size, x, y
        )
        gradient = gradients["margin"].astype(np.float64)
        for number, change in enumerate(CHANGES):
            expected = change * largest
            steps, told = _down(gradient, expected)
            fallen = margins(logits, y) - margins(ask(x - steps), y)
            slopes[number] = np.where(told, fallen / expected, np.nan)

    delta, size = found.adversarials[rows] - x, found.rmse[rows]
    attacked = found.found[rows] & (size > 0)
    noise = np.zeros(len(rows), bool)
    for _ in range(DRAWS):
        draw = rng.normal(size=x.shape)
        draw /= np.sqrt(np.square(draw).mean(axis=(1, 2, 3), keepdims=True))
        reach = NEARLY * np.where(attacked, size, 0.0)
        noise |= wrong(x + reach[:, None, None, None] * draw) & attacked
    blend = Blend(images[_spread(len(images), POOL)], bounds=bounds, batch_size=batch_size)
    farther = x + FARTHER * delta
    return Probes(
        rows=rows,
        drift=drift,
        still=np.all(ask(x + TINY * rng.choice([-1.0, 1.0], x.shape)) == logits, axis=1),
        slopes=slopes,
        noise=noise,
        free=np.minimum(blend(network, x, y).rmse, np.where(noise, NEARLY * size, np.inf)),
        lost=attacked & ~wrong(farther if bounds is None else np.clip(farther, *bounds)),
    )


def margins(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """f_y − max over k≠y of f_k, in float64: logits (N, K), labels (N,) → (N,)."""
    logits = logits.astype(np.float64)
    own = np.arange(logits.shape[1]) == labels[:, None]
    return logits[own] - np.where(own, -np.inf, logits).max(axis=1)


def _spread(count: int, most: int) -> np.ndarray:
    """At most so many of `count` rows: images may be sorted by class."""
    return np.linspace(0, count - 1, min(count, most)).astype(int)


def _down(gradient: np.ndarray, fall: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Steps by which a gradient says that the margin falls so far, and whether it says so at all.

    Gradient (n, H, W, C), fall (n,) → steps (n, H, W, C), zeros where it does not; bool (n,).
    """
    steepness = np.square(gradient).sum(axis=(1, 2, 3))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        length = fall / steepness
        told = fall / np.sqrt(steepness * gradient[0].size) < LONGEST
    steps = np.where(told, length, 0.0)[:, None, None, None] * np.where(
        told[:, None, None, None], gradient, 0.0
    )
    return steps, told
