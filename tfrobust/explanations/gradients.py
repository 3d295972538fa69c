"""Maps made of the gradient of the target's logit: plain, times the image, smoothed, integrated.

The mean of gradients over points around an image is tf-explain's. What its own `explain` does
beside is mended here: it takes one class for a whole batch; standardises |gradient| and casts it
to 8 bits, which wraps around; draws SmoothGrad's noise anew for each call, with a deviation of
1, and follows a cross-entropy that takes logits for probabilities; counts both ends of Integrated
Gradients' path in full and does not multiply by (image − baseline).
"""

import dataclasses
from abc import abstractmethod
from typing import Any

import numpy as np
import tensorflow as tf
from tf_explain.core.integrated_gradients import IntegratedGradients as _Integration

from tfrobust.core.opaque import Model
from tfrobust.errors import InputError
from tfrobust.explanations.base import MapMethod


class GradientMethod(MapMethod):
    """A method that follows gradients of the target's logit at one or more points an image."""

    def points(self, images: tf.Tensor) -> tf.Tensor:
        """Where gradients are taken: (B, H, W, C) → (B, S, H, W, C)."""
        return images[:, None]

    @abstractmethod
    def weighted(self, images: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
        """The attribution, from the images and the points' mean gradient: both (B, H, W, C)."""

    def attribution(self, model: Model, images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """See `Method.attribution`."""
        points = self.points(images)
        samples = points.shape[1]
        classes = tf.repeat(targets, samples)

        def score(inputs: tf.Tensor) -> tf.Tensor:
            # One column, each image's own class: tf-explain knows one class for a batch.
            return tf.gather(model(inputs), classes, batch_dims=1)[:, None]

        # Without the tf.function that tf-explain puts around it, which would trace every model
        # anew and keep it for good.
        mean_gradient = _Integration.get_integrated_gradients.python_function(
            tf.reshape(points, (-1, *points.shape[2:])), score, 0, samples
        )
        return self.weighted(images, mean_gradient)


@dataclasses.dataclass(frozen=True, kw_only=True)
class VanillaGradients(GradientMethod):
    """The gradient of the target's logit.

    Args:
        batch: images that the network sees at a time.

    Source: arXiv 1312.6034.
    """

    @property
    def name(self) -> str:
        """The method's name."""
        return "Vanilla Gradients"

    def weighted(self, images: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
        """The gradient itself."""
        return gradient


@dataclasses.dataclass(frozen=True, kw_only=True)
class GradientsInputs(GradientMethod):
    """The gradient of the target's logit times the image: each pixel's share of a linear logit.

    Args:
        batch: images that the network sees at a time.

    Source: arXiv 1605.01713.
    """

    @property
    def name(self) -> str:
        """The method's name."""
        return "Gradients×Inputs"

    def weighted(self, images: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
        """Gradient times image."""
        return images * gradient

    def pixels(self, attribution: Any) -> Any:
        """The sum over the channels: shares of one logit add up, signs included."""
        return tf.reduce_sum(attribution, axis=-1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class IntegratedGradients(GradientMethod):
    """Each pixel's share of the logit's rise on the straight way from a baseline to the image.

    Args:
        steps: points on the way, at the middles of as many equal parts.
        baseline: the value of every pixel at the start, from 0 (black) to 1.
        batch: images that the network sees at a time.

    Source: arXiv 1703.01365.
    """

    steps: int = 32
    baseline: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps < 1 or not 0 <= self.baseline <= 1:
            raise InputError(
                "expected at least 1 step and a baseline from 0 to 1, got "
                f"{self.steps}, {self.baseline}"
            )

    @property
    def name(self) -> str:
        """The method's name."""
        return "Integrated Gradients"

    def passes(self, images: np.ndarray) -> int:
        """One a step."""
        return self.steps

    def points(self, images: tf.Tensor) -> tf.Tensor:
        """The middles of the way's parts."""
        share = (np.arange(self.steps, dtype=np.float32) + 0.5) / self.steps
        share = share[:, None, None, None]
        return self.baseline + share * (images - self.baseline)[:, None]

    def weighted(self, images: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
        """Gradient times the whole way."""
        return (images - self.baseline) * gradient

    def pixels(self, attribution: Any) -> Any:
        """The sum over the channels: shares of one logit add up, signs included."""
        return tf.reduce_sum(attribution, axis=-1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SmoothGrad(GradientMethod):
    """The mean gradient of the target's logit over noisy copies of the image.

    Args:
        samples: copies.
        noise: the noise's standard deviation, pixels from 0 to 1.
        seed: of the noise, the same for every image and call.
        batch: images that the network sees at a time.

    Source: arXiv 1706.03825, which takes 10 to 20 % of the pixels' range.
    """

    samples: int = 16
    noise: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.samples < 1 or not self.noise >= 0:
            raise InputError(
                "expected at least 1 sample and noise not below 0, got "
                f"{self.samples}, {self.noise}"
            )

    @property
    def name(self) -> str:
        """The method's name."""
        return "SmoothGrad"

    def passes(self, images: np.ndarray) -> int:
        """One a sample."""
        return self.samples

    def points(self, images: tf.Tensor) -> tf.Tensor:
        """Noisy copies."""
        shape = (self.samples, *images.shape[1:])
        return images[:, None] + tf.random.stateless_normal(
            shape, (self.seed, 0), stddev=self.noise, alg="philox"
        )

    def weighted(self, images: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
        """The mean gradient itself."""
        return gradient
