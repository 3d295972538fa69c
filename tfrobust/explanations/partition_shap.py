"""SHAP by the package `shap`, which is an extra: its partition explainer on images."""

import dataclasses
import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from tfrobust.core.classifier import Classifier, logits_of
from tfrobust.core.extras import imported
from tfrobust.errors import InputError
from tfrobust.explanations.base import MapMethod


@dataclasses.dataclass(frozen=True, kw_only=True)
class PartitionSHAP(MapMethod):
    """Each value's share of the target's confidence, by Owen values over halves of the image.

    The image is halved again and again, where that changes the confidence most, and each part
    gets its Shapley value among the parts beside it. All shares sum up to the confidence less
    that of an image that is hidden everywhere. Parts that `evaluations` do not suffice to halve
    share evenly. It needs no gradient. The package `shap` computes it, the extra `shap`.

    Args:
        evaluations: masked images that the network sees for each image.
        fill: the value of hidden pixels, from 0 to 1.
        batch_size: masked images that the network sees at a time.

    Raises:
        ReportedError: `shap` is not installed; when the method is called.

    Source: Lundberg and Lee, arXiv 1705.07874; Owen values as in the package's PartitionExplainer.
    """

    name: ClassVar[str] = "SHAP"
    needs_gradient: ClassVar[bool] = False
    signed: ClassVar[bool] = True

    evaluations: int = 500
    fill: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.evaluations < 4 or not 0 <= self.fill <= 1:
            raise InputError(
                "expected at least 4 evaluations and a fill from 0 to 1, got "
                f"{self.evaluations}, {self.fill}"
            )

    def check_model(self, model: Classifier) -> None:
        """Says what to install where `shap` is missing."""
        super().check_model(model)
        imported("shap", needed_by=self.name)

    def passes(self, images: np.ndarray) -> int:
        """A batch or more for each image, so that one image is explained at a time."""
        return self.batch_size

    def attribution(self, model: Classifier, images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """See `Method.attribution`: (B, H, W, C), without a gradient."""
        explained = functools.partial(self.attributed, model)
        values = tf.numpy_function(explained, [images, targets], tf.float32)
        return tf.ensure_shape(values, images.shape)

    def attributed(self, network: Classifier, images: Any, targets: Any) -> np.ndarray:
        """`attribution`, which TensorFlow leaves to `shap`."""
        explainer = _explainer(self, network, tuple(images.shape[1:]))
        shares = [
            explainer(
                np.asarray(images)[row : row + 1],
                max_evals=self.evaluations,
                batch_size=self.batch_size,
                outputs=[int(target)],
                silent=not sys.stderr.isatty(),
            ).values[..., 0]
            for row, target in enumerate(np.asarray(targets))
        ]
        return np.concatenate(shares).astype(np.float32)


@functools.lru_cache(maxsize=4)
def _explainer(method: PartitionSHAP, network: Classifier, shape: tuple[int, ...]) -> Any:
    """What explains images of a shape. Making it takes longer than many questions."""
    shap = imported("shap", needed_by="PartitionSHAP")

    def shares(images: np.ndarray) -> np.ndarray:
        logits = logits_of(network, images, method.batch_size)
        return tf.nn.softmax(logits).numpy()

    with _own_random_numbers():
        masker = shap.maskers.Image(np.full(shape, method.fill, np.float32))
        # Or the answer to the hidden image would be kept, while weights may change.
        masker.fixed_background = False
        explainer = shap.PartitionExplainer(shares, masker)

    def explain(*arguments: Any, **options: Any) -> Any:
        with _own_random_numbers():  # They decide between halves that matter equally.
            return explainer(*arguments, **options)

    return explain


@contextmanager
def _own_random_numbers() -> Iterator[None]:
    """Within it, NumPy's global random numbers begin at a seed; afterwards they are as before."""
    before = np.random.get_state()
    np.random.seed(0)
    try:
        yield
    finally:
        np.random.set_state(before)
