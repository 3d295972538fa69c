"""A user's own images: `folder:/path`, with one sub-folder for each class, or train/ and test/.

A CSV may say the labels instead; see labels_table.py. Images are resized to one size without being
distorted. graph_decoding.py says how each kind of file is read. In a folder without train/ and
test/ the file names decide the split, and groups stay together; see folder_split.py.
"""

import dataclasses
import logging
import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfrobust.datasets.arrays import ArraySource
from tfrobust.datasets.files import FileSource, own_weights
from tfrobust.datasets.folder_layout import Split
from tfrobust.datasets.folder_scan import Folder, Picture, scan
from tfrobust.datasets.folder_split import digest, require_every_class, split
from tfrobust.datasets.groups import grouped, number_of_groups, numbered, read_labels
from tfrobust.datasets.info import DatasetInfo, channel_statistics
from tfrobust.datasets.labels_scan import scan_table
from tfrobust.datasets.left_out import LeftOut
from tfrobust.datasets.names import Fit, folder_path
from tfrobust.datasets.pictures import read
from tfrobust.datasets.resizing import fit
from tfrobust.datasets.source import Arrays, DataSource
from tfrobust.datasets.survey import Shape, bits_of, each, survey

MEMORY_BYTES = 10**9
SAMPLE_IMAGES = 1000
STREAMED_SAMPLE_IMAGES = 200


class Reading(NamedTuple):
    """How a folder is read; `loading.load` says what each field means."""

    bits: int | None = None
    frame: int | None = None
    labels: str | os.PathLike[str] | None = None
    group: str | None = None
    fit: Fit = "crop"


def load_folder(name: str, image_size: int | None, reading: Reading) -> DataSource:
    """Opens a user's folder of images.

    Args:
        name: "folder:/path".
        image_size: height and width in pixels. None for the size of the images if they all share
            one of at most 256, and for 224 otherwise.
        reading: what the user says of it.

    Returns:
        The data set: in memory up to 1 GB of pixels, otherwise reading files as they are needed.
        It is grey if every image is. The classes of the test images take turns.

    Raises:
        InputError: there is no such folder, it has fewer than two classes, a class has no
            readable image, `bits` is needed, or the CSV of labels or the groups are wrong.
    """
    root = folder_path(name)
    table, way = read_labels(reading.labels, reading.group)
    folder = scan(root) if table is None else scan_table(root, table)
    left_out = LeftOut(folder.passed_over)
    found = survey(folder, left_out, reading.frame)
    folder = grouped(folder, found.readable, way)
    parts = split(folder, left_out)
    shape = found.shape(image_size)
    resized = found.sizes != {shape[:2]}
    reading = reading._replace(bits=bits_of(folder, found.deep, reading.bits, reading.frame))
    if len(found.readable) * int(np.prod(shape)) > MEMORY_BYTES:
        some = parts["train"][:STREAMED_SAMPLE_IMAGES]
        sample, _, _ = read_all(some, shape, reading, left_out)
        info = _info(folder, parts, shape, reading, sample, resized)
        source: DataSource = FileSource(info, folder.root, parts, left_out)
    else:
        arrays: dict[Split, Arrays] = {}
        for part in parts:
            images, labels, parts[part] = read_all(parts[part], shape, reading, left_out)
            arrays[part] = images, labels
        require_every_class(folder, parts, left_out)
        info = _info(folder, parts, shape, reading, arrays["train"][0][:SAMPLE_IMAGES], resized)
        info = dataclasses.replace(info, provenance=f"{info.provenance}; {left_out}")
        source = _in_memory(info, arrays, left_out.names, own_weights(parts["train"]))
    for of, tested in ((source, parts["test"]), (source.validation, parts.get("validation", []))):
        if of is not None:
            of.test_files = tuple(picture.name for picture in tested)
            of.test_groups = numbered(tested)
    left_out.log()
    for note in folder.notes:
        logging.getLogger(__name__).warning("%s: %s", folder.root, note)
    return source


def read_all(
    pictures: list[Picture], shape: Shape, reading: Reading, left_out: LeftOut
) -> tuple[np.ndarray, np.ndarray, list[Picture]]:
    """Reads pictures into memory.

    Args:
        pictures: in the order in which they are wanted.
        shape: the height, width and channels to bring them to.
        reading: its bits and its frame.
        left_out: the pictures that cannot be decoded are added here.

    Returns:
        Images uint8 (N, *shape), labels int32 (N,) or (N, K), and the pictures that they are.
    """
    images = np.empty((len(pictures), *shape), np.uint8)

    def read_fitted(path: Path) -> np.ndarray:
        image = read(path, shape[2], bits=reading.bits, frame=reading.frame)
        return fit(image, shape[:2], reading.fit)

    done: list[Picture] = []
    for picture, image in each(read_fitted, pictures, left_out):
        images[len(done)] = image
        done.append(picture)
    return images[: len(done)], np.array([one.label for one in done], np.int32), done


def _in_memory(
    info: DatasetInfo,
    arrays: dict[Split, Arrays],
    skipped: tuple[str, ...],
    weights: np.ndarray | None,
) -> DataSource:
    source = ArraySource(info, lambda: arrays["train"], lambda: arrays["test"], skipped, weights)
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
    reading: Reading,
    sample: np.ndarray,
    resized: bool,
) -> DatasetInfo:
    mean, std = channel_statistics(sample)
    return DatasetInfo(
        name=re.sub(r"[^A-Za-z0-9_.-]+", "_", folder.root.name).strip("._") or "folder",
        image_shape=shape,
        class_names=folder.class_names,
        train_images=len(parts["train"]),
        test_images=len(parts["test"]),
        provenance=_provenance(folder, parts, reading, shape if resized else None),
        mean=mean,
        std=std,
        bits=reading.bits,
        frame=reading.frame,
        fit=reading.fit,
        multi_label=folder.table is not None and folder.table.multi_label,
        digest=digest(parts),
    )


def _provenance(
    folder: Folder,
    parts: dict[Split, list[Picture]],
    reading: Reading,
    resized_to: Shape | None,
) -> str:
    counts = [f"{len(parts['train'])} training and {len(parts['test'])} test images"]
    if "validation" in parts:
        counts.append(f"{len(parts['validation'])} for validation")
    of, way, kinds = "", "a fifth of each class by file name", "classes"
    if folder.table is not None:
        of = f" with the labels of {folder.table.path.name!r}"
        kinds = "labels" if folder.table.multi_label else "classes"
    if folder.splits:
        way = "as its sub-folders say" if folder.table is None else "as the CSV says"
    elif folder.grouped_by or kinds == "labels":
        way = f"about a fifth of each {'label' if kinds == 'labels' else 'class'}"
    told = (
        f"The user's own folder {folder.root.name!r}{of}: {', '.join(counts)}, of "
        f"{len(folder.class_names)} {kinds} (test images: {way})"
    )
    if resized_to is not None:
        how = "by their middle" if reading.fit == "crop" else "between margins"
        told += f", brought to {resized_to[0]} × {resized_to[1]} pixels {how}"
    if folder.grouped_by:
        count = number_of_groups(folder.pictures)
        told += f"; none of {count} groups by {folder.grouped_by} is on both sides"
    if reading.frame is not None:
        told += f"; frame {reading.frame} of DICOM files"
    return "; ".join([told, *folder.counts])
