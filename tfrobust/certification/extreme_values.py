"""The endpoint of a distribution, estimated from maxima by extreme value theory.

Source: Weng et al., arXiv 1801.10578, section 3.2.
"""

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import kstest, weibull_max

# Maxima that differ by less than this share are one value: float32 tells no finer differences.
SAME = 1e-4
# The endpoint is sought between so many spreads above the largest maximum. Nearer, the likelihood
# has no maximum. Farther, it hardly changes, so that the maxima do not tell the endpoint.
NEAREST, FARTHEST = 1e-3, 10.0


def steepest(maxima: np.ndarray) -> tuple[float, float, bool]:
    """Fits a reverse Weibull distribution to maxima, and gives its endpoint.

    A search for all three parameters at once goes astray: an endpoint just above the largest
    maximum has a likelihood without bound if the shape is below 1, and the likelihood hardly
    changes for an endpoint far away. So the values are scaled to their spread here, the endpoint is
    sought between limits, and one equation gives the best shape and scale for each endpoint.

    Args:
        maxima: float (M,), at least 0.

    Returns:
        The endpoint, which is not below the largest maximum; the p-value of the fit's
        Kolmogorov-Smirnov test; and whether the endpoint is nearer than the farthest one that was
        tried. If all maxima are equal, this is that value, 1 and True.
    """
    top = float(maxima.max())
    spread = top - float(maxima.min())
    if spread <= SAME * top:
        return top, 1.0, True
    below = (top - maxima) / spread  # 0 to 1
    grid = np.linspace(np.log(NEAREST), np.log(FARTHEST), 25)
    values = [-_best(below + np.exp(gap))[0] for gap in grid]
    middle = int(np.argmin(values))
    around = grid[max(0, middle - 1)], grid[min(len(grid) - 1, middle + 1)]
    found = minimize_scalar(
        lambda gap: -_best(below + np.exp(gap))[0], bounds=around, method="bounded"
    )
    gap = float(np.exp(found.x if found.fun < values[middle] else grid[middle]))
    _, shape, scale = _best(below + gap)
    fit = kstest(-below, weibull_max(shape, loc=gap, scale=scale).cdf).pvalue
    return top + gap * spread, float(fit), gap < 0.99 * FARTHEST


def _best(gaps: np.ndarray) -> tuple[float, float, float]:
    """The best fit for one endpoint: the log-likelihood, the shape and the scale.

    Args:
        gaps: float (M,) above 0, how far the maxima are below the endpoint.

    Returns:
        The three numbers. The shape is at least 1: a smaller one has an infinite density at the
        endpoint.
    """
    scaled = gaps / gaps.max()
    logs = np.log(scaled)

    def equation(shape: float) -> float:
        weights = scaled**shape
        return float((weights * logs).sum() / weights.sum() - 1 / shape - logs.mean())

    shape = 1.0
    if equation(1.0) < 0:
        most = 2.0
        while equation(most) < 0 and most < 1e6:
            most *= 2
        shape = brentq(equation, most / 2, most) if most < 1e6 else most
    scale = float(gaps.max() * np.mean(scaled**shape) ** (1 / shape))
    likelihood = float(weibull_max.logpdf(-gaps, shape, scale=scale).sum())
    return likelihood, shape, scale
