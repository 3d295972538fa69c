"""The Accuracy-Robustness Area (ARA) and its interval, in NumPy alone.

The ARA is the area between two lines: the accuracy that is left when every image may be perturbed
by a given size, and the accuracy of a guess, 1/K.

Source: Woods et al., arXiv 1906.02896, "Accuracy-Robustness Area".
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfrobust.core.bootstrap import RESAMPLES, draws, interval
from tfrobust.errors import InputError


@dataclasses.dataclass(frozen=True)
class Ara:
    """An Accuracy-Robustness Area. It is an upper bound: a stronger attack can only lower it.

    Args:
        value: the area, RMSE of pixels from 0 to 1. None if so many images had no perturbation
            found that nothing bounds the area.
        low: the lower end of the 95 % bootstrap interval over images, or over groups of them; None
            if `value` is.
        high: the upper end; None if `value` is, or if nothing bounds this end.
        images: how many images were attacked.
        unfound: for how many of them no perturbation was found.
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


@dataclasses.dataclass(frozen=True)
class Ratio:
    """How many times larger one area is than another, with its interval.

    Args:
        value: the ratio; None if an area is not bounded or the divisor is 0.
        low: the lower end of the 95 % bootstrap interval over images; None if `value` is.
        high: the upper end; None if `value` is, or if nothing bounds this end.
        paired: whether both areas are of the same images, which were then drawn together.
    """

    value: float | None
    low: float | None
    high: float | None
    paired: bool

    def __str__(self) -> str:
        if self.value is None:
            return "not bounded"
        high = "unbounded" if self.high is None else f"{self.high:.2f}"
        return f"{self.value:.2f} [{self.low:.2f}, {high}]"


def accuracy_at(sizes: np.ndarray, rmse: np.ndarray) -> np.ndarray:
    """The share of images that a perturbation of a given size cannot change.

    Args:
        sizes: float (M,), sizes of perturbations.
        rmse: float (N,), the smallest size that changes each image; infinite if none was found.

    Returns:
        float (M,), for each of the sizes the share of images whose smallest size is larger.
    """
    return 1.0 - np.searchsorted(np.sort(rmse), sizes, side="right") / len(rmse)


def area(rmse: np.ndarray, num_classes: int) -> float:
    """The exact area ∫ max(0, acc(ρ) − 1/K) dρ, where acc(ρ) is the share of images with ρ_i > ρ.

    Args:
        rmse: float (N,), the smallest size ρ_i that changes each image, at least 0; infinite if
            none was found.
        num_classes: K.

    Returns:
        The area. It is infinite if more than 1/K of the sizes are.
    """
    counts = np.ones((1, len(rmse)))
    return float(_areas(np.sort(rmse), counts, num_classes)[0])


