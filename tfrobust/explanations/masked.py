"""What methods share that hide parts of an image and look at what the network says then."""

import dataclasses
import functools
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from tfrobust.core.batching import in_batches
from tfrobust.core.classifier import Classifier, compiled
from tfrobust.errors import InputError
from tfrobust.explanations.base import MapMethod, bar
from tfrobust.explanations.targets import confidence

Plan = tuple[Any, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskMethod(MapMethod):
    """A method that hides parts of an image by S masks. It needs no gradient.

    A method says which masks (`plan`), what they look like (`masks`) and what follows from the
    network's answers (`combined`). Images are explained one after the other, `batch_size` masks at
    a time. `attribution`, for attacks on the method, asks for all masks at one time.

    Args:
        fill: the value of hidden pixels, from 0 to 1.
        batch_size: masked images that the network sees at a time.
    """

    needs_gradient: ClassVar[bool] = False

    fill: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.fill <= 1:
            raise InputError(f"expected a fill from 0 to 1, got {self.fill}")

    def passes(self, images: np.ndarray) -> int:
        """A batch or more for each image, so that one image is explained at a time."""
        return self.batch_size

    @abstractmethod
    def plan(self, model: Classifier, images: tf.Tensor) -> Plan:
        """The masks of an image float32 (1, H, W, C) in few numbers: arrays (S, …)."""

    @abstractmethod
    def masks(self, plan: Plan, height: int, width: int) -> tf.Tensor:
        """The masks of a plan, or of some rows of it: float32 (B, H, W), 1 for what is seen."""

    @abstractmethod
    def combined(self, plan: Plan, scores: tf.Tensor, height: int, width: int) -> tf.Tensor:
        """The map float32 (1, H, W, 1) that follows from the scores (S,)."""

    def background(self, images: tf.Tensor) -> Any:
        """What is seen where a mask is 0."""
        return self.fill

    def score(self, logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """What counts of the logits (B, K) for the targets (B,): the target's confidence, (B,)."""
        return confidence(logits, targets)

    def scores(
        self, model: Classifier, images: tf.Tensor, target: tf.Tensor, *plan: Any
    ) -> tf.Tensor:
        """The scores float32 (B,) of an image (1, H, W, C) under the masks of rows of its plan."""
        seen = self.masks(plan, *images.shape[1:3])[..., None]
        masked = seen * images + (1 - seen) * self.background(images)
        return self.score(model(masked), tf.repeat(target, len(plan[0])))

    def attribution(self, model: Classifier, images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """See `Method.attribution`: (B, H, W, 1)."""

        def ask(one: tf.Tensor, target: tf.Tensor, plan: Plan) -> tf.Tensor:
            return self.scores(model, one, target, *plan)

        return self._maps(images, targets, functools.partial(self.plan, model), ask)

    def attributed(self, network: Classifier, images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """`attribution`, with as many masks at a time as a batch holds."""
        plan, scores = _programs(self)

        def ask(one: tf.Tensor, target: tf.Tensor, plan: Plan) -> np.ndarray:
            rows = [np.asarray(part) for part in plan]
            with bar("masks", len(rows[0]), "mask") as done:

                def part(*plan: tf.Tensor) -> tf.Tensor:
                    found = scores(network, one, target, *plan)
                    done.update(min(len(found), done.total - done.n))
                    return found

                found: np.ndarray = in_batches(part, min(self.batch_size, len(rows[0])), *rows)
            return found

        return self._maps(images, targets, functools.partial(plan, network), ask)

    def _maps(
        self,
        images: tf.Tensor,
        targets: tf.Tensor,
        planned: Callable[[tf.Tensor], Plan],
        ask: Callable[[tf.Tensor, tf.Tensor, Plan], Any],
    ) -> tf.Tensor:
        maps = []
        for row in range(images.shape[0]):
            one, target = images[row : row + 1], targets[row : row + 1]
            plan = planned(one)
            maps.append(self.combined(plan, ask(one, target, plan), *images.shape[1:3]))
        return tf.concat(maps, axis=0)


@functools.lru_cache(maxsize=64)
def _programs(method: MaskMethod) -> tuple[Callable[..., Plan], Callable[..., tf.Tensor]]:
    """`plan` and `scores`, compiled once for all methods with the same hyper-parameters."""
    return compiled(method.plan), compiled(method.scores)
