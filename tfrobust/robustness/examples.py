"""The images of an evaluation that were hardest and easiest to change."""

from typing import NamedTuple

import numpy as np

EACH = 4  # how many of the hardest, and of the easiest


class Example(NamedTuple):
    """An image and the smallest perturbation by which it is misclassified.

    Args:
        number: which of the evaluated images it is, counted from 0.
        label: its class.
        given: the class that the network gives the adversarial image.
        image: float32 (H, W, C) in [0, 1].
        adversarial: float32 (H, W, C).
        rmse: the perturbation's size, RMSE of pixels from 0 to 1.
    """

    number: int
    label: int
    given: int
    image: np.ndarray
    adversarial: np.ndarray
    rmse: float


def pick_examples(
    images: np.ndarray,
    labels: np.ndarray,
    adversarials: np.ndarray,
    rmse: np.ndarray,
    given: np.ndarray,
) -> tuple[Example, ...]:
    """Picks the images with the largest and the smallest perturbations.

    Images that are misclassified unchanged, or that no attack could change, are not picked.

    Args:
        images: float32 (N, H, W, C) in [0, 1].
        labels: int32 (N,), the true classes.
        adversarials: float32 (N, H, W, C), the perturbed images.
        rmse: float64 (N,), the sizes of the perturbations.
        given: int (N,), the classes that the network gives the perturbed images.

    Returns:
        At most 8 examples, the hardest one first.
    """
    order = np.argsort(-rmse, kind="stable")
    order = order[(np.isfinite(rmse) & (rmse > 0))[order]]
    rows = np.concatenate([order[:EACH], order[max(EACH, len(order) - EACH) :]])
    return tuple(
        Example(
            number=int(row),
            label=int(labels[row]),
            given=int(given[row]),
            image=images[row],
            adversarial=adversarials[row],
            rmse=float(rmse[row]),
        )
        for row in rows
    )
