"""CleverHans' SPSA: gradients estimated from a model's answers to random pairs of images."""

import numpy as np
import tensorflow as tf
from cleverhans.tf2.attacks.spsa import SPSAAdam, projected_optimization

from tfrobust.attacks.base import Block
from tfrobust.attacks.fixed_size import Bisection
from tfrobust.core.criteria import Criterion
from tfrobust.core.distances import Bounds, clip
from tfrobust.core.opaque import Model, compiled
from tfrobust.errors import InputError


@compiled
def _margins(model: Model, criterion: Criterion, images: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
    return criterion.margin(model(images), tf.fill(tf.shape(images)[:1], label))


class _Optimizer(SPSAAdam):
    """CleverHans' optimizer for Keras 3, with random numbers that depend on a seed and a step.

    CleverHans' own constructor hands Keras' Adam an `lr`, which it no longer takes, and its
    draws are of TensorFlow's global generator.
    """

    def __init__(
        self, rate: tf.Tensor, delta: float, samples: int, radius: tf.Tensor, seed: tf.Tensor
    ) -> None:
        # Keras' own part, its variables included, is not used.
        self.__dict__.update(
            lr=rate, _delta=delta, _num_samples=samples // 2, _num_iters=1,
            beta_1=0.9, beta_2=0.999, epsilon=1e-7, _compare_to_analytic_grad=False,
            _radius=radius, _seed=seed,
        )  # fmt: skip

    def minimize(self, loss_fn, x, optim_state):  # type: ignore[no-untyped-def]
        # Step 0 begins at a point drawn by CleverHans, for which ours is put.
        step = tf.cast(optim_state["t"], tf.int32)
        start = tf.random.stateless_uniform(tf.shape(x[0]), self._seed, -1.0, 1.0) * self._radius
        x = [tf.where(step == 0, start, x[0])]
        self.__dict__["_step_seed"] = tf.random.experimental.stateless_fold_in(self._seed, step)
        return super().minimize(loss_fn, x, optim_state)

    def _get_delta(self, x: tf.Tensor, delta: float) -> tf.Tensor:
        shape = [self._num_samples, *x.shape[1:]]
        return delta * tf.sign(tf.random.stateless_uniform(shape, self._step_seed, -1.0, 1.0))


# The loop is not compiled by XLA, only the model in it: XLA's loops compute on one core.
@tf.function
def _optimized(
    model: Model,
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
        _Optimizer(step_size * radius, delta, samples, radius, seed),
        clip_min=low,
        clip_max=high,
        early_stop_loss_threshold=0.0,
    )
    return adversarial - image


class SPSA(Bisection):
    """CleverHans' SPSA in L∞ balls, whose size is bisected per image: takes no gradients.

    A step asks for the goal's margin at pairs of images, as many random signs to either side of
    where the walk stands, from which it estimates the margin's gradient for Adam. The walk ends
    once the goal is met. It needs the model's logits, so it works on what gives no gradient; it
    asks for at most rounds · steps · (samples + 1) of them an image, one image at a time.

    An image's draws depend on the seed and its number, and are the same for every size.

    Args:
        steps: of each walk.
        rounds: sizes tried.
        samples: images of a step, even.
        delta: how far to either side, units of pixels from 0 to 1.
        step_size: Adam's learning rate, as a share of the size.
        seed: of the draws.
        line_steps: forward passes of a last bisection, between the clean image and the best.
        bounds: the lowest and highest value of an attacked pixel, as (0, 1); None for no bounds.
        batch_size: images judged at a time.

    Source: arXiv 1802.05666, as implemented by CleverHans.
    """

    needs_gradient = False

    def __init__(
        self,
        *,
        steps: int = 20,
        rounds: int = 6,
        samples: int = 64,
        delta: float = 0.01,
        step_size: float = 0.25,
        seed: int = 0,
        line_steps: int = 8,
        bounds: Bounds | None = None,
        batch_size: int = 50,
    ) -> None:
        super().__init__(
            steps=steps,
            rounds=rounds,
            norm=np.inf,
            line_steps=line_steps,
            bounds=bounds,
            batch_size=batch_size,
        )
        if samples < 2 or samples % 2:
            raise InputError(f"expected an even number of samples from 2, got {samples}")
        if delta <= 0 or step_size <= 0 or seed < 0:
            raise InputError(
                "expected delta and step_size above 0 and a seed not below 0, got "
                f"{delta}, {step_size}, {seed}"
            )
        self.samples, self.delta, self.step_size, self.seed = samples, delta, step_size, seed

    @property
    def name(self) -> str:
        """E.g. "CleverHans SPSA-L∞ (20 steps × 64 samples × 6 sizes)"."""
        return (
            f"CleverHans SPSA-L∞ ({self.steps} steps × {self.samples} samples × "
            f"{self.rounds} sizes)"
        )

    def _perturbations(self, model: Model, block: Block, sizes: np.ndarray) -> tf.Tensor:
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
