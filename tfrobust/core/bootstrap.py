"""The bootstrap over images, or over groups of images such as those of one patient.

Images of one group resemble each other, so groups are drawn whole (Field and Welsh, "Bootstrapping
clustered data", 2007). Otherwise an interval would be too narrow.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

RESAMPLES = 2000
VALUES = 4_000_000  # at a time: 2,000 resamples of 50,000 images would fill gigabytes


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A figure with its interval.

    Args:
        value: of all images; None if it is not defined for them.
        low: the lower end of the 95 % bootstrap interval; None if `value` is.
        high: the upper end; None if `value` is.
    """

    value: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, found: np.ndarray) -> "Estimate":
        """The estimate from a figure of all images and of R resamples, (1 + R,); NaN is none."""
        defined = np.sort(found[1:][~np.isnan(found[1:])])
        if np.isnan(found[0]) or not len(defined):
            return cls(None, None, None)
        return cls(float(found[0]), *interval(defined))

    def __str__(self) -> str:
        if self.value is None:
            return "not defined"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def draws(
    count: int, groups: Sequence[str] = (), *, resamples: int = RESAMPLES, seed: int = 0
) -> Iterator[np.ndarray]:
    """Resamples of images, some at a time.

    Args:
        count: of the images, N.
        groups: for each image the group that it belongs to. Images are drawn one by one where
            there are none, or all images are of one.
        resamples: how many.
        seed: of the draws.

    Yields:
        int64 (r, N), how often each image is in each resample.
    """
    _, members = np.unique(groups, return_inverse=True) if len(groups) else (None, None)
    grouped = members is not None and members.max() > 0
    units = members.max() + 1 if members is not None and grouped else count
    rng = np.random.default_rng(seed)
    rows = max(1, VALUES // count)
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        drawn = rng.multinomial(units, np.full(units, 1 / units), size=size)
        yield drawn[:, members] if grouped else drawn


def interval(ordered: np.ndarray) -> tuple[float, float]:
    """The 2.5th and 97.5th percentile of sorted values.

    They are the values of the nearest rank. Interpolation would fail on infinite values.
    """
    last = len(ordered) - 1
    return float(ordered[round(0.025 * last)]), float(ordered[round(0.975 * last)])
