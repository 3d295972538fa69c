"""What a network's Lipschitz constant certifies, as a record. This needs no TensorFlow."""

import dataclasses

from tfrobust.core.ara import Ara
from tfrobust.core.presenters import Presented
from tfrobust.core.records import Array, Record, brief

STATEMENT = (
    "A lower bound for the network itself: no perturbation whose L2 norm is below an image's "
    "radius changes its class, pixels outside [0, 1] included. It holds without doubt or chance "
    "where the layers' sums are in float32, in whatever order; not in TF32, bfloat16 or float16."
)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class LipschitzCertificate(Record, Presented):
    """Certified radii of a network, and the area that follows from them.

    This area is a lower bound: no attack can bring the network below it.

    Args:
        ara: the Accuracy-Robustness Area of `rmse`, RMSE of pixels from 0 to 1, with its bootstrap
            interval over images.
        accuracy: the share of images that the network gives their label.
        l2: float64 (N,), the certified L2 radii in units of pixels from 0 to 1; 0 if the network
            is wrong.
        rmse: float64 (N,), the same radii as RMSE: l2/√(H·W·C).
        slope: how fast the steepest margin of two classes can change, for an L2 distance of 1.
        rounding: how much of the mean radius was taken off, L2, because float32 is rounded.
        seconds: the time that it took.
        seed: the seed of the bootstrap.
        statement: a sentence on what the radii mean.

    Source: Tsuzuku, Sato, Sugiyama, arXiv 1802.04034; the area arXiv 1906.02896.
    """

    ara: Ara
    accuracy: float
    l2: Array
    rmse: Array
    slope: float
    rounding: float
    seconds: float
    seed: int
    statement: str = STATEMENT

    __repr__ = brief

    def __str__(self) -> str:
        return (
            f"certified ARA {self.ara.value:.4f} [{self.ara.low:.4f}, {self.ara.high:.4f}] "
            f"({len(self.rmse)} images; a lower bound for the network itself, by its Lipschitz "
            "constant)"
        )
