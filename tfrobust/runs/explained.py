"""Pictures of what a network sees in images: of all its classes, or label by label."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import keras
import numpy as np

from tfrobust.core.door import as_classifier, as_labels
from tfrobust.core.one_label import one_label
from tfrobust.explanations import overview
from tfrobust.reports.figures import overview_png

MOST_LABELS = 8  # of which there are pictures, the first ones


class Picture(NamedTuple):
    """A picture of explanations.

    Args:
        label: the name of the label that it is about; "" for all classes.
        png: a PNG file, with a row for each image.
    """

    label: str
    png: bytes


def pictures(
    network: keras.Model,
    images: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    *,
    rho: float = 0.1,
    temperature: float | None = None,
) -> Iterator[Picture]:
    """Explains images: in one picture, or in one for each of several labels.

    Args:
        network: as it is trained, or as it ships.
        images: float32 (N, H, W, C) in [0, 1], grey or colour.
        labels: int (N,); or int (N, K) of labels that may hold together.
        class_names: K names.
        rho: as for `overview`.
        temperature: of the confidences below the pictures; None for 1.

    Yields:
        The pictures, one after the other. Of labels that may hold together each is explained as
        one that holds, in the first 8 pictures.
    """
    if labels.ndim == 1:
        shown = overview(as_classifier(network).at_temperature(temperature), images, rho=rho)
        yield Picture("", overview_png(shown, class_names, labels=labels))
        return
    one = one_label(as_labels(network)).at_temperature(temperature, own=True)
    for number, name in enumerate(class_names[:MOST_LABELS]):
        with one.about(number):
            # Grad-CAM would be compiled for each label anew.
            shown = overview(one, images, 1, rho=rho, methods=[])
        yield Picture(name, overview_png(shown, (f"not {name}", name), labels=labels[:, number]))
