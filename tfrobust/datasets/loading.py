"""Opens a data set by its name, or by the folder that it lies in.

Importing this module does not import TensorFlow. `load` does.
"""

import os
from typing import TYPE_CHECKING

from tfrobust.datasets.names import EMBEDDED, FITS, FOLDER_PREFIX, Fit, validate
from tfrobust.datasets.sample_bits import MAX_BITS, MIN_BITS
from tfrobust.errors import InputError

if TYPE_CHECKING:
    from tfrobust.datasets.source import DataSource


def load(
    name: str,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    held_out: int = 0,
    bits: int | None = None,
    frame: int | None = None,
    labels: str | os.PathLike[str] | None = None,
    group: str | None = None,
    fit: Fit = "crop",
) -> "DataSource":
    """Opens a data set.

    Args:
        name: "fashion_mnist_mini", which is shipped with the package; the name of any
            image-classification set of TensorFlow Datasets ("cifar10", "imagenet2012",
            "imagenet_resized/32x32", …); or "folder:/path" for a folder with one sub-folder for
            each class.
        data_dir: the folder that holds prepared sets of TensorFlow Datasets. Nothing is downloaded
            to it. None for the default folder, to which a missing set is downloaded.
        image_size: height and width in pixels to bring all images to. None for the images' own size
            if they share one, and for 224 otherwise.
        held_out: the last so many training images become the test images. Use it to choose between
            recipes: the set's own test images must not be seen before the choice is made.
        bits: for a folder with 16-bit files that do not say how many bits of each sample carry the
            picture: from 9 to 16, such as 12 for radiographs. None for 16; pictures that would then
            be nearly black are refused.
        frame: for a folder with DICOM files of several frames: which one to read, from 1.
        labels: for a folder: a CSV that says the label of each file, and perhaps its group, split
            and weight (`datasets/labels_table.py`), where no sub-folders say it.
        group: for a folder: what must not be on both sides of the split, such as patients.
            "column:NAME" of the CSV, "dicom:PatientID" or another element, "pattern:REGEX", or
            "none". The pattern is searched in the names of the files with their folders, such as
            "ill/0013_left.png", and its groups count if it has some. None for a column that is
            called group or patient, and else for the PatientID of DICOM files.
        fit: for a folder with pictures of other proportions than the data set's: "crop" cuts their
            middle out, "letterbox" keeps all of them between black margins.

    Returns:
        The data set. Large sets stay on disk, small ones are read at first use.

    Raises:
        InputError: the name is unknown, the folder is missing, or the set cannot be had or is not
            about image classification.
    """
    is_number = isinstance(image_size, int) and not isinstance(image_size, bool)
    if image_size is not None and not (is_number and 8 <= image_size <= 4096):
        raise InputError(f"image_size must be a whole number from 8 to 4096, got {image_size!r}")
    validate(name, data_dir)
    if isinstance(held_out, bool) or not isinstance(held_out, int) or held_out < 0:
        raise InputError(f"held_out must be a whole number not below 0, got {held_out!r}")
    if bits is not None and not MIN_BITS <= bits <= MAX_BITS:
        raise InputError(f"bits must be from {MIN_BITS} to {MAX_BITS}, got {bits!r}")
    if frame is not None and (isinstance(frame, bool) or not isinstance(frame, int) or frame < 1):
        raise InputError(f"frame must be a whole number of at least 1, got {frame!r}")
    if fit not in FITS:
        raise InputError(f"fit must be one of {', '.join(FITS)}; got {fit!r}")
    if (labels is not None or group is not None or fit != "crop") and not name.startswith(
        FOLDER_PREFIX
    ):
        raise InputError(
            f"expected {FOLDER_PREFIX}/path with `labels`, `group` and `fit`, got {name}"
        )
    if name == EMBEDDED:
        from tfrobust.datasets.embedded import load_embedded

        return load_embedded(image_size, held_out)
    if name.startswith(FOLDER_PREFIX):
        if held_out:
            raise InputError(
                f"expected a data set by its name with held_out, got {name}: put the images that "
                "are not to be trained on into a folder `test` beside `train`"
            )
        from tfrobust.datasets.folder import Reading, load_folder

        return load_folder(name, image_size, Reading(bits, frame, labels, group, fit))
    from tfrobust.datasets.catalog import load_catalog

    return load_catalog(name, data_dir, image_size, held_out)
