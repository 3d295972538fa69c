"""Randomized smoothing: certified radii, and the smoothed network as attacks may have it.

The smoothed network answers with the class that the network gives most often when Gaussian noise
is added to the image. It is another classifier than the network: what is certified here bounds
nothing about the network itself, which should be trained on noise to do well.

Source: Cohen, Rosenfeld, Kolter, arXiv 1902.02918; the attack on the smoothed network Salman et
al., arXiv 1906.04584.
"""

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from scipy.stats import binomtest
from tqdm import tqdm

from tfrobust.certification.certificate import (
    ABSTAINED,
    ALPHA,
    CHOOSING_DRAWS,
    Certificate,
    certified_radius,
    check_settings,
)
from tfrobust.certification.sampling import checked_inputs, draw_seed, noise, portion
from tfrobust.core.ara import accuracy_robustness_area
from tfrobust.core.classifier import Classifier, Model, as_classifier, compiled
from tfrobust.errors import InputError

__all__ = ["Certificate", "Smoothed", "certify", "smoothed", "voted_sizes"]

# What draws are for; each use has draws of its own.
_CHOOSE, _ESTIMATE, _JUDGE, _ATTACK = range(4)
# Where the vote changes on the line to an attacked image: how often the way is doubled to get
# beyond it, and then halved to get close.
_DOUBLINGS, _HALVINGS = 3, 6


