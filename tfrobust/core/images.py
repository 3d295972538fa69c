"""The one check of the arrays that users give: images, labels, and classes to explain."""

from typing import TYPE_CHECKING, Any

import numpy as np

from tfrobust.errors import InputError

if TYPE_CHECKING:  # The client of a server checks images without TensorFlow.
    from tfrobust.core.classifier import Classifier

PREDICTED = -1  # as a target: the class that the network predicts
ENDLESS = -1  # tf.data.INFINITE_CARDINALITY
GREY_OR_COLOUR = (1, 3)  # channels that a picture can show


def arrays(images: Any, labels: Any = None) -> tuple[Any, Any]:
    """The images and labels of a tf.data.Dataset; others are given back as they are.

    Args:
        images: a data set of images or of pairs (images, labels), in batches or one by one; or
            anything else.
        labels: of the images; None beside a data set of pairs.

    Raises:
        InputError: the data set has no end, is of something else, or comes with labels beside it.
    """
    if not hasattr(images, "element_spec"):
        return images, labels
    if getattr(images, "cardinality", lambda: 0)() == ENDLESS:
        raise InputError("expected a data set with an end, got one without: dataset.take(batches)")
    given = list(images.as_numpy_iterator())
    pairs = isinstance(images.element_spec, tuple)
    if pairs and labels is not None:
        raise InputError("expected the labels in the data set or beside it, got both")
    columns = list(zip(*given, strict=True)) if pairs else [given]
    ranks = [getattr(column[0], "ndim", None) for column in columns if column]
    if ranks[:1] not in ([3], [4]) or len(ranks) > 2:
        raise InputError(
            "expected a data set of images (H, W, C) and labels, or of batches of them, got "
            f"{images.element_spec}"
        )
    joined = [np.stack(one) if ranks[0] == 3 else np.concatenate(one) for one in columns]
    return joined[0], joined[1] if pairs else labels


def checked_images(
    images: Any, network: "Classifier | None" = None, *, at_least_one: bool = False
) -> np.ndarray:
    """Images as float32.

    Args:
        images: float (N, H, W, C) in [0, 1], or uint8 from 0 to 255.
        network: what the images are for, where that is known.
        at_least_one: whether N must not be 0.

    Returns:
        float32 (N, H, W, C).

    Raises:
        InputError: they are of another shape or range, or not of the size that the network takes.
    """
    try:
        images = np.asarray(images)
        bytes_ = images.dtype == np.uint8
        images = images.astype(np.float32, copy=False)
        images = images / np.float32(255) if bytes_ else images
    except (TypeError, ValueError) as error:
        raise InputError(f"expected one array of images (N, H, W, C), but: {error}") from None
    if images.ndim != 4:
        raise InputError(f"expected images of shape (N, H, W, C), got {images.shape}")
    if at_least_one and not images.size:
        raise InputError(
            f"expected at least one image, of shape (N, H, W, C), got shape {images.shape}"
        )
    taken = None if network is None else network.input_shape
    if taken is not None:
        for size, wanted in zip(images.shape[1:], taken[1:], strict=True):
            if wanted not in (None, size):
                raise InputError(f"expected images of shape {taken}, got {images.shape}")
    if np.isnan(images).any():
        raise InputError("expected pixels from 0 to 1, got NaN; look for a division by zero")
    if images.size and not (images.min() >= 0 and images.max() <= 1):
        low, high = float(images.min()), float(images.max())
        raise InputError(
            f"expected pixels from 0 to 1, got some from {low:.3g} to {high:.3g}; "
            + _way_to_unit(low, high)
        )
    return images


def _way_to_unit(low: float, high: float) -> str:
    """How pixels of another range come from 0 to 1, and how the network gets them."""
    if low >= 0:
        way, taken = "divide 8-bit images by 255", "(0, 255)"
    elif low >= -1 and high <= 1:
        way, taken = "add 1 to images from -1 to 1, and divide them by 2", "(-1, 1)"
    else:
        return "standardise images by a layer of the network, keras.layers.Normalization"
    return f"{way}. If the network takes such pixels, say input_range={taken} as well"


