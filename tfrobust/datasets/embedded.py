"""The small data set that is shipped with the package: 12,000 images of Fashion-MNIST.

tools/make_embedded_images.py made it. embedded_data/PROVENANCE.md says from what.
"""

import hashlib
import io
import lzma
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrobust.datasets.arrays import ArraySource
from tfrobust.datasets.augment import resize
from tfrobust.datasets.info import HELD_OUT, DatasetInfo
from tfrobust.datasets.names import EMBEDDED
from tfrobust.datasets.source import Arrays, DataSource
from tfrobust.errors import InputError

FILE = Path(__file__).parent / "embedded_data" / "fashion_mnist_mini.npy.xz"
SHA256 = "2b0a72127c30bd847e1feddce44d0fdc791e08b010eddaa7055fa86d0a1f199b"
TRAIN_IMAGES = 10_000
TEST_IMAGES = 2_000
SIDE = 28
MEAN, STD = 0.2867, 0.3540
CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def load_embedded(image_size: int | None, held_out: int = 0) -> DataSource:
    """Opens the embedded data set.

    Args:
        image_size: height and width in pixels; None for 28, as stored.
        held_out: how many of the training images take the place of the test images.

    Returns:
        The data set, in memory.

    Raises:
        InputError: the file is missing or damaged, or no image is left to train on.
    """
    if held_out >= TRAIN_IMAGES:
        raise InputError(
            f"expected held_out below {EMBEDDED}'s {TRAIN_IMAGES} training images, got {held_out}"
        )
    rest = TRAIN_IMAGES - held_out
    tested = (rest, TRAIN_IMAGES) if held_out else (TRAIN_IMAGES, TRAIN_IMAGES + TEST_IMAGES)
    side = image_size or SIDE
    info = DatasetInfo(
        name=EMBEDDED,
        image_shape=(side, side, 1),
        class_names=CLASS_NAMES,
        train_images=rest,
        test_images=tested[1] - tested[0],
        provenance=(
            "Class-balanced subset of Fashion-MNIST (Zalando SE, MIT licence): the first 1,000 "
            "training and 200 test images of each of 10 classes, shipped with tfrobust."
            + (f" The last {held_out} training images are tested on." if held_out else "")
        ),
        mean=(MEAN,),
        std=(STD,),
    )
    if held_out:
        info = replace(info, tested=HELD_OUT)
    images, labels = read(FILE)
    if side != SIDE:
        images = resize(tf.constant(images), (side, side)).numpy()
    return ArraySource(
        info,
        train=lambda: (images[:rest], labels[:rest]),
        test=lambda: (images[slice(*tested)], labels[slice(*tested)]),
    )


@cache
def read(path: Path) -> Arrays:
    """Reads the file and checks its hash.

    Args:
        path: the xz file.

    Returns:
        Images uint8 (12000, 28, 28, 1), the training images first, and labels int32 (12000,).

    Raises:
        InputError: the file is missing, or it is not the file that was shipped.
    """
    advice = "Install tfrobust again; in a clone: git checkout tfrobust/datasets/embedded_data"
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the embedded images, {path}: {error}. {advice}") from error
    digest = hashlib.sha256(packed).hexdigest()
    if digest != SHA256:
        raise InputError(
            f"the embedded images are damaged: {path} has sha256 {digest}, expected {SHA256}. "
            f"{advice}"
        )
    content = io.BytesIO(lzma.decompress(packed))
    images = np.load(content, allow_pickle=False)
    labels = np.load(content, allow_pickle=False)
    return images[..., np.newaxis], labels.astype(np.int32)
