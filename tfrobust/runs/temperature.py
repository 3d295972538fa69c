"""The temperature at which a run's network is as sure as it is right."""

from typing import NamedTuple

import keras

from tfrobust.core.door import as_whole
from tfrobust.robustness.calibration import COLDEST, HOTTEST, fit_temperature
from tfrobust.runs.folder import Run
from tfrobust.runs.validation import answered

NO_IMAGES = "not fitted, as there are no images for validation"
NO_BEST = "not fitted, as none is the best for the {} images for validation"


class Temperature(NamedTuple):
    """By what logits are divided before they become probabilities.

    Args:
        value: the number; None if none could be fitted.
        told: it in words, or why there is none.
    """

    value: float | None
    told: str


def fitted(run: Run, network: keras.Model) -> Temperature:
    """Fits a temperature on the first images kept for validation, and never on test images.

    Args:
        run: whose images they are.
        network: that ships.
    """
    kept = run.source.validation
    if kept is None:
        return Temperature(None, NO_IMAGES)
    logits, labels = answered(as_whole(network), kept, run.config.training.batch_size)
    count = len(labels)
    found = fit_temperature(logits, labels) if count else COLDEST
    # One percent from an end, it would go on beyond.
    if not 1.01 * COLDEST < found < 0.99 * HOTTEST:
        return Temperature(None, NO_BEST.format(count))
    return Temperature(found, f"{found:.3g}, fitted on {count} images for validation")
