"""What every method of explanation shares: the call and its checks."""

import dataclasses
import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from tfrobust.core.config import Configured
from tfrobust.core.images import check_images
from tfrobust.core.opaque import Model, Opaque, compiled
from tfrobust.errors import InputError
from tfrobust.explanations.blocks import blocks, chosen_targets, confidence
from tfrobust.explanations.explanation import Explanation


@dataclasses.dataclass(frozen=True, kw_only=True)
class Method(Configured, ABC):
    """A way to explain: hyper-parameters first, then `method(model, images, targets)`."""

    # Whether the method follows the model's gradient, which an `Opaque` one does not give.
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
            model: gives logits (B, K) for images.
            images: float (N, H, W, C) in [0, 1]; N may be 0.
            targets: int (N,) or a single int, the class to explain; None or −1 for the predicted.

        Returns:
            The explanations.

        Raises:
            InputError: images outside [0, 1], a target that is no class of the network, or a
                model that the method cannot explain.
        """

    @abstractmethod
    def attribution(self, model: Model, images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """The attribution as a TensorFlow function of the images, for attacks on it.

        Args:
            model: gives logits (B, K) for images.
            images: float32 (B, H, W, C).
            targets: int32 (B,), no −1.

        Returns:
            float32 (B, H, W, C) or (B, H, W, 1).
        """

    def passes(self, images: np.ndarray) -> int:
        """How often the attribution asks the network about each of the images (N, H, W, C)."""
        return 1

    def pixels(self, attribution: Any) -> Any:
        """An attribution (N, H, W, C) as a map (N, H, W): the sum over the channels."""
        return tf.reduce_sum(attribution if self.signed else tf.abs(attribution), axis=-1)

    def check_model(self, model: Model) -> None:
        """Refuses a model that the method cannot explain.

        Raises:
            InputError: says what it lacks.
        """
        if self.needs_gradient and isinstance(model, Opaque):
            raise InputError(
                f"expected a model with a gradient, which {self.name} follows, but {model.name} "
                "only gives answers; explain it with Occlusion"
            )


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
        self.check_model(model)
        images = np.asarray(images, np.float32)
        check_images(images, np.zeros(images.shape[:1]), model)
        size = max(1, self.batch_size // max(1, self.passes(images)))
        found = []
        for block in blocks(model, images, chosen_targets(targets, len(images)), size):
            values = program(self)(model, block.images, block.targets)
            outcome = {
                "target": block.targets,
                "confidence": confidence(block.logits, block.targets),
                "attribution": values,
                "map": self.pixels(values),
            }
            found.append({name: part.numpy()[: block.asked] for name, part in outcome.items()})
        if not found:
            return nothing(images, self.name)
        parts = {name: np.concatenate([part[name] for part in found]) for name in found[0]}
        return Explanation(
            explanation=images,
            difference=np.zeros_like(images),
            target=parts["target"],
            confidence_before=parts["confidence"],
            confidence_after=parts["confidence"],
            rmse=np.zeros(len(images), np.float32),
            rho=0.0,
            reached=np.ones(len(images), bool),
            attribution=parts["attribution"],
            map=parts["map"],
            method=self.name,
        )


@functools.lru_cache(maxsize=64)
def program(method: Method) -> Callable[[Model, tf.Tensor, tf.Tensor], tf.Tensor]:
    """`Method.attribution` compiled; the same for methods with the same hyper-parameters."""
    return compiled(method.attribution)


def nothing(images: np.ndarray, method: str) -> Explanation:
    """A method's explanations of no images, float32 (0, H, W, C)."""
    none = np.zeros(0, np.float32)
    classes, reached = np.zeros(0, np.int32), np.zeros(0, bool)
    return Explanation(
        images, images, classes, none, none, none, none, reached, images, images[..., 0], method
    )
