"""What a data set is: `DatasetInfo`."""

from dataclasses import dataclass, replace

import numpy as np

from tfrobust.datasets.names import Fit

HELD_OUT = "training images held out"  # what reports call them where they are tested on


@dataclass(frozen=True)
class DatasetInfo:
    """What a data set is.

    Args:
        name: can be used as the name of a folder.
        image_shape: (H, W, C).
        class_names: the name of each class, in the order of the labels.
        train_images: the number of images to train on.
        test_images: the number of images to test on.
        provenance: one sentence for cards and reports: which data, where from, which licence.
        mean: of each channel, in units of pixels in [0, 1].
        std: the standard deviation of each channel, likewise.
        bits: how many bits of each sample carry the picture in 16-bit files that do not say it;
            None if there are no such files.
        frame: which frame of DICOM files is read, from 1; None for the only one.
        fit: how pictures of other proportions are brought to `image_shape`: "crop" or "letterbox".
        multi_label: whether an image may have several of the classes. Its labels are then 0 or 1
            for each of them, (N, K), and else the number of its class, (N,).
        digest: of a user's folder, a hash of the files' names, labels, splits and weights; None for
            a published set.
        tested: what reports call the images that are tested on.
    """

    name: str
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    train_images: int
    test_images: int
    provenance: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    bits: int | None = None
    frame: int | None = None
    fit: Fit = "crop"
    multi_label: bool = False
    digest: str | None = None
    tested: str = "test images"

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    def of_validation(self, count: int) -> "DatasetInfo":
        """Of a set that holds nothing but so many validation images, as its test images."""
        return replace(self, train_images=0, test_images=count, tested="validation images")


def channel_statistics(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Measures the mean and the standard deviation, which the network's first layer needs.

    Args:
        images: uint8 (N, H, W, C), a sample of the training images.

    Returns:
        The mean and the standard deviation of each channel, in units of pixels in [0, 1]. To divide
        by the deviation is safe: it is 0.25 for a channel that does not vary. Without images the
        result is 0.5 and 0.25.
    """
    if not len(images):
        return (0.5,) * images.shape[-1], (0.25,) * images.shape[-1]
    mean = images.mean((0, 1, 2)) / 255
    std = images.std((0, 1, 2)) / 255
    return (
        tuple(round(float(value), 4) for value in mean),
        tuple(round(float(value), 4) if value > 1e-3 else 0.25 for value in std),
    )
