"""What CLEVER estimates, as a record. This needs no TensorFlow.

Source: Weng et al., arXiv 1801.10578.
"""

import dataclasses

import numpy as np

from tfrobust.core.ara import Ara
from tfrobust.core.presenters import Presented
from tfrobust.core.records import Array, Record, brief

# A fit with a smaller p-value in the Kolmogorov-Smirnov test is called poor.
POOR_FIT = 0.05


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Clever(Record, Presented):
    """CLEVER scores. They are estimates and no bounds.

    Args:
        ara: the area that the scores give if they are taken for sizes. It is an estimate too.
        l2: float64 (N,), the estimated L2 distance to the nearest other class, in units of pixels
            from 0 to 1, at most `radius`; 0 if the image is misclassified.
        rmse: float64 (N,), the same distances as RMSE: l2/√(H·W·C).
        rival: int64 (N,), the class whose boundary is nearest by this estimate; the image's label
            if it is misclassified.
        fit: float64 (N,), the p-value of the Kolmogorov-Smirnov test of the fit behind the score.
            A small one means that the score is not to be trusted. It is 1 if nothing was fitted.
        capped: how many scores are the radius itself. Their distances may be larger.
        poor: how many fits have a p-value below 0.05. Chance alone makes one in twenty.
        unsettled: how many fits have the farthest endpoint that is tried. Their gradients do not
            tell the steepest slope, and their scores are cautious.
        radius: R, the L2 radius of the ball that gradients were taken in.
        batches: how many maxima were fitted.
        samples: how many gradients each maximum is of.
        rivals: how many other classes were looked at, the most likely ones.
        seed: the seed of the draws and the bootstrap.
        seconds: the time that it took.

    Source: arXiv 1801.10578.
    """

    ara: Ara
    l2: Array
    rmse: Array
    rival: Array
    fit: Array
    capped: int
    poor: int
    unsettled: int
    radius: float
    batches: int
    samples: int
    rivals: int
    seed: int
    seconds: float

    __repr__ = brief

    def __str__(self) -> str:
        return (
            f"CLEVER score, an estimate and no bound: median RMSE {np.median(self.rmse):.4f}, "
            f"ARA as it estimates {self.ara.value:.4f} [{self.ara.low:.4f}, {self.ara.high:.4f}] "
            f"({len(self.rmse)} images; {self.batches} × {self.samples} gradients for each of "
            f"{self.rivals} classes within L2 {self.radius:g}; {self.capped} at that radius, "
            f"{self.poor} poor and {self.unsettled} unsettled fits)"
        )
