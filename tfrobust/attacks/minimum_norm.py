"""Minimum-norm attacks: they walk, and keep the smallest perturbation that they came across."""

import dataclasses
from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf

from tfrobust.attacks.base import Attack, Block
from tfrobust.attacks.line_search import known_start, shortened
from tfrobust.core.classifier import Classifier
from tfrobust.core.distances import norm, per_image
from tfrobust.errors import InputError

# Answers besides those of the last search: whether the clean image and what is known meet the
# criterion, and how the classes rank.
FIRST_ANSWERS = 3


class Best(NamedTuple):
    """The smallest perturbation so far that meets the criterion, for each of B images.

    Args:
        delta: float32 (B, H, W, C), zeros where there is none.
        size: float32 (B,), in the attack's measure; infinite where there is none.
    """

    delta: tf.Tensor
    size: tf.Tensor

    @classmethod
    def none(cls, images: tf.Tensor) -> "Best":
        """Nothing is found yet for images (B, H, W, C)."""
        return cls(tf.zeros_like(images), tf.fill(tf.shape(images)[:1], np.float32(np.inf)))

    def or_smaller(self, delta: tf.Tensor, size: tf.Tensor) -> "Best":
        """The smaller of this and another for each image; this one where they are equal.

        Args:
            delta: float32 (B, H, W, C).
            size: float32 (B,), infinite where delta does not meet the criterion.
        """
        better = size < self.size
        return Best(
            tf.where(per_image(better), delta, self.delta), tf.where(better, size, self.size)
        )


@dataclasses.dataclass(kw_only=True, eq=False)
class MinimumNormAttack(Attack):
    """A walk that keeps the smallest perturbation it comes across, for each image.

    An attack says where its walk begins (`init`) and how it goes on (`step`). The loop, the
    smallest perturbation so far, those that were found late and the last search are kept here.

    Args:
        steps: gradients taken for each image.
        line_steps: forward passes of a last search between the clean image and the smallest
            perturbation found.

    `bounds` and `batch_size` are those of every `Attack`.

    Attributes:
        tells_late: whether a perturbation that was found only in the second half of the visits
            says that the attack needs more steps.
    """

    tells_late: ClassVar[bool] = True

    steps: int = 100
    line_steps: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps < 1 or self.line_steps < 0:
            raise InputError(
                "expected steps of at least 1 and line_steps not below 0, got "
                f"{self.steps}, {self.line_steps}"
            )

    @staticmethod
    def size(delta: tf.Tensor) -> tf.Tensor:
        """By what perturbations are compared: their L2 norm, unless told otherwise.

        Args:
            delta: float32 (B, H, W, C).

        Returns:
            float32 (B,).
        """
        return norm(delta)

    @property
    def visits(self) -> int:
        """How often `step` is called: once more than there are steps.

        The last visit judges where the last step led to. Its own step goes nowhere.
        """
        return self.steps + 1

    @property
    def gradients(self) -> int:
        """One for each visit."""
        return self.steps + 1

    @property
    def judgements(self) -> int:
        """The first answers and the last search."""
        return FIRST_ANSWERS + self.line_steps

    @abstractmethod
    def init(self, model: Classifier, block: Block) -> tuple[Any, Best]:
        """Where the walk begins.

        Args:
            model: images (B, H, W, C) → logits (B, K).
            block: the images.

        Returns:
            Whatever `step` goes on from, and the smallest perturbation known at the beginning:
            `Best.none` or `known`.
        """

    @abstractmethod
    def step(
        self, model: Classifier, block: Block, state: Any, best: Best, visit: int
    ) -> tuple[Any, Best]:
        """Judges where the walk stands, and goes on.

        Args:
            model: images (B, H, W, C) → logits (B, K).
            block: the images.
            state: what `init` or the last visit gave.
            best: the smallest perturbation so far.
            visit: from 0 to `visits` − 1.

        Returns:
            The new state, and the smallest perturbation so far, this visit's included.
        """

    def walk(
        self, model: Classifier, block: Block, state: Any, best: Best, visits: range
    ) -> tuple[Any, Best]:
        """Some visits, one after the other.

        Args:
            visits: their numbers.

        The other arguments, and what it returns, are those of `step`.
        """
        for visit in visits:
            state, best = self.step(model, block, state, best, visit)
        return state, best

    def known(self, model: Classifier, block: Block) -> Best:
        """The perturbations from another attack that meet the criterion within bounds."""
        delta, given = known_start(model, block, self.bounds)
        return Best(delta, tf.where(given, self.size(delta), np.inf))

    def _run(self, model: Classifier, block: Block) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        state, best = self.init(model, block)
        half = (self.visits + 1) // 2
        state, best = self.walk(model, block, state, best, range(half))
        by_half = np.isfinite(best.size.numpy())
        _, best = self.walk(model, block, state, best, range(half, self.visits))
        found = np.isfinite(best.size.numpy())
        delta = shortened(
            model, block.criterion, block.images, block.classes, best.delta, self.line_steps
        )
        late = found & ~by_half if self.tells_late else np.zeros_like(found)
        return delta.numpy(), found, late
