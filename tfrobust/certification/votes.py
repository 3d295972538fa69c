"""The vote of randomized smoothing: how often a network gives each class under Gaussian noise."""

import sys

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfrobust.certification.sampling import Use, draw_seed, noise, portion
from tfrobust.core.classifier import Classifier, compiled
from tfrobust.core.progress import speed
from tfrobust.errors import InputError


class Poll:
    """Counts votes image by image, and shows a bar with the progress.

    Args:
        network: the network that votes.
        sigma: σ, the standard deviation of the noise, in units of pixels from 0 to 1.
        seed: the user's seed of the draws.
        total: how many draws there will be.
        words: what the bar says is being done.
        progress: whether to show the bar.
    """

    def __init__(
        self, network: Classifier, sigma: float, seed: int, total: int, words: str, progress: bool
    ) -> None:
        self.network, self.seed = network, seed
        self.images = 0
        self.sigma = tf.constant(sigma, tf.float32)
        self.bar = tqdm(
            total=total,
            desc=words,
            unit="draw",
            unit_scale=True,
            file=sys.stderr,
            disable=not progress,
        )

    def __enter__(self) -> "Poll":
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def __call__(self, image: np.ndarray, number: int, use: Use, draws: int) -> np.ndarray:
        """How often the network gives each class to one image under noise.

        Args:
            image: float32 (H, W, C).
            number: which image of its data set it is.
            use: what the draws are for.
            draws: how many.

        Returns:
            int64 (K,), which sums to `draws`.

        Raises:
            InputError: the network gives logits that are not finite.
        """
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
        if use is Use.ESTIMATE:  # an image's last draws
            self.images += 1
            self.bar.set_postfix_str(speed(self.bar, self.images, "images"))
        if not np.all(np.array(all_finite)):
            raise InputError(
                f"expected finite logits, got NaN or infinity under noise for image {number}; "
                "did the training diverge?"
            )
        return np.array(parts, np.int64).sum(axis=0)


@compiled
def _votes(
    network: Classifier,
    draws: int,
    image: tf.Tensor,
    sigma: tf.Tensor,
    seed: tf.Tensor,
    wanted: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Counts the votes of one portion of draws.

    Args:
        network: the network that votes.
        draws: how many draws are computed.
        image: float32 (H, W, C).
        sigma: float32 scalar.
        seed: int64 (2,).
        wanted: int32 scalar, how many of the draws are counted.

    Returns:
        int32 (K,), and whether all logits were finite.
    """
    shape = (draws, *image.shape)
    logits = network(image + sigma * noise(shape, seed))
    classes = tf.one_hot(tf.argmax(logits, axis=-1), logits.shape[-1], dtype=tf.int32)
    counted = tf.cast(tf.range(draws) < wanted, tf.int32)
    finite = tf.reduce_all(tf.math.is_finite(logits))
    return tf.reduce_sum(classes * counted[:, None], axis=0), finite
