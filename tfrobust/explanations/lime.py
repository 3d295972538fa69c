"""LIME: a linear model of what the network says of an image when patches of it are hidden.

The package `lime` has had no release since 2020. Its kept successors are wrappers of it, or need
PyTorch (captum) and a gradient through it. The formula is short, so it is here.
"""

import dataclasses
from typing import ClassVar

import numpy as np
import tensorflow as tf

from tfrobust.core.classifier import Classifier
from tfrobust.errors import InputError
from tfrobust.explanations.grid import grid
from tfrobust.explanations.masked import MaskMethod, Plan


@dataclasses.dataclass(frozen=True, kw_only=True)
class LIME(MaskMethod):
    """How much each patch adds to the target's confidence, by a linear model near the image.

    S samples z each keep every patch with probability ½; the first one keeps all. A ridge
    regression of the confidences on z, with an intercept that is not shrunk and each sample
    weighted by exp(−D²/width²), gives a coefficient for each patch. D is the cosine distance of z
    from the whole image, 1 − √(share of patches that are kept).

    The paper's superpixels are patches of a grid here: small images have no others, and no
    segmentation has to be trusted.

    Args:
        samples: S.
        patch: the side of a patch in pixels; None for an eighth of the image's longer side.
        width: of the kernel.
        ridge: how strongly coefficients are shrunk, above 0.
        fill: the value of hidden pixels, from 0 to 1.
        seed: of the samples, which are the same for every image and call.
        batch_size: masked images that the network sees at a time.

    Source: Ribeiro et al., arXiv 1602.04938, section 3; kernel width, distance and ridge as in
    the authors' package for images.
    """

    name: ClassVar[str] = "LIME"
    signed: ClassVar[bool] = True

    samples: int = 1000
    patch: int | None = None
    width: float = 0.25
    ridge: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.samples < 2 or (self.patch is not None and self.patch < 1):
            raise InputError(
                "expected at least 2 samples and patches of at least 1 pixel, got "
                f"{self.samples}, {self.patch}"
            )
        if not self.width > 0 or not self.ridge > 0:
            raise InputError(
                f"expected a width and a ridge above 0, got {self.width}, {self.ridge}"
            )

    def plan(self, model: Classifier, images: tf.Tensor) -> Plan:
        """Which patches each sample keeps: float32 (S, P)."""
        height, width = images.shape[1:3]
        patches = len(grid(height, width, self.patch))
        kept = np.random.default_rng(self.seed).random((self.samples, patches)) < 0.5
        kept[0] = True
        return (kept.astype(np.float32),)

    def masks(self, plan: Plan, height: int, width: int) -> tf.Tensor:
        """See `MaskMethod.masks`."""
        patches = grid(height, width, self.patch).astype(np.float32)
        return tf.tensordot(plan[0], patches, 1)

    def combined(self, plan: Plan, scores: tf.Tensor, height: int, width: int) -> tf.Tensor:
        """See `MaskMethod.combined`: each patch has its coefficient."""
        solution = self.solution(np.asarray(plan[0], np.float64))
        coefficients = tf.linalg.matvec(solution.astype(np.float32), tf.convert_to_tensor(scores))
        patches = grid(height, width, self.patch).astype(np.float32)
        return tf.tensordot(coefficients, patches, 1)[None, ..., None]

    def solution(self, kept: np.ndarray) -> np.ndarray:
        """The regression, which is linear in the scores (S,): a matrix that gives coefficients.

        Args:
            kept: float64 (S, P), 1 for the patches that a sample keeps.

        Returns:
            float64 (P, S).
        """
        weights = np.exp(-np.square(1 - np.sqrt(kept.mean(axis=1))) / self.width**2)
        # About the weighted mean, the intercept is gone.
        centred = kept - np.average(kept, axis=0, weights=weights)
        weighted = centred.T * weights
        shrunk = weighted @ centred + self.ridge * np.eye(kept.shape[1])
        found: np.ndarray = np.linalg.solve(shrunk, weighted)
        return found
