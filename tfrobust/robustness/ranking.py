"""How well scores rank the images of a class above all others: ROC AUC and average precision."""

import math

import numpy as np

from tfrobust.core.bootstrap import VALUES


def macro_auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """The mean, over classes or labels, of the area under the ROC curve of each against the rest.

    Args:
        scores: float (N, K), of each class or label.
        labels: int (N,), the true classes; or (N, K) of 0 and 1, labels that may hold together.

    Returns:
        A share from 0 to 1. Classes that no image has, or all have, are left out; NaN without any.
    """
    once = np.ones((1, len(labels)))
    if labels.ndim == 1:
        found = ranking(scores, labels, once)[0][0]
    else:
        each = zip(scores.T, labels.T, strict=True)
        found = np.array(
            [ranking(np.stack([-one, one], axis=1), own, once)[0][0, 1] for one, own in each]
        )
    known = found[np.isfinite(found)]
    return float(known.mean()) if len(known) else math.nan


def ranking(
    scores: np.ndarray, labels: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The area under the ROC curve and the average precision of each class, against the rest.

    The AUC is the probability that an image of the class has a larger score than another one; ties
    count half. The average precision is the mean, over the images of the class, of the precision
    among the images whose score is at least theirs.

    Args:
        scores: float (N, K), of each class; infinite ones rank first or last.
        labels: int (N,), the true classes.
        weights: (R, N), how often each image counts, in each of R resamples.

    Returns:
        AUC and average precision, float64 (R, K) each; NaN where a resample has no image of the
        class, or for the AUC no other one.

    Source: Hanley and McNeil, "The meaning and use of the area under a ROC curve", 1982.
    """
    found = [
        _of_class(scores[:, number], labels == number, weights) for number in range(scores.shape[1])
    ]
    auc, precision = (np.stack(parts, axis=1) for parts in zip(*found, strict=True))
    return auc, precision


def _of_class(
    scores: np.ndarray, own: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The AUC and the average precision of one class, float64 (R,) each.

    Images are sorted once, so that the time grows with their number, and not with its square.
    """
    order = np.argsort(scores, kind="stable")
    ascending = scores[order]
    # Images of equal scores are one step.
    starts = np.flatnonzero(np.concatenate([[True], ascending[1:] != ascending[:-1]]))
    aucs, precisions = [], []
    for some in np.array_split(weights, math.ceil(weights.size / VALUES)):
        drawn = some[:, order].astype(np.float64)
        steps = np.add.reduceat(drawn, starts, axis=1)
        positives = np.add.reduceat(drawn * own[order], starts, axis=1)
        negatives = steps - positives
        below = negatives.cumsum(axis=1) - negatives / 2
        total, others = positives.sum(axis=1), negatives.sum(axis=1)
        hits, ranked = (one[:, ::-1].cumsum(axis=1)[:, ::-1] for one in (positives, steps))
        with np.errstate(invalid="ignore", divide="ignore"):
            aucs.append((positives * below).sum(axis=1) / (total * others))
            # A step that is not drawn counts for nothing, whatever is ranked above it.
            precision = hits / np.maximum(ranked, 1)
            precisions.append((positives * precision).sum(axis=1) / total)
    return np.concatenate(aucs), np.concatenate(precisions)
