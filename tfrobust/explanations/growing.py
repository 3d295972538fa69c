"""The way from an image to its explanation, step by step."""

import dataclasses

import numpy as np
import tensorflow as tf

from tfrobust.core.classifier import Model, logits_of
from tfrobust.errors import InputError
from tfrobust.explanations.explanation import Explanation
from tfrobust.explanations.targets import confidence, question


def growing(network: Model, found: Explanation, steps: int = 12) -> tuple[Explanation, ...]:
    """The straight way from images to their explanations, for `tfrobust.reports.animate`.

    Args:
        network: what `as_classifier` takes.
        found: explanations of N images, N at least 1, by a method that changes images.
        steps: how many steps the way has; the last one ends at the explanation.

    Returns:
        A record for each step, with the change so far and the confidence there.

    Raises:
        InputError: no image, fewer than one step, or images that the network does not take.
    """
    count = len(found.target)
    if steps < 1 or count < 1:
        raise InputError(f"expected at least 1 step and 1 image, got {steps} and {count}")
    shares = np.arange(1, steps + 1, dtype=np.float32) / np.float32(steps)
    # The record's images are the explanations less the change, which rounds.
    classifier, images, _ = question(network, np.clip(found.image, 0, 1))
    records = []
    for share in shares:
        difference = share * found.difference
        logits = classifier.shown(tf.constant(logits_of(classifier, images + difference, count)))
        records.append(
            dataclasses.replace(
                found,
                explanation=images + difference,
                difference=difference,
                confidence_after=confidence(logits, found.target).numpy(),
                rmse=share * found.rmse,
                rho=float(share * np.max(found.rmse)),
            )
        )
    return tuple(records)
