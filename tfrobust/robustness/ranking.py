"""How well scores rank the images of a class above all others: ROC AUC and average precision."""

import math

import numpy as np

from tfrobust.core.bootstrap import VALUES


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
    count = len(labels)
    # Counts are whole numbers, which float32 holds exactly.
    every = weights.astype(np.float32)
    own = scores[np.arange(count), labels]
    # For each image, what other images its own class's score is above, and the precision there.
    above, precision = np.empty(every.shape), np.empty(every.shape)
    for block in np.array_split(np.arange(count), math.ceil(count**2 / VALUES)):
        theirs, same = scores[:, labels[block]], labels[:, None] == labels[block]
        tied = theirs == own[block]
        ranked = (theirs > own[block]) | tied
        smaller = np.where(same, 0, ~ranked + 0.5 * tied)
        above[:, block] = every @ smaller.astype(np.float32)
        hits = every @ (ranked & same).astype(np.float32)
        # An image that is not drawn counts for nothing, whatever is ranked above it.
        precision[:, block] = hits / np.maximum(every @ ranked.astype(np.float32), 1)
    members = np.eye(scores.shape[1])[labels]
    positives = every @ members
    negatives = every.sum(axis=1, keepdims=True) - positives
    with np.errstate(invalid="ignore", divide="ignore"):
        auc = (every * above) @ members / (positives * negatives)
        return auc, (every * precision) @ members / positives