def accuracy_robustness_area(
    rmse: np.ndarray,
    num_classes: int,
    *,
    groups: Sequence[str] = (),
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Ara:
    """The area with its 95 % percentile-bootstrap interval over images.

    Args:
        rmse: float (N,), the smallest size that changes each image, at least 0; infinite if none
            was found.
        num_classes: K, at least 2.
        groups: for each image the group that it belongs to, which are then drawn whole.
        resamples: how many times the bootstrap draws the images.
        seed: the seed of these draws.

    Returns:
        The area and its interval.

    Raises:
        InputError: there is no image, a size is negative or not a number, or there are fewer than
            2 classes.
    """
    rmse = _checked(rmse, num_classes)
    areas = np.sort(_bootstrap_areas(rmse, num_classes, groups, resamples, seed))
    low, high = interval(areas)
    value = area(rmse, num_classes)
    bounded = bool(np.isfinite(value))
    return Ara(
        value=value if bounded else None,
        low=low if bounded else None,
        high=high if bounded and np.isfinite(high) else None,
        images=len(rmse),
        unfound=int(np.isinf(rmse).sum()),
    )


def mean_area(
    rmse: np.ndarray, num_classes: int, *, groups: Sequence[str] = (), seed: int = 0
) -> Ara:
    """The mean of several areas of the same images, with its 95 % bootstrap interval over images.

    Args:
        rmse: float (M, N), for each of the M areas the sizes of the same N images.
        num_classes: K of all of them, at least 2.
        groups: for each image the group that it belongs to, which are then drawn whole.
        seed: the seed of the bootstrap, which draws the same images for all areas.

    Returns:
        The mean and its interval. `unfound` counts over all areas.

    Raises:
        InputError: as for `accuracy_robustness_area`.
    """
    rows = [_checked(row, num_classes) for row in rmse]
    value = float(np.mean([area(row, num_classes) for row in rows]))
    # Equal seeds draw equal images.
    drawn = [_bootstrap_areas(row, num_classes, groups, RESAMPLES, seed) for row in rows]
    low, high = interval(np.sort(np.mean(drawn, axis=0)))
    bounded = bool(np.isfinite(value))
    return Ara(
        value=value if bounded else None,
        low=low if bounded else None,
        high=high if bounded and np.isfinite(high) else None,
        images=len(rows[0]),
        unfound=int(sum(np.isinf(row).sum() for row in rows)),
    )


def area_ratio(
    rmse: np.ndarray,
    base: np.ndarray,
    num_classes: int,
    *,
    paired: bool,
    groups: Sequence[str] = (),
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Ratio:
    """The ratio of two areas with its 95 % percentile-bootstrap interval over images.

    Args:
        rmse: float (N,), one network's sizes, as for `accuracy_robustness_area`.
        base: float (M,), the sizes of the network that it is compared with.
        num_classes: K of both networks, at least 2.
        paired: whether both have sizes of the same images in the same order. Each resample then
            takes the same images for both, so that images that are hard for both widen the
            interval less.
        groups: for each image of both the group that it belongs to; only where they are paired.
        resamples: how many times the bootstrap draws the images.
        seed: the seed of these draws.

    Returns:
        area(rmse) / area(base) and its interval.

    Raises:
        InputError: as for `accuracy_robustness_area`, or there are not as many sizes of both.
    """
    rmse, base = _checked(rmse, num_classes), _checked(base, num_classes)
    if paired and len(rmse) != len(base):
        raise InputError(f"expected as many sizes of both, got {len(rmse)} and {len(base)}")
    above, below = area(rmse, num_classes), area(base, num_classes)
    if not (np.isfinite(above) and np.isfinite(below) and below > 0):
        return Ratio(None, None, None, paired)
    # Equal seeds draw equal images.
    drawn = _bootstrap_areas(rmse, num_classes, groups, resamples, seed)
    other = seed if paired else seed + 1
    drawn_base = _bootstrap_areas(base, num_classes, groups, resamples, other)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = drawn / drawn_base
    # 0/0 and ∞/∞ may be any ratio, so they widen the interval at both ends.
    low, _ = interval(np.sort(np.nan_to_num(ratios, nan=0.0, posinf=np.inf)))
    _, high = interval(np.sort(np.nan_to_num(ratios, nan=np.inf, posinf=np.inf)))
    return Ratio(above / below, low, high if np.isfinite(high) else None, paired)


def share_interval(count: int, total: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share.

    The bootstrap's interval is empty if all images are right; this one is not.

    Args:
        count: how many are counted.
        total: of how many, at least 1.

    Returns:
        The lower and the upper end.
    """
    share, z = count / total, 1.959964
    middle = (share + z**2 / (2 * total)) / (1 + z**2 / total)
    spread = z / (1 + z**2 / total) * np.sqrt(share * (1 - share) / total + (z / total) ** 2 / 4)
    return max(0.0, float(middle - spread)), min(1.0, float(middle + spread))


def _checked(rmse: np.ndarray, num_classes: int) -> np.ndarray:
    rmse = np.asarray(rmse, np.float64)
    if rmse.ndim != 1 or not len(rmse) or not np.all(rmse >= 0) or num_classes < 2:
        raise InputError(
            "expected at least one size, each 0 or above, and at least 2 classes; "
            f"got {rmse.shape} sizes from {rmse.min() if rmse.size else None} and "
            f"{num_classes} classes"
        )
    return rmse


def _bootstrap_areas(
    rmse: np.ndarray, num_classes: int, groups: Sequence[str], resamples: int, seed: int
) -> np.ndarray:
    """The areas (R,) of resamples of the images, from their sizes (N,) in any order."""
    order = np.argsort(rmse)
    return np.concatenate(
        [
            _areas(rmse[order], drawn[:, order], num_classes)
            for drawn in draws(len(rmse), groups, resamples=resamples, seed=seed)
        ]
    )


def _areas(rmse: np.ndarray, counts: np.ndarray, num_classes: int) -> np.ndarray:
    """The areas (R,) of resamples, from sorted sizes (N,) and how often each is drawn (R, N)."""
    finite = rmse[np.isfinite(rmse)]
    total = counts.sum(axis=1, keepdims=True)
    # Between the previous size and its own, an image and all later ones still hold.
    standing = counts[:, ::-1].cumsum(axis=1)[:, ::-1] / total
    above_chance = np.maximum(0.0, standing - 1.0 / num_classes)
    # Rounding may leave a share of exactly 1/K a little above it.
    above_chance[above_chance < 1e-12] = 0.0
    areas = above_chance[:, : len(finite)] @ np.diff(finite, prepend=0.0)
    if len(finite) < len(rmse):
        areas = np.where(above_chance[:, len(finite)] > 0, np.inf, areas)
    return areas