@compiled
def _votes(
    network: Classifier,
    draws: int,
    image: tf.Tensor,
    sigma: tf.Tensor,
    seed: tf.Tensor,
    wanted: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Counts the classes given to one image under noise.

    Args:
        network: what is asked.
        draws: computed.
        image: float32 (H, W, C).
        sigma: float32 scalar.
        seed: int64 (2,).
        wanted: int32 scalar, how many of the draws count.

    Returns:
        int32 (K,), and whether all logits were finite.
    """
    shape = (draws, *image.shape)
    logits = network(image + sigma * noise(shape, seed))
    classes = tf.one_hot(tf.argmax(logits, axis=-1), logits.shape[-1], dtype=tf.int32)
    counted = tf.cast(tf.range(draws) < wanted, tf.int32)
    finite = tf.reduce_all(tf.math.is_finite(logits))
    return tf.reduce_sum(classes * counted[:, None], axis=0), finite


class _Poll:
    """Asks a network for its classes under noise, and shows how far it is.

    Args:
        network: what is asked.
        sigma: of the noise.
        seed: the user's.
        total: draws to come, for the bar.
        words: what is being done, for the bar.
        progress: whether to show it.
    """

    def __init__(
        self, network: Classifier, sigma: float, seed: int, total: int, words: str, progress: bool
    ) -> None:
        self.network, self.seed = network, seed
        self.sigma = tf.constant(sigma, tf.float32)
        self.bar = tqdm(
            total=total,
            desc=words,
            unit="draw",
            unit_scale=True,
            file=sys.stderr,
            disable=not progress,
        )

    def __enter__(self) -> "_Poll":
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def __call__(self, image: np.ndarray, number: int, use: int, draws: int) -> np.ndarray:
        """How often each class is given: image (H, W, C) → int64 (K,), summing to `draws`."""
        at_once = portion(image.shape)
        tensor = tf.constant(image)
        parts, all_finite = [], []
        for index, start in enumerate(range(0, draws, at_once)):
            wanted = min(at_once, draws - start)
            votes, finite = _votes(
                self.network,
                at_once,
                tensor,
                self.sigma,
                draw_seed(self.seed, use, number, index),
                tf.constant(wanted, tf.int32),
            )
            parts.append(votes)
            all_finite.append(finite)
            self.bar.update(wanted)
        if not np.all(np.array(all_finite)):
            raise InputError(
                f"expected finite logits, got NaN or infinity under noise for image {number}; "
                "did the training diverge?"
            )
        return np.array(parts, np.int64).sum(axis=0)


def certify(
    network: Model,
    images: Any,
    labels: Any,
    *,
    sigma: float = 0.25,
    n0: int = CHOOSING_DRAWS,
    n: int = 1000,
    alpha: float = ALPHA,
    seed: int = 0,
    numbers: Any = None,
    progress: bool = True,
) -> Certificate:
    """Certifies the smoothed network around images.

    n0 draws choose each image's class; the share that it gets of n other draws gives, by Clopper
    and Pearson's limit, the probability that it has at least, and that the radius. An image's
    draws depend on seed and number only, and its draws are computed apart from other images': cut
    into shards the certificate is the same.

    The largest radius that n draws can certify is σ·Φ⁻¹(α^(1/n)); where many images reach it, more
    draws give a larger area.

    Args:
        network: what `as_classifier` takes; it needs no gradient.
        images: float (N, H, W, C) in [0, 1], at least one.
        labels: int (N,), the true classes, from 0 to K − 1.
        sigma: σ, standard deviation of the noise, in units of pixels from 0 to 1, above 0.
        n0: draws that choose the class, at least 1.
        n: draws that estimate its probability, more than log2(1/α).
        alpha: for each image the probability that its radius is wrong, between 0 and 1. That none
            of N is wrong has probability 1 − Nα: for such a statement give α/N.
        seed: of the draws, 0 or above.
        numbers: int (N,), which image of its data set each is; 0 to N − 1 when None.
        progress: whether to show a bar with the rate on stderr.

    Returns:
        The certificate. Wrong or abstained images have radius 0.

    Raises:
        InputError: input that cannot be certified, before the long work begins; logits that are
            not finite.

    Source: arXiv 1902.02918, CERTIFY.
    """
    check_settings(sigma=sigma, n0=n0, n=n, alpha=alpha, seed=seed)
    network, images, labels, numbers, num_classes = checked_inputs(network, images, labels, numbers)
    began = time.perf_counter()
    chosen, votes = [], []
    with _Poll(network, sigma, seed, len(images) * (n0 + n), "certifying", progress) as poll:
        for image, number in zip(images, numbers.tolist(), strict=True):
            chosen.append(int(poll(image, number, _CHOOSE, n0).argmax()))
            votes.append(poll(image, number, _ESTIMATE, n)[chosen[-1]])
    radius = certified_radius(np.array(votes), n, sigma=sigma, alpha=alpha)
    predicted = np.where(radius > 0, chosen, ABSTAINED)
    right = predicted == labels
    l2 = np.where(right, radius, 0.0)
    rmse = l2 / np.sqrt(images[0].size)
    return Certificate(
        ara=accuracy_robustness_area(rmse, num_classes, seed=seed),
        accuracy=float(right.mean()),
        abstained=int((predicted == ABSTAINED).sum()),
        predicted=predicted,
        votes=np.array(votes),
        l2=l2,
        rmse=rmse,
        sigma=float(sigma),
        n0=n0,
        n=n,
        alpha=float(alpha),
        num_classes=num_classes,
        seed=seed,
        seconds=time.perf_counter() - began,
    )


class Smoothed:
    """The mean of a network's probabilities under noise, as a model that attacks can follow.

    The noise is drawn once and is common to all images and calls: attacks then search in a fixed,
    smooth function, which answers an image the same wherever it is in a batch. They fit the
    drawn noise a little, and a mean of probabilities is not a vote: how far an attack gets with
    the smoothed network that `certify` is about is for `voted_sizes` to say.

    Args:
        network: what `as_classifier` takes; its gradient is used.
        sigma: σ, in units of pixels from 0 to 1, above 0.
        draws: noise images, at least 1. A call computes B·draws images at a time: give attacks a
            smaller `batch_size`.
        seed: of the noise, 0 or above.

    Raises:
        InputError: settings that cannot be.

    Source: arXiv 1906.04584, "SmoothAdv": the mean is over probabilities, within the logarithm.
    """

    def __init__(self, network: Model, sigma: float, draws: int, seed: int = 0) -> None:
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
        added = self.sigma * noise((self.draws, *shape), draw_seed(self.seed, _ATTACK, 0, 0))
        noisy = tf.reshape(images[:, None] + added[None], (-1, *shape))
        logits = self.network(noisy)
        logits = tf.reshape(logits, (-1, self.draws, logits.shape[-1]))
        # The logarithm of the mean, without underflow.
        summed = tf.reduce_logsumexp(tf.nn.log_softmax(logits), axis=1)
        return summed - float(np.log(self.draws))


def smoothed(network: Model, sigma: float, draws: int = 16, seed: int = 0) -> Smoothed:
    """A model for expectation-over-noise attacks on the smoothed network; see `Smoothed`."""
    return Smoothed(network, sigma, draws, seed)


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
    """How far attacked images must go until the vote under noise gives another class.

    What an attack on `smoothed` finds changes a mean of probabilities over a few draws. Here the
    smoothed network itself judges, by fresh draws: on the line from each image through its attacked
    one, up to 8 times as far, the nearest point found where another class wins by more
    than chance explains. So the sizes are an attack's on the very classifier that `certify`
    is about, and their area is an upper bound where the certified one is a lower bound.

    Args:
        network: what `as_classifier` takes.
        images: float (N, H, W, C) in [0, 1].
        labels: int (N,), the true classes.
        adversarials: float (N, H, W, C), as in `AttackResult`; where equal to the image, there is
            no line to search.
        sigma: σ, as given to `certify`.
        n: draws at each point.
        alpha: for each image the probability that its size is wrong, over all points tried.
        seed: of the draws, 0 or above.
        numbers: int (N,), which image of its data set each is; 0 to N − 1 when None.
        progress: whether to show a bar with the rate on stderr.

    Returns:
        float64 (N,): RMSE in units of pixels from 0 to 1; 0 where the vote on the image itself is
        another class, infinite where none was found.

    Raises:
        InputError: input that does not fit.

    Source: arXiv 1902.02918, PREDICT.
    """
    check_settings(sigma=sigma, n0=1, n=n, alpha=alpha, seed=seed)
    network, images, labels, numbers, _ = checked_inputs(network, images, labels, numbers)
    adversarials = np.asarray(adversarials, np.float32)
    if adversarials.shape != images.shape:
        raise InputError(
            f"expected attacked images of shape {images.shape}, got {adversarials.shape}"
        )
    looks = 2 + _DOUBLINGS + _HALVINGS
    if binomtest(n, n).pvalue > alpha / looks:
        raise InputError(
            f"expected more than {n} draws for alpha {alpha}: even if all agreed, chance would "
            "explain it; draw more"
        )
    sizes = np.full(len(images), np.inf)
    with _Poll(network, sigma, seed, len(images) * looks * n, "judging", progress) as poll:
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
                votes = poll(image + np.float32(share) * delta, number, _JUDGE, n)
                first, second = np.argsort(-votes, kind="stable")[:2]
                return first != label and (
                    binomtest(int(votes[first]), int(votes[first] + votes[second])).pvalue
                    <= alpha / looks
                )

            if changed(0.0):
                sizes[row] = 0.0
            elif size > 0:
                sizes[row] = size * _nearest_share(changed)
            # Fewer points than feared: the bar ends full all the same.
            poll.bar.total = poll.bar.n + (len(images) - row - 1) * looks * n
    return sizes


def _nearest_share(changed: Callable[[float], bool]) -> float:
    """The smallest share of the way found to change the vote; infinite where none is."""
    below, above = 0.0, 1.0
    for _ in range(_DOUBLINGS + 1):
        if changed(above):
            break
        below, above = above, 2 * above
    else:
        return np.inf
    for _ in range(_HALVINGS):
        middle = (below + above) / 2
        if changed(middle):
            above = middle
        else:
            below = middle
    return above
