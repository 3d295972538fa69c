"""What randomized smoothing certifies, as a record, and its statistics. This needs no TensorFlow.

Source: Cohen, Rosenfeld, Kolter, "Certified adversarial robustness via randomized smoothing",
arXiv 1902.02918.
"""

import dataclasses
import math
from typing import Any

import numpy as np
from scipy.special import betaincinv, ndtri

from tfrobust.core.ara import Ara
from tfrobust.core.presenters import Presented
from tfrobust.core.records import Array, Record, brief
from tfrobust.errors import InputError

ABSTAINED = -1
# The usual settings: how many draws choose an image's class, and which share of radii may be wrong.
CHOOSING_DRAWS, ALPHA = 100, 0.001
STATEMENT = (
    "A lower bound for the smoothed network, which answers with the class that the network gives "
    "most often under Gaussian noise; each image's radius holds with probability 1 − α over the "
    "draws, against every perturbation of smaller L2 norm, pixels outside [0, 1] included. "
    "It is no bound on the network itself."
)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Certificate(Record, Presented):
    """Certified radii of the smoothed network, and the area that follows from them.

    This area is a lower bound, unlike an attack's: no attack can bring the smoothed network below
    it, except for the share α of radii that unlucky draws may have made too large.

    Args:
        ara: the Accuracy-Robustness Area of `rmse`, RMSE of pixels from 0 to 1, with its bootstrap
            interval over images.
        accuracy: the share of images that the smoothed network certainly gives their label.
        abstained: for how many images no class was certain.
        predicted: int64 (N,), the smoothed network's class; −1 if it abstained.
        votes: int64 (N,), how many of the n draws had the class that led among the first n0.
        l2: float64 (N,), the certified L2 radii in units of pixels from 0 to 1; 0 if the smoothed
            network is wrong or abstained.
        rmse: float64 (N,), the same radii as RMSE: l2/√(H·W·C).
        sigma: σ, the standard deviation of the noise, in units of pixels from 0 to 1.
        n0: how many draws chose each image's class.
        n: how many draws estimated its probability.
        alpha: α, for each image the probability that its radius is wrong.
        num_classes: K.
        seed: the seed of the draws and the bootstrap.
        seconds: the time that it took.
        statement: a sentence on what the radii mean.

    Source: arXiv 1902.02918, CERTIFY and theorem 1; the area arXiv 1906.02896.
    """

    ara: Ara
    accuracy: float
    abstained: int
    predicted: Array
    votes: Array
    l2: Array
    rmse: Array
    sigma: float
    n0: int
    n: int
    alpha: float
    num_classes: int
    seed: int
    seconds: float
    statement: str = STATEMENT

    __repr__ = brief

    def __str__(self) -> str:
        return (
            f"certified ARA of the smoothed network {self.ara.value:.4f} "
            f"[{self.ara.low:.4f}, {self.ara.high:.4f}] "
            f"({len(self.rmse)} images, {self.abstained} abstained; σ = {self.sigma:g}, "
            f"n = {self.n:,}, α = {self.alpha:g}, randomized smoothing; not a bound on the "
            "network itself)"
        )


def probability_above(hits: Any, draws: int, alpha: float) -> np.ndarray:
    """Clopper and Pearson's one-sided lower confidence limit of a probability.

    Args:
        hits: int (N,), how many of the draws were hits.
        draws: n, how many draws there were, at least 1.
        alpha: α, between 0 and 1.

    Returns:
        float64 (N,). With a probability of at least 1 − α the true probability is not smaller.

    Source: arXiv 1902.02918, LowerConfBound.
    """
    hits = np.asarray(hits)
    lower = betaincinv(np.maximum(hits, 1), draws - hits + 1, alpha)
    return np.where(hits == 0, 0.0, lower)


def certified_radius(hits: Any, draws: int, *, sigma: float, alpha: float) -> np.ndarray:
    """The L2 radius within which the leading class stays the most likely one under noise.

    Args:
        hits: int (N,), how many of the draws had the class.
        draws: n, how many draws there were, at least 1.
        sigma: σ, in units of pixels from 0 to 1.
        alpha: α, between 0 and 1.

    Returns:
        float64 (N,), σ·Φ⁻¹(p), where p is the lower limit of the class's probability. If p ≤ ½ the
        smoothed network abstains, and the radius is 0.

    Source: arXiv 1902.02918, CERTIFY.
    """
    return sigma * np.maximum(0.0, ndtri(probability_above(hits, draws, alpha)))


def check_settings(*, sigma: float, n0: int, n: int, alpha: float, seed: int) -> None:
    """Refuses settings that certify nothing.

    Raises:
        InputError: says what was expected, what came and what to do.
    """
    if not (sigma > 0 and math.isfinite(sigma)):
        raise InputError(
            f"expected sigma above 0, in units of pixels from 0 to 1, got {sigma}; 0.25 is usual"
        )
    if not 0 < alpha < 1:
        raise InputError(f"expected alpha between 0 and 1, got {alpha}; 0.001 is usual")
    if n0 < 1 or n < 1:
        raise InputError(
            f"expected n0 and n of at least 1 draw, got {n0} and {n}; 100 and 1,000 are usual"
        )
    if alpha ** (1 / n) <= 0.5:
        raise InputError(
            f"expected n of at least {math.floor(-math.log2(alpha)) + 1} draws for alpha {alpha}, "
            f"got {n}: even if all agreed, nothing would be certain; draw more"
        )
    if seed < 0:
        raise InputError(f"expected a seed of 0 or above, got {seed}")
