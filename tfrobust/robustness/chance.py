"""Accuracy no better than a guess, and its likely reasons, told before the long work."""

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import binomtest

# With fewer images an accuracy says little. At this probability a guess explains it.
FEWEST, LIKELY = 20, 0.05
# Another order of the classes is the reason if with it so many images are right. Where there are
# few images for each class, some order fits by chance.
RIGHT, FEWEST_PER_CLASS = 0.5, 4


def at_chance(logits: np.ndarray, labels: np.ndarray) -> str | None:
    """Says that a network is right no more often than a guess, and what the reason may be.

    Args:
        logits: float32 (N, K), the network's answers.
        labels: int (N,), the true classes.

    Returns:
        A sentence or two; None for a network that is better than a guess.
    """
    count, classes = logits.shape
    predicted = logits.argmax(axis=1)
    right = int((predicted == labels).sum())
    if count < FEWEST or binomtest(right, count, 1 / classes, "greater").pvalue < LIKELY:
        return None
    order = _another_order(predicted, labels, classes)
    return (
        f"The network is right for {right} of {count} images, no more than a guess among {classes} "
        f"classes is. {order}Likely reasons: labels that are counted from 1 and not from 0; "
        "classes in another order than in its training (of a folder they are sorted by name); or "
        "images prepared otherwise (another range of pixels, which input_range gives; BGR; "
        "another size)."
    )


def _another_order(predicted: np.ndarray, labels: np.ndarray, classes: int) -> str:
    """The order of classes with which the network would be right; "" if there is none."""
    count = len(labels)
    for shift in (1, -1):
        share = float(np.mean(predicted == labels + shift))
        # Two classes that are shifted are in another order.
        if share >= RIGHT and classes > 2:
            return f"It would be right for {share:.0%} if each label were {shift:+d}. "
    if count >= FEWEST_PER_CLASS * classes:
        confusion = np.zeros((classes, classes), np.int64)
        np.add.at(confusion, (labels, predicted), 1)
        rows, columns = linear_sum_assignment(confusion, maximize=True)
        share = confusion[rows, columns].sum() / count
        if share >= RIGHT:
            return f"It would be right for {share:.0%} with its classes in another order. "
    return ""
