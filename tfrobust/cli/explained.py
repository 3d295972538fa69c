"""The images that explain.py explains: of files, or of a data set."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfrobust.cli import network, pictures
from tfrobust.core.classifier import Classifier
from tfrobust.core.door import as_classifier
from tfrobust.datasets.resizing import fit
from tfrobust.errors import InputError
from tfrobust.reports.overlay import Original


class Images(NamedTuple):
    """What is to be explained.

    Args:
        names: a short name for each image, for the names of files.
        originals: the pictures in their own size.
        images: float32 (N, H, W, C) in [0, 1], as the network takes them.
        labels: int32 (N,), the true classes, or (N, K) of several labels; None if they are not
            known.
    """

    names: list[str]
    originals: list[Original]
    images: Any
    labels: Any


def of_files(paths: list[Path], shape: tuple[int, int, int], values: Any) -> Images:
    """The images that files show.

    Args:
        paths: readable pictures.
        shape: height, width and channels that the network takes.
        values: the flags.

    Raises:
        InputError: a picture is damaged, or `bits` is needed or wrong.
    """
    stems = [path.stem for path in paths]
    # Of a.png and a.jpg in one folder, the pages are told apart by the whole name.
    names = [path.name if stems.count(path.stem) > 1 else path.stem for path in paths]
    found = pictures.originals(paths, shape, values)
    images = pictures.fitted(found, shape)
    # What is smaller than the network's images is shown as the network sees it.
    shown = [
        one._replace(pixels=fit(one.pixels, shape[:2], one.fit))
        if max(one.size) < max(shape[:2])
        else one
        for one in found
    ]
    return Images(names, shown, images, None)


def of_data_set(values: Any, classifier: Classifier) -> Images:
    """The first test images of --dataset.

    Args:
        values: the flags.
        classifier: the network.

    Raises:
        InputError: the data set does not fit the network.
    """
    source, notes = network.data_set(values, classifier)
    for text in notes:
        pictures.note(f"note: {text}")
    sample = source.test_sample(values.images)
    numbers = [str(number) for number in range(len(sample.images))]
    called = sample.files or [f"test image {number}" for number in numbers]
    originals = [
        Original(name, np.rint(255 * image).astype(np.uint8))
        for name, image in zip(called, sample.images, strict=True)
    ]
    labels = sample.labels
    if values.label is not None and labels.ndim == 2:
        labels = labels[:, values.label]
    return Images(numbers, originals, sample.images, labels)


def about_label(
    classifier: Classifier, found: Images, names: list[str], label: int
) -> tuple[Classifier, Images, list[str]]:
    """A network of several labels as the two classes of one of them, its images and its classes.

    Args:
        classifier: the network.
        found: the images.
        names: of the labels.
        label: the number of the label; −1 where --target names none.

    Raises:
        InputError: no label is named.
    """
    if label < 0:
        raise InputError(
            "expected --target with a network of several labels: the one to explain, of "
            f"{', '.join(names)}"
        )
    if found.labels is not None:
        found = found._replace(labels=found.labels[:, label])
    two = [f"not {names[label]}", names[label]]
    asked = as_classifier(classifier, label=label)
    return asked.at_temperature(classifier.temperature, own=True), found, two


def probabilities(classifier: "Classifier", image: np.ndarray) -> np.ndarray:
    """The probabilities of one image (1, H, W, C), as `predict` tells them: float64 (K,)."""
    from scipy.special import softmax

    logits = np.asarray(classifier.shown(classifier(image)))[0].astype(np.float64)
    shares: np.ndarray = softmax(logits)
    return shares


def tell(classifier: "Classifier", image: np.ndarray, names: list[str], name: str) -> None:
    """Prints the three likeliest classes of an image (1, H, W, C)."""
    shares = probabilities(classifier, image)
    if name:
        print(f"{name}:")
    for number in np.argsort(-shares)[:3]:
        print(f"{shares[number]:6.1%}  {names[number]}")