def checked_labels(labels: Any, count: int, num_classes: int | None = None) -> np.ndarray:
    """Labels as int32.

    Args:
        labels: int (N,), the true classes; or (N, 1), as Keras' data sets have them.
        count: N.
        num_classes: K, where that is known.

    Returns:
        int32 (N,), all from 0 to K − 1.

    Raises:
        InputError: they are not one an image, no whole numbers, or no classes of the network.
    """
    labels = np.asarray(labels)
    if labels.shape == (count, 1):
        labels = labels[:, 0]
    if labels.shape != (count,):
        advice = ""
        if labels.ndim == 2 and len(labels) == count and labels.shape[1] > 1:
            advice = "; of one-hot labels give labels.argmax(axis=1)"
            if labels.dtype.kind in "biuf" and (labels.sum(axis=1) != 1).any():
                advice = "; for labels that may hold together there is tfrobust.evaluate_labels"
        raise InputError(f"expected {count} labels, one an image, got {labels.shape}{advice}")
    if labels.dtype.kind not in "iu" and labels.size:
        raise InputError(f"expected labels that are whole numbers, got {labels.dtype}")
    if labels.size and labels.min() < 0:
        raise InputError(f"expected labels from 0, got {labels.min()}")
    if labels.size and num_classes is not None and labels.max() >= num_classes:
        from_one = labels.min() > 0 and labels.max() == num_classes
        advice = "Take 1 from labels that count from 1" if from_one else "Is it for other data?"
        raise InputError(
            f"expected labels below {num_classes}, the network's number of classes, got "
            f"{labels.max()}. {advice}"
        )
    return labels.astype(np.int32)


def checked_label_rows(labels: Any, count: int, num_labels: int | None) -> np.ndarray:
    """Which of several labels hold together for each image, as int32.

    Args:
        labels: (N, K) of 0 and 1.
        count: N.
        num_labels: K; None where no image was there to ask the network about.

    Returns:
        int32 (N, K).

    Raises:
        InputError: they are of another shape, or other numbers than 0 and 1.
    """
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.shape != (count, num_labels or labels.shape[1]):
        raise InputError(
            f"expected labels of shape ({count}, {num_labels}), a 0 or 1 for each of the network's "
            f"labels that may hold together, got {labels.shape}"
        )
    if labels.dtype.kind not in "biuf" or not np.isin(labels, (0, 1)).all():
        raise InputError("expected labels of 0 and 1 only, 1 where a label holds")
    return labels.astype(np.int32)


def checked_targets(targets: Any, count: int, num_classes: int | None) -> np.ndarray:
    """Classes to explain, one an image.

    Args:
        targets: int (N,), a single int for all images, or None for the predicted class.
        count: N.
        num_classes: K; None where there is no image to ask the network about.

    Returns:
        int32 (N,) from 0 to K − 1, and −1 for the predicted class.

    Raises:
        InputError: another number of targets, no whole numbers, or no classes of the network.
    """
    targets = np.asarray(PREDICTED if targets is None else targets)
    if targets.shape not in ((), (count,)) or (targets.size and targets.dtype.kind not in "iu"):
        raise InputError(
            f"expected one whole number as target, or one for each of {count} images, got "
            f"{targets.dtype} of shape {targets.shape}"
        )
    for target in targets.ravel():
        if num_classes is not None and not PREDICTED <= target < num_classes:
            raise InputError(
                f"expected targets from 0 to {num_classes - 1}, or {PREDICTED} for the predicted "
                f"class, got {target}"
            )
    return np.broadcast_to(targets.astype(np.int32), (count,))


def check_drawable(images: np.ndarray) -> None:
    """Refuses images that no picture can show.

    Args:
        images: should be (N, H, W, 1), grey, or (N, H, W, 3), colour; N at least 1.

    Raises:
        InputError: says what came.
    """
    if images.ndim != 4 or images.shape[-1] not in GREY_OR_COLOUR or not len(images):
        raise InputError(
            "expected at least one image, each grey (H, W, 1) or colour (H, W, 3), got shape "
            f"{images.shape[1:] if len(images) == 1 else images.shape}"
        )
