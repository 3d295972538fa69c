"""Attacks on the smoothed network: a model that they can follow, and the vote that judges them.

Source: Salman et al., arXiv 1906.04584, for the attack; Cohen, Rosenfeld, Kolter, arXiv 1902.02918,
for the vote.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from scipy.stats import binomtest

from tfrobust.certification.certificate import ALPHA, check_settings
from tfrobust.certification.sampling import Use, checked_inputs, draw_seed, noise
from tfrobust.certification.votes import Poll
from tfrobust.core.classifier import Model
from tfrobust.core.door import as_classifier
from tfrobust.errors import InputError

# On the line to an attacked image the way is doubled at most so often, until the vote changes, and
# then halved so often, to come close to the change.
DOUBLINGS, HALVINGS = 3, 6


class Smoothed:
    """The mean of a network's probabilities under noise, as a model that attacks can follow.

    The noise is drawn once, and is the same for all images and calls. So attacks search in a fixed
    smooth function, which gives an image the same answer wherever it is in a batch. Attacks fit
    this noise a little, and a mean of probabilities is not a vote. `voted_sizes` says how far an
    attack gets with the smoothed network that `certify` is about.

    Args:
        network: what `as_classifier` takes; its gradient is used.
        sigma: σ, the standard deviation of the noise, above 0, in units of pixels from 0 to 1.
        draws: how many noises, at least 1. A call computes B·draws images at a time, so give
            attacks a smaller `batch_size`.
        seed: the seed of the noise, 0 or above.

    Raises:
        InputError: a setting is out of its range.

    Source: arXiv 1906.04584, "SmoothAdv": the mean is of probabilities, inside the logarithm.
    """

    def __init__(
        self, network: Model, *, sigma: float = 0.25, draws: int = 16, seed: int = 0
    ) -> None:
        if not (sigma > 0 and np.isfinite(sigma)) or draws < 1 or seed < 0:
            raise InputError(
                "expected sigma above 0, at least 1 draw and a seed of 0 or above, got "
                f"{sigma}, {draws}, {seed}"
            )
        self.network = as_classifier(network)
        self.sigma, self.draws, self.seed = sigma, draws, seed
        self.name = f"{self.network.name}, smoothed (σ = {sigma:g})"
        self.input_shape, self.output_shape = self.network.input_shape, self.network.output_shape

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Images float32 (B, H, W, C) → log-probabilities (B, K)."""
        shape = tuple(images.shape[1:])
        added = self.sigma * noise((self.draws, *shape), draw_seed(self.seed, Use.ATTACK, 0, 0))
        noisy = tf.reshape(images[:, None] + added[None], (-1, *shape))
        logits = self.network(noisy)
        logits = tf.reshape(logits, (-1, self.draws, logits.shape[-1]))
        # This is the logarithm of the mean, computed without underflow.
        summed = tf.reduce_logsumexp(tf.nn.log_softmax(logits), axis=1)
        return summed - float(np.log(self.draws))


def voted_sizes(
    network: Model,
    images: Any,
    labels: Any,
    adversarials: Any,
    *,
    sigma: float = 0.25,
    n: int = 1000,
    alpha: float = ALPHA,
    seed: int = 0,
    numbers: Any = None,
    progress: bool = True,
) -> np.ndarray:
    """How far images must move towards attacked ones until the vote under noise changes.

    An attack on `Smoothed` changes a mean of probabilities over a few draws. Here the smoothed
    network itself judges, by fresh draws: on the line from each image through its attacked one, up
    to 8 times as far, the nearest point is sought where another class wins by more than chance
    explains. So these are sizes of an attack on the very classifier that `certify` is about. Their
    area is an upper bound, where the certified area is a lower bound.

    Args:
        network: what `as_classifier` takes.
        images: float (N, H, W, C) in [0, 1].
        labels: int (N,), the true classes.
        adversarials: float (N, H, W, C), the attacked images, as in `AttackResult`. If one equals
            its image, there is no line to search.
        sigma: σ, as `certify` was given it.
        n: how many draws vote at each point.
        alpha: for each image the probability that its size is wrong, over all points tried.
        seed: the seed of the draws, 0 or above.
        numbers: int (N,), which image of its data set each one is; None for 0 to N − 1.
        progress: whether to show a bar with the rate on stderr.

    Returns:
        float64 (N,), RMSE of pixels from 0 to 1. A size is 0 if the vote on the image itself is
        for another class, and infinite if no point was found.

    Raises:
        InputError: the input does not fit.

    Source: arXiv 1902.02918, PREDICT.
    """
    check_settings(sigma=sigma, n0=1, n=n, alpha=alpha, seed=seed)
    network, images, labels, numbers, _ = checked_inputs(network, images, labels, numbers)
    adversarials = np.asarray(adversarials, np.float32)
    if adversarials.shape != images.shape:
        raise InputError(
            f"expected attacked images of shape {images.shape}, got {adversarials.shape}"
        )
    looks = 2 + DOUBLINGS + HALVINGS
    if binomtest(n, n).pvalue > alpha / looks:
        raise InputError(
            f"expected more than {n} draws for alpha {alpha}: even if all agreed, chance would "
            "explain it; draw more"
        )
    sizes = np.full(len(images), np.inf)
    with Poll(network, sigma, seed, len(images) * looks * n, "judging", progress) as poll:
        for row, (image, label) in enumerate(zip(images, labels, strict=True)):
            delta = adversarials[row] - image
            size = float(np.sqrt(np.mean(np.square(delta, dtype=np.float64))))

            def changed(
                share: float,
                image: np.ndarray = image,
                label: int = int(label),
                delta: np.ndarray = delta,
                number: int = int(numbers[row]),
            ) -> bool:
                votes = poll(image + np.float32(share) * delta, number, Use.JUDGE, n)
                first, second = np.argsort(-votes, kind="stable")[:2]
                return first != label and (
                    binomtest(int(votes[first]), int(votes[first] + votes[second])).pvalue
                    <= alpha / looks
                )

            if changed(0.0):
                sizes[row] = 0.0
            elif size > 0:
                sizes[row] = size * _nearest_share(changed)
            # Most images need fewer points than planned; the bar shall end full all the same.
            poll.bar.total = poll.bar.n + (len(images) - row - 1) * looks * n
    return sizes


def _nearest_share(changed: Callable[[float], bool]) -> float:
    """The smallest share of the way that is found to change the vote; infinite if none is."""
    below, above = 0.0, 1.0
    for _ in range(DOUBLINGS + 1):
        if changed(above):
            break
        below, above = above, 2 * above
    else:
        return np.inf
    for _ in range(HALVINGS):
        middle = (below + above) / 2
        if changed(middle):
            above = middle
        else:
            below = middle
    return above
