"""A user's own images: `folder:/path`, with one sub-folder for each class, or train/ and test/.

Images are resized to one size without being distorted. graph_decoding.py says how each kind of file
is read. In a folder without train/ and test/ the file names decide the split; see folder_split.py.
"""

import dataclasses
import logging
import re
from pathlib import Path

import numpy as np

from tfrobust.datasets.arrays import ArraySource
from tfrobust.datasets.files import FileSource
from tfrobust.datasets.folder_layout import Split
from tfrobust.datasets.folder_scan import Folder, Picture, scan
from tfrobust.datasets.folder_split import require_every_class, split
from tfrobust.datasets.left_out import LeftOut
from tfrobust.datasets.names import folder_path
from tfrobust.datasets.pictures import read
from tfrobust.datasets.resizing import fit
from tfrobust.datasets.source import Arrays, DatasetInfo, DataSource, channel_statistics
from tfrobust.datasets.survey import Shape, bits_of, each, survey

MEMORY_BYTES = 10**9
SAMPLE_IMAGES = 1000
STREAMED_SAMPLE_IMAGES = 200


def load_folder(
    name: str, image_size: int | None, bits: int | None = None, frame: int | None = None
) -> DataSource:
    """Opens a user's folder of images.

    Args:
        name: "folder:/path".
        image_size: height and width in pixels. None for the size of the images if they all share
            one of at most 256, and for 224 otherwise.
        bits: how many bits of each sample carry the picture in 16-bit files that do not say it.
        frame: which frame of DICOM files is read, from 1; None for the only one.

    Returns:
        The data set: in memory up to 1 GB of pixels, otherwise reading files as they are needed.
        It is grey if every image is. The classes of the test images take turns.

    Raises:
        InputError: there is no such folder, it has fewer than two classes, a class has no
            readable image, or `bits` is needed.
    """
    folder = scan(folder_path(name))
    left_out = LeftOut(folder.passed_over)
    found = survey(folder, left_out, frame)
    parts = split(folder, found.readable, left_out.names)
    shape = found.shape(image_size)
    bits = bits_of(folder, found.deep, bits, frame)
    if len(found.readable) * int(np.prod(shape)) > MEMORY_BYTES:
        sample, _, _ = read_all(
            parts["train"][:STREAMED_SAMPLE_IMAGES], shape, bits, frame, left_out
        )
        info = _info(folder, parts, shape, bits, frame, sample)
        source: DataSource = FileSource(info, folder.root, parts, left_out)
    else:
        arrays: dict[Split, Arrays] = {}
        for part in parts:
            images, labels, parts[part] = read_all(parts[part], shape, bits, frame, left_out)
            arrays[part] = images, labels
        require_every_class(folder, parts, left_out.names)
        info = _info(folder, parts, shape, bits, frame, arrays["train"][0][:SAMPLE_IMAGES])
        info = dataclasses.replace(info, provenance=f"{info.provenance}; {left_out}")
        source = _in_memory(info, arrays, left_out.names)
    left_out.log()
    for note in folder.notes:
        logging.getLogger(__name__).warning("%s: %s", folder.root, note)
    return source


def read_all(
    pictures: list[Picture],
    shape: Shape,
    bits: int | None,
    frame: int | None,
    left_out: LeftOut,
) -> tuple[np.ndarray, np.ndarray, list[Picture]]:
    """Reads pictures into memory.

    Args:
        pictures: in the order in which they are wanted.
        shape: the height, width and channels to bring them to.
        bits: as for `load_folder`.
        frame: as for `load_folder`.
        left_out: the pictures that cannot be decoded are added here.

    Returns:
        Images uint8 (N, *shape), labels int32 (N,), and the pictures that they are.
    """
    images = np.empty((len(pictures), *shape), np.uint8)

    def read_fitted(path: Path) -> np.ndarray:
        return fit(read(path, shape[2], bits=bits, frame=frame), shape[:2])

    done: list[Picture] = []
    for picture, image in each(read_fitted, pictures, left_out):
        images[len(done)] = image
        done.append(picture)
    return images[: len(done)], np.array([one.label for one in done], np.int32), done


def _in_memory(
    info: DatasetInfo, arrays: dict[Split, Arrays], skipped: tuple[str, ...]
) -> DataSource:
    source = ArraySource(info, lambda: arrays["train"], lambda: arrays["test"], skipped)
    if "validation" in arrays:
        images, labels = arrays["validation"]
        alone = info.of_validation(len(images))
        source.validation = ArraySource(
            alone, lambda: (images[:0], labels[:0]), lambda: (images, labels), skipped
        )
    return source


def _info(
    folder: Folder,
    parts: dict[Split, list[Picture]],
    shape: Shape,
    bits: int | None,
    frame: int | None,
    sample: np.ndarray,
) -> DatasetInfo:
    mean, std = channel_statistics(sample)
    counts = [f"{len(parts['train'])} training and {len(parts['test'])} test images"]
    if "validation" in parts:
        counts.append(f"{len(parts['validation'])} for validation")
    way = "as its sub-folders say" if folder.splits else "a fifth of each class by file name"
    return DatasetInfo(
        name=re.sub(r"[^A-Za-z0-9_.-]+", "_", folder.root.name).strip("._") or "folder",
        image_shape=shape,
        class_names=folder.class_names,
        train_images=len(parts["train"]),
        test_images=len(parts["test"]),
        provenance=(
            f"The user's own folder {folder.root.name!r}: {', '.join(counts)}, of "
            f"{len(folder.class_names)} classes (test images: {way})"
            + (f"; frame {frame} of DICOM files" if frame else "")
        ),
        mean=mean,
        std=std,
        bits=bits,
        frame=frame,
    )
