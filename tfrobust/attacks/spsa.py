"""SPSA: gradients estimated from a model's answers to random pairs of images."""

import dataclasses

import numpy as np
import tensorflow as tf
from cleverhans.tf2.attacks.spsa import projected_optimization

from tfrobust.attacks.base import Block
from tfrobust.attacks.cleverhans import SeededSPSA
from tfrobust.attacks.fixed_size import FixedSizeAttack
from tfrobust.core.bounds import Bounds
from tfrobust.core.classifier import Classifier, compiled
from tfrobust.core.criterion import Criterion
from tfrobust.core.distances import clip
from tfrobust.errors import InputError


@dataclasses.dataclass(kw_only=True, eq=False)
class SPSA(FixedSizeAttack):
    """CleverHans' SPSA in L∞ balls, whose size is bisected for each image. It takes no gradients.

    A step asks for the criterion's margin at pairs of images, which lie on either side of where
    the walk stands, by random signs. From these it estimates the margin's gradient for Adam. The
    walk ends once the criterion is met. It needs the model's logits, and asks for at most
    rounds · steps · (samples + 1) of them for each image, one image at a time.

    An image's draws depend on the seed and on its number, and are the same for every size.

    Args:
        steps: of each walk.
        rounds: how many sizes are tried.
        samples: images that a step asks about, even.
        delta: how far they lie from where the walk stands, in units of pixels from 0 to 1.
        step_size: Adam's learning rate as a share of the size.
        seed: of the draws, not below 0.
        line_steps: forward passes of a last search between the clean image and the smallest
            perturbation found.
        bounds: the lowest and the highest value of an attacked pixel, as (0, 1); None for no
            bounds.
        batch_size: how many images are judged at a time.

    Source: Uesato et al., arXiv 1802.05666, as implemented by CleverHans.
    """

    needs_gradient = False

    steps: int = 20
    rounds: int = 6
    norm: float = dataclasses.field(default=np.inf, init=False)
    samples: int = 64
    delta: float = 0.01
    step_size: float = 0.25
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.samples < 2 or self.samples % 2:
            raise InputError(f"expected an even number of samples from 2, got {self.samples}")
        if self.delta <= 0 or self.step_size <= 0 or self.seed < 0:
            raise InputError(
                "expected delta and step_size above 0 and a seed not below 0, got "
                f"{self.delta}, {self.step_size}, {self.seed}"
            )

    @property
    def name(self) -> str:
        """E.g. "CleverHans SPSA-L∞ (20 steps × 64 samples × 6 sizes)"."""
        return (
            f"CleverHans SPSA-L∞ ({self.steps} steps × {self.samples} samples × "
            f"{self.rounds} sizes)"
        )

    @property
    def queries(self) -> int:
        """Of all sizes' walks, the judgement of each, and the last search."""
        return self.rounds * (self.steps * (self.samples + 1) + 1) + self.line_steps + 2

    def _perturbations(self, model: Classifier, block: Block, sizes: np.ndarray) -> tf.Tensor:
        deltas: list[tf.Tensor] = []
        done: dict[tuple[int, int, float, bytes], tf.Tensor] = {}
        for row, size in enumerate(sizes):
            # A block is padded with its first image, which is not attacked again.
            number = int(block.numbers[row])
            key = number, int(block.classes[row]), size, block.images[row].numpy().tobytes()
            if key not in done:
                done[key] = _optimized(
                    model,
                    block.criterion,
                    self.bounds,
                    self.steps,
                    self.samples,
                    self.delta,
                    self.step_size,
                    block.images[row : row + 1],
                    block.classes[row],
                    tf.constant(size, tf.float32),
                    tf.constant([self.seed, number], tf.int32),
                )
            deltas.append(done[key])
        return clip(block.images, tf.concat(deltas, axis=0), self.bounds)


# The loop is not compiled by XLA, only the model in it: XLA's loops compute on one core.
@tf.function
def _optimized(
    model: Classifier,
    criterion: Criterion,
    bounds: Bounds | None,
    steps: int,
    samples: int,
    delta: float,
    step_size: float,
    image: tf.Tensor,
    label: tf.Tensor,
    radius: tf.Tensor,
    seed: tf.Tensor,
) -> tf.Tensor:
    """CleverHans' attack on one image: (1, H, W, C), scalars and seed (2,) → perturbation."""
    low, high = bounds or (-np.inf, np.inf)
    adversarial = projected_optimization(
        lambda images, label: _margins(model, criterion, images, label),
        image,
        label,
        radius,
        steps,
        SeededSPSA(step_size * radius, delta, samples, radius, seed),
        clip_min=low,
        clip_max=high,
        early_stop_loss_threshold=0.0,
    )
    return adversarial - image


@compiled
def _margins(
    model: Classifier, criterion: Criterion, images: tf.Tensor, label: tf.Tensor
) -> tf.Tensor:
    return criterion.margin(model(images), tf.fill(tf.shape(images)[:1], label))
