"""Residual branches that are left out or shaken at random while a network trains."""

from typing import Any

import keras
import tensorflow as tf

from tfrobust.errors import InputError


class DroppedBranch(keras.layers.Layer):
    """A branch of a residual block, which each image of a training batch keeps by chance.

    Where the network does not train, the branch is multiplied by its mean factor.

    Args:
        keep: the probability of keeping it, above 0 and at most 1.
        seed: of the draws; None for one that `keras.utils.set_random_seed` decides.

    Raises:
        InputError: keep is out of its range.
    """

    def __init__(self, keep: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 < keep <= 1:
            raise InputError(f"expected keep above 0 and at most 1, got {keep}")
        self.keep = float(keep)
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, branch: tf.Tensor, training: bool = False) -> tf.Tensor:
        """The branch (B, …) times its factors."""
        return self.dropped(branch) if training else branch * self.keep

    def dropped(self, branch: tf.Tensor) -> tf.Tensor:
        """The branch (B, …) times factors that are drawn."""
        raise NotImplementedError

    def drawn(self, branch: tf.Tensor, low: float = 0.0, high: float = 1.0) -> tf.Tensor:
        """A uniform number for each image of a branch (B, …): (B, 1, …)."""
        shape = (tf.shape(branch)[0], *(1,) * (len(branch.shape) - 1))
        return keras.random.uniform(shape, low, high, branch.dtype, seed=self.generator)

    def kept(self, branch: tf.Tensor) -> tf.Tensor:
        """1 for images that keep the branch, 0 for others: (B, 1, …)."""
        return tf.cast(self.drawn(branch) < self.keep, branch.dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's own shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same layer."""
        return {**super().get_config(), "keep": self.keep}


@keras.saving.register_keras_serializable(package="tfrobust")
class StochasticDepth(DroppedBranch):
    """The branch is kept as it is or left out.

    Source: Huang et al., arXiv 1603.09382.
    """

    def dropped(self, branch: tf.Tensor) -> tf.Tensor:
        """See `DroppedBranch`."""
        return branch * self.kept(branch)


@keras.saving.register_keras_serializable(package="tfrobust")
class ShakeDrop(DroppedBranch):
    """The branch is kept as it is, or multiplied by α on the way forward and by β on the way back.

    α is uniform in [−1, 1] and β in [0, 1], each drawn for each image. Every gradient is taken
    with β, that by the pixels of the gradient penalty too.

    Source: Yamada et al., arXiv 1802.02375, with the ranges that it found best.
    """

    def dropped(self, branch: tf.Tensor) -> tf.Tensor:
        """See `DroppedBranch`."""
        kept = self.kept(branch)
        forward = kept + (1 - kept) * self.drawn(branch, -1.0, 1.0)
        back = kept + (1 - kept) * self.drawn(branch)
        return back * branch + tf.stop_gradient((forward - back) * branch)
