"""What CLEVER estimates, as a record: no TensorFlow.

Source: Weng et al., arXiv 1801.10578.
"""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from tfrobust.core.ara import Ara
from tfrobust.core.presenters import present
from tfrobust.core.records import Array, Record

if TYPE_CHECKING:
    import pandas

# Below this p-value of the Kolmogorov-Smirnov test the fit is called poor.
POOR_FIT = 0.05


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Clever(Record):
    """CLEVER scores: estimates, and no bounds.

    Args:
        ara: the area that the scores would give as sizes; an estimate as they are.
        l2: float64 (N,), estimated L2 distance to the nearest other class, in units of pixels
            from 0 to 1; 0 where the image is misclassified, at most `radius`.
        rmse: float64 (N,), the same as RMSE: l2/√(H·W·C).
        rival: int64 (N,), the class whose boundary is the nearest by this estimate; the image's
            own label where it is misclassified.
        fit: float64 (N,), p-value of the Kolmogorov-Smirnov test of the fit behind the score; 1
            where there was nothing to fit. A small one means: do not trust it.
        capped: how many scores are the radius itself: their distance may be larger.
        poor: how many fits have a p-value below 0.05; chance alone makes one in twenty.
        unsettled: how many fits put the steepest slope at the farthest endpoint that is looked
            at: their gradients do not tell it, and the score is a cautious one.
        radius: R, L2, of the ball that gradients were taken in.
        batches: maxima that were fitted.
        samples: gradients behind each maximum.
        rivals: other classes looked at, the most likely first.
        seed: of the draws and the bootstrap.
        seconds: spent.

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

    def to_dataframe(self) -> "pandas.DataFrame":
        """The scores as a pandas data frame, a row for each image.

        Raises:
            ImportError: pandas is not installed.
        """
        return present(self, "dataframe")()

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return present(self, "notebook")()

    def __str__(self) -> str:
        return (
            f"CLEVER score, an estimate and no bound: median RMSE {np.median(self.rmse):.4f}, "
            f"ARA as it estimates {self.ara.value:.4f} [{self.ara.low:.4f}, {self.ara.high:.4f}] "
            f"({len(self.rmse)} images; {self.batches} × {self.samples} gradients for each of "
            f"{self.rivals} classes within L2 {self.radius:g}; {self.capped} at that radius, "
            f"{self.poor} poor and {self.unsettled} unsettled fits)"
        )
