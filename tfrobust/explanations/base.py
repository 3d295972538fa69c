"""What every method of explanation shares: the call and its checks."""

import dataclasses
import functools
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfrobust.core.classifier import Classifier, Model, answers, compiled
from tfrobust.core.config import Configured
from tfrobust.errors import InputError
from tfrobust.explanations.explanation import Explanation
from tfrobust.explanations.targets import by_batches, confidence, question, resolved


@dataclasses.dataclass(frozen=True, kw_only=True)
class Method(Configured, ABC):
    """A way to explain: hyper-parameters first, then `method(model, images, targets)`."""

    # Whether the method follows the network's gradient.
    needs_gradient: ClassVar[bool] = True
    # Whether the map keeps signs: positive values speak for the class, negative ones against it.
    signed: ClassVar[bool] = False

    @property
    @abstractmethod
    def name(self) -> str:
        """What a figure or a table calls the method."""

    @abstractmethod
    def __call__(self, model: Model, images: Any, targets: Any = None) -> Explanation:
        """Explains images.

        Args:
            model: what `as_classifier` takes.
            images: float (N, H, W, C) in [0, 1]; N may be 0.
            targets: int (N,) or a single int, the class to explain; None or −1 for the predicted.

        Returns:
            The explanations.

        Raises:
            InputError: images outside [0, 1], a target that is no class of the network, or a
                model that the method cannot explain.
        """

    @abstractmethod
    def attribution(self, model: Classifier, images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """The attribution as a TensorFlow function of the images, for attacks on it.

        Args:
            model: is asked for logits (B, K).
            images: float32 (B, H, W, C).
            targets: int32 (B,), no −1.

        Returns:
            float32 (B, H, W, C) or (B, H, W, 1).
        """

    def passes(self, images: np.ndarray) -> int:
        """How many images the network sees for each of the images (N, H, W, C)."""
        return 1

    def coarse(self) -> "Method":
        """A method whose maps are nearly the same for less, which attacks on this one follow."""
        return self

    def pixels(self, attribution: Any) -> Any:
        """An attribution (N, H, W, C) as a map (N, H, W): the sum over the channels."""
        return tf.reduce_sum(attribution if self.signed else tf.abs(attribution), axis=-1)

    def check_model(self, model: Classifier) -> None:
        """Refuses a network that the method cannot explain.

        Raises:
            InputError: says what it lacks.
        """
        if self.needs_gradient and not model.has_gradient:
            raise InputError(
                f"expected a model with a gradient, which {self.name} follows, but {model.name} "
                "only gives answers; explain it with Occlusion"
            )


# A terminal gets a bar where a method takes longer than so many seconds.
BAR_DELAY = 2.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class MapMethod(Method):
    """A method that says where the evidence is, and changes nothing.

    Args:
        batch_size: images that the network sees at a time. Lower it if memory runs out.
    """

    batch_size: int = 32

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise InputError(f"expected a batch_size of at least 1, got {self.batch_size}")

    def __call__(self, model: Model, images: Any, targets: Any = None) -> Explanation:
        """Explains images: see `Method`."""
        network, images, targets = question(model, images, targets)
        self.check_model(network)
        if not len(images):
            return nothing(images, self.name)
        size = max(1, self.batch_size // max(1, self.passes(images)))
        with bar(self.name, len(images), "image") as done:

            def explained(images: tf.Tensor, targets: tf.Tensor) -> dict[str, tf.Tensor]:
                part = self._explained(network, images, targets)
                done.update(min(len(images), done.total - done.n))
                return part

            found = by_batches(explained, size, images, targets)
        return Explanation(
            explanation=images,
            difference=np.zeros_like(images),
            confidence_after=found["confidence_before"],
            rmse=np.zeros(len(images), np.float32),
            rho=0.0,
            reached=np.ones(len(images), bool),
            **found,
            method=self.name,
        )

    def _explained(
        self, network: Classifier, images: tf.Tensor, targets: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Some fields of `Explanation`, of one batch."""
        logits = answers(network, images)
        targets = resolved(targets, logits)
        attribution = self.attributed(network, images, targets)
        return {
            "target": targets,
            "confidence_before": confidence(network.shown(logits), targets),
            "attribution": attribution,
            "map": self.pixels(attribution),
        }

    def attributed(self, network: Classifier, images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """`attribution` of one batch, in the way that is quickest outside of a graph."""
        return program(self)(network, images, targets)


def bar(words: str, total: int, unit: str) -> "tqdm[Any]":
    """A progress bar on a terminal, which comes only if it is needed."""
    return tqdm(
        total=total,
        desc=words,
        unit=unit,
        file=sys.stderr,
        delay=BAR_DELAY,
        leave=False,
        disable=None,
    )


@functools.lru_cache(maxsize=64)
def program(method: Method) -> Callable[[Classifier, tf.Tensor, tf.Tensor], tf.Tensor]:
    """`Method.attribution`, compiled once for all methods with the same hyper-parameters."""
    return compiled(method.attribution)


def nothing(images: np.ndarray, method: str) -> Explanation:
    """A method's explanations of no images, float32 (0, H, W, C)."""
    none = np.zeros(0, np.float32)
    classes, reached = np.zeros(0, np.int32), np.zeros(0, bool)
    return Explanation(
        images, images, classes, none, none, none, none, reached, images, images[..., 0], method
    )
