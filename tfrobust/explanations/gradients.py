"""Maps made of the gradient of the target's logit: plain, times the image, smoothed, integrated."""

import dataclasses
from typing import ClassVar

import numpy as np
import tensorflow as tf

from tfrobust.core.classifier import Classifier
from tfrobust.errors import InputError
from tfrobust.explanations import tf_explain
from tfrobust.explanations.base import MapMethod

# Steps of Integrated Gradients at which attacks on them take gradients.
COARSE = 16


class GradientMethod(MapMethod):
    """A method that averages the gradient of the target's logit over points around each image."""

    def points(self, images: tf.Tensor) -> tf.Tensor:
        """The S points of each image: (B, H, W, C) → (B, S, H, W, C)."""
        return images[:, None]

    def weighted(self, images: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
        """The attribution, from the images and the mean gradients, both (B, H, W, C)."""
        return gradient

    def attribution(self, model: Classifier, images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """See `Method.attribution`."""
        gradient = tf_explain.mean_gradient(model, self.points(images), targets)
        return self.weighted(images, gradient)


@dataclasses.dataclass(frozen=True, kw_only=True)
class VanillaGradients(GradientMethod):
    """The gradient of the target's logit.

    Args:
        batch_size: images that the network sees at a time.

    Source: arXiv 1312.6034.
    """

    name: ClassVar[str] = "Vanilla Gradients"


@dataclasses.dataclass(frozen=True, kw_only=True)
class GradientsInputs(GradientMethod):
    """The gradient of the target's logit times the image.

    For a network with linear logits, it is each pixel's share of the logit.

    Args:
        batch_size: images that the network sees at a time.

    Source: arXiv 1605.01713.
    """

    name: ClassVar[str] = "Gradients×Inputs"
    signed: ClassVar[bool] = True

    def weighted(self, images: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
        """The gradient times the image."""
        return images * gradient


@dataclasses.dataclass(frozen=True, kw_only=True)
class IntegratedGradients(GradientMethod):
    """Each pixel's share of the rise of the logit on the straight way from a baseline to the image.

    Args:
        steps: the way is cut into so many equal parts, and gradients are taken in their middles.
        baseline: the value of every pixel at the start, from 0 (black) to 1.
        batch_size: images that the network sees at a time.

    Source: arXiv 1703.01365.
    """

    name: ClassVar[str] = "Integrated Gradients"
    signed: ClassVar[bool] = True

    steps: int = 32
    baseline: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps < 1 or not 0 <= self.baseline <= 1:
            raise InputError(
                "expected at least 1 step and a baseline from 0 to 1, got "
                f"{self.steps}, {self.baseline}"
            )

    def passes(self, images: np.ndarray) -> int:
        """One for each step."""
        return self.steps

    def coarse(self) -> "IntegratedGradients":
        """With few steps: their sum differs little from that of many."""
        return dataclasses.replace(self, steps=min(self.steps, COARSE))

    def points(self, images: tf.Tensor) -> tf.Tensor:
        """The middles of the parts of the way."""
        share = (np.arange(self.steps, dtype=np.float32) + 0.5) / self.steps
        share = share[:, None, None, None]
        return self.baseline + share * (images - self.baseline)[:, None]

    def weighted(self, images: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
        """The gradient times the whole way."""
        return (images - self.baseline) * gradient


@dataclasses.dataclass(frozen=True, kw_only=True)
class SmoothGrad(GradientMethod):
    """The mean gradient of the target's logit over noisy copies of the image.

    Args:
        samples: the number of copies.
        noise: the noise's standard deviation, in units of pixels in [0, 1].
        seed: of the noise, which is the same for every image and call.
        batch_size: images that the network sees at a time.

    Source: arXiv 1706.03825, which takes noise of 10 to 20 % of the range of pixels.
    """

    name: ClassVar[str] = "SmoothGrad"

    samples: int = 16
    noise: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.samples < 1 or not self.noise >= 0:
            raise InputError(
                f"expected at least 1 sample and noise not below 0, got {self.samples}, "
                f"{self.noise}"
            )

    def passes(self, images: np.ndarray) -> int:
        """One for each copy."""
        return self.samples

    def points(self, images: tf.Tensor) -> tf.Tensor:
        """The noisy copies."""
        shape = (self.samples, *images.shape[1:])
        return images[:, None] + tf.random.stateless_normal(
            shape, (self.seed, 0), stddev=self.noise, alg="philox"
        )
