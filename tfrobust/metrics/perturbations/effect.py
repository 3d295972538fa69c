"""What a perturbation does: how much surer for its size, and does another network agree?"""

import numpy as np

from tfrobust.core.classifier import Model
from tfrobust.errors import InputError
from tfrobust.explanations.explanation import Explanation
from tfrobust.explanations.targets import question
from tfrobust.metrics.map_measure import check_counts
from tfrobust.metrics.scores import scores


def confidence_gain(explanation: Explanation) -> np.ndarray:
    """How much surer of the target the network becomes, for each unit of RMSE.

    Args:
        explanation: of a method that changes images.

    Returns:
        float64 (N,), (confidence after − before) / RMSE. Below 0 for explanations that lower the
        confidence, and 0 where nothing changed.

    Raises:
        InputError: an explanation that changes no image.
    """
    _check_changes(explanation)
    size = explanation.rmse.astype(np.float64)
    gain = explanation.confidence_after.astype(np.float64) - explanation.confidence_before
    return np.where(size > 0, gain / np.where(size > 0, size, 1), 0.0)


def transfer(model: Model, explanation: Explanation, *, batch_size: int = 32) -> np.ndarray:
    """How much surer of the target another network becomes by the same change.

    What another network sees as well is in the picture and not a quirk of one network.

    Args:
        model: the other network: what `as_classifier` takes.
        explanation: of a method that changes images. Pixels that left [0, 1] are cut.
        batch_size: images that the network sees at a time.

    Returns:
        float64 (N,), the other network's confidence after, less that before.

    Raises:
        InputError: an explanation that changes no image, or images that do not fit the network.
    """
    _check_changes(explanation)
    check_counts(batch_size=batch_size)
    changed = np.clip(explanation.explanation, 0, 1)
    network, images, classes = question(model, np.clip(explanation.image, 0, 1), explanation.target)
    before, after = (
        scores(network, pixels, classes, batch_size=batch_size) for pixels in (images, changed)
    )
    return after - before


def _check_changes(explanation: Explanation) -> None:
    if len(explanation.target) and not explanation.changes_images:
        raise InputError(
            f"expected explanations that change images, but {explanation.method or 'this method'} "
            "only says where the evidence is: take Adversarial"
        )
