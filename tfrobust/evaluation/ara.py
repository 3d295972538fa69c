"""The Accuracy-Robustness Area, exact, with its interval: pure NumPy.

Source: Woods et al., arXiv 1906.02896, "Accuracy-Robustness Area".
"""

import dataclasses

import numpy as np

from tfrobust.errors import InputError


@dataclasses.dataclass(frozen=True)
class Ara:
    """An Accuracy-Robustness Area: an upper bound that a stronger attack lowers.

    Args:
        value: the area, RMSE in units of pixels from 0 to 1; None when too many images had no
            perturbation found, so that nothing bounds it.
        low: lower end of the 95 % bootstrap interval over images; None likewise.
        high: upper end; None likewise.
        images: how many images were attacked.
        unfound: for how many no perturbation was found.
    """

    value: float | None
    low: float | None
    high: float | None
    images: int
    unfound: int

    def __str__(self) -> str:
        if self.value is None:
            return f"not bounded: {self.unfound} of {self.images} images unfound"
        high = "unbounded" if self.high is None else f"{self.high:.4f}"
        rest = f"; {self.unfound} unfound" if self.unfound else ""
        return f"{self.value:.4f} [{self.low:.4f}, {high}] ({self.images} images{rest})"


def accuracy_at(sizes: np.ndarray, rmse: np.ndarray) -> np.ndarray:
    """The share of images that a perturbation of a given size cannot change.

    Args:
        sizes: float (M,), the sizes asked for.
        rmse: float (N,), each image's minimal size; infinite where none was found.

    Returns:
        float (M,): the share of images whose minimal size is above each size.
    """
    return 1.0 - np.searchsorted(np.sort(rmse), sizes, side="right") / len(rmse)


def area(rmse: np.ndarray, num_classes: int) -> float:
    """∫ max(0, acc(ρ) − 1/K) dρ of the step function acc(ρ) = share of images with ρ_i > ρ.

    Args:
        rmse: float (N,), minimal sizes, at least 0; infinite where none was found.
        num_classes: K.

    Returns:
        The exact area; infinite if more than 1/K of the sizes are.
    """
    counts = np.ones((1, len(rmse)))
    return float(_areas(np.sort(rmse), counts, num_classes)[0])


def accuracy_robustness_area(
    rmse: np.ndarray, num_classes: int, *, resamples: int = 2000, seed: int = 0
) -> Ara:
    """The area with its 95 % percentile-bootstrap interval over images.

    Args:
        rmse: float (N,), minimal sizes, at least 0; infinite where none was found.
        num_classes: K, at least 2.
        resamples: how often the images are drawn anew.
        seed: of the draws.

    Returns:
        The area and its interval.

    Raises:
        InputError: no image, a size that is negative or no number, or fewer than 2 classes.
    """
    rmse = np.sort(np.asarray(rmse, np.float64))
    if rmse.ndim != 1 or not len(rmse) or not np.all(rmse >= 0) or num_classes < 2:
        raise InputError(
            "expected at least one size, each 0 or above, and at least 2 classes; "
            f"got {rmse.shape} sizes from {rmse.min() if rmse.size else None}, {num_classes} classes"
        )
    images = len(rmse)
    draws = np.random.default_rng(seed).multinomial(
        images, np.full(images, 1 / images), size=resamples
    )
    areas = np.sort(_areas(rmse, draws, num_classes))
    # Nearest ranks, not interpolation: a resample's area may be infinite.
    low, high = areas[int(0.025 * resamples)], areas[min(int(0.975 * resamples), resamples - 1)]
    value = area(rmse, num_classes)
    bounded = bool(np.isfinite(value))
    return Ara(
        value=value if bounded else None,
        low=float(low) if bounded else None,
        high=float(high) if bounded and np.isfinite(high) else None,
        images=images,
        unfound=int(np.isinf(rmse).sum()),
    )


def _areas(rmse: np.ndarray, counts: np.ndarray, num_classes: int) -> np.ndarray:
    """Areas of resamples: sorted sizes (N,), how often each is drawn (R, N) → (R,)."""
    finite = rmse[np.isfinite(rmse)]
    total = counts.sum(axis=1, keepdims=True)
    # Between the size before and its own, an image and all later ones still stand.
    standing = counts[:, ::-1].cumsum(axis=1)[:, ::-1] / total
    above_chance = np.maximum(0.0, standing - 1.0 / num_classes)
    # A hair of tolerance, for 1/K of the images sums to 1/K only up to rounding.
    above_chance[above_chance < 1e-12] = 0.0
    areas = above_chance[:, : len(finite)] @ np.diff(finite, prepend=0.0)
    if len(finite) < len(rmse):
        areas = np.where(above_chance[:, len(finite)] > 0, np.inf, areas)
    return areas
