"""Whether a network is right as often as it is confident: reliability curve, ECE, temperature."""

import dataclasses

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from tfrobust.core.bootstrap import Estimate
from tfrobust.core.records import Array, brief
from tfrobust.errors import InputError

BINS = 15
COLDEST, HOTTEST = 0.05, 20.0  # temperatures


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """How confidence and accuracy agree, in bins of equal width; empty bins are left out.

    Args:
        ece: the expected calibration error: the mean difference of confidence and accuracy of the
            bins, weighted by their images. Resamples add noise, so its interval lies a little high.
        confidence: float64 (B,), the mean confidence of each bin.
        accuracy: float64 (B,), the share of its images that are right.
        images: int64 (B,), how many it has.

    Source: Guo et al., "On calibration of modern neural networks", arXiv 1706.04599.
    """

    ece: Estimate
    confidence: Array
    accuracy: Array
    images: Array

    __repr__ = brief

    @classmethod
    def of(cls, confidence: np.ndarray, right: np.ndarray, weights: np.ndarray) -> "Calibration":
        """The calibration of some images.

        Args:
            confidence: float (N,), the probability of the class that is given.
            right: bool (N,), whether that class is the label.
            weights: (1 + R, N): ones, then how often each image is in each of R resamples.
        """
        # A bin holds its upper end.
        bins = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], confidence)
        inside = np.eye(BINS)[bins]
        gaps = np.abs(weights @ (inside * (confidence - right)[:, None])).sum(axis=1)
        images = inside.sum(axis=0)
        filled = images > 0
        return cls(
            ece=Estimate.of(gaps / weights.sum(axis=1)),
            confidence=(confidence @ inside)[filled] / images[filled],
            accuracy=(right @ inside)[filled] / images[filled],
            images=images[filled].astype(np.int64),
        )


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature T that makes softmax(logits / T) likeliest to have given the labels.

    It changes no decision. Fit it on images that the network was not trained on. Of labels that may
    hold together it is one T for all, of sigmoid(logits / T).

    Args:
        logits: float (N, K), the network's answers, N at least 1.
        labels: int (N,), the true classes; or (N, K) of 0 and 1, labels that may hold together.

    Returns:
        T, from 0.05 to 20; above 1 where the network is too sure. It is near one of these ends
        where no T is likeliest, as for a network that is right about all images.

    Raises:
        InputError: there is no image, or there are not as many labels.

    Source: Guo et al., arXiv 1706.04599, section 4.2.
    """
    if not len(logits) or len(logits) != len(labels):
        raise InputError(
            f"expected at least one image and a label for each, got {len(logits)} and {len(labels)}"
        )
    logits = logits.astype(np.float64)
    if labels.ndim == 2:
        # Each label is a choice of two classes, and its absence has the logit 0.
        present = logits.ravel()
        logits, labels = np.stack([np.zeros_like(present), present], axis=1), labels.ravel()
    own = logits[np.arange(len(labels)), labels]

    def loss(log_temperature: float) -> float:
        inverse = np.exp(-log_temperature)
        return float(np.mean(logsumexp(inverse * logits, axis=1) - inverse * own))

    found = minimize_scalar(
        loss, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded", options={"xatol": 1e-6}
    )
    return float(np.exp(found.x))
