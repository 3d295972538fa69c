"""A user's own images: `folder:/path`, with one sub-folder for each class, or train/ and test/.

Images are resized to one size without being distorted. pictures.py says how each kind of file is
read. In a folder without train/ and test/ the file names decide the split; see folder_scan.py.
"""

import logging
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np

from tfrobust.datasets.arrays import ArraySource
from tfrobust.datasets.files import FileSource
from tfrobust.datasets.folder_scan import (
    Folder,
    Picture,
    in_hash_order,
    interleaved,
    require_every_class,
    scan,
    split_by_hash,
)
from tfrobust.datasets.headers import Header, PictureError
from tfrobust.datasets.names import folder_path
from tfrobust.datasets.pictures import inspect, read
from tfrobust.datasets.resizing import fit
from tfrobust.datasets.source import (
    Arrays,
    DatasetInfo,
    DataSource,
    channel_statistics,
)

MEMORY_BYTES = 10**9
DEFAULT_SIZE = 224
LARGEST_OWN_SIZE = 256
SAMPLE_IMAGES = 1000
STREAMED_SAMPLE_IMAGES = 200

Result = TypeVar("Result")
Shape = tuple[int, int, int]


def load_folder(name: str, image_size: int | None) -> DataSource:
    """Opens a user's folder of images.

    Args:
        name: "folder:/path".
        image_size: height and width in pixels. None for the size of the images if they all share
            one of at most 256, and for 224 otherwise.

    Returns:
        The data set: in memory up to 1 GB of pixels, otherwise reading files as they are needed.
        It is grey if every image is. The classes of the test images take turns.

    Raises:
        InputError: there is no such folder, it has fewer than two classes, or a class has no
            readable image.
    """
    folder = scan(folder_path(name))
    headers, reasons = apply_to_each(inspect, folder.pictures)
    train, test = split(folder, list(headers), list(reasons))
    shape = common_shape(list(headers.values()), image_size)
    in_memory = len(headers) * int(np.prod(shape)) <= MEMORY_BYTES
    if in_memory:
        train, train_arrays = read_all(train, shape, reasons)
        test, test_arrays = read_all(test, shape, reasons)
        require_split(folder, train, test, list(reasons))
        sample = train_arrays[0][:SAMPLE_IMAGES]
    else:
        sample = read_all(train[:STREAMED_SAMPLE_IMAGES], shape, {})[1][0]
    skipped = tuple(sorted(picture.name for picture in reasons))
    report_skipped(reasons)
    mean, std = channel_statistics(sample)
    way = "as its sub-folders say" if folder.is_split else "a fifth of each class by file name"
    info = DatasetInfo(
        name=re.sub(r"[^A-Za-z0-9_.-]+", "_", folder.root.name).strip("._") or "folder",
        image_shape=shape,
        class_names=folder.class_names,
        train_images=len(train),
        test_images=len(test),
        provenance=(
            f"The user's own folder {folder.root.name!r}: {len(train)} training and {len(test)} "
            f"test images of {len(folder.class_names)} classes (test images: {way}); "
            f"{len(skipped)} unreadable files left out."
        ),
        mean=mean,
        std=std,
    )
    if in_memory:
        return ArraySource(info, lambda: train_arrays, lambda: test_arrays, skipped)
    return FileSource(info, train, test, skipped)


def split(
    folder: Folder, readable: list[Picture], broken: list[Picture]
) -> tuple[list[Picture], list[Picture]]:
    """Decides what to train and what to test on, and in which order.

    Args:
        folder: the user's folder.
        readable: its readable pictures.
        broken: its other pictures.

    Returns:
        The pictures to train on, in the order of their hashes, and the pictures to test on, in
        which the classes take turns.

    Raises:
        InputError: a class has no readable image to train on, or to test on.
    """
    if folder.is_split:
        train = [picture for picture in readable if picture.split == "train"]
        test = [picture for picture in readable if picture.split == "test"]
    else:
        train, test = split_by_hash(readable)
    require_split(folder, train, test, broken)
    return in_hash_order(train), interleaved(test)


def require_split(
    folder: Folder, train: list[Picture], test: list[Picture], broken: list[Picture]
) -> None:
    """Refuses a class without a readable image to train on, or to test on."""
    skipped = [picture.name for picture in broken]
    require_every_class(folder, train, "to train on", skipped)
    require_every_class(folder, test, "to test on", skipped)


def common_shape(headers: Sequence[Header], image_size: int | None) -> Shape:
    """The shape that all images are brought to.

    Args:
        headers: the headers of all readable pictures.
        image_size: as for `load_folder`.

    Returns:
        Height, width and channels, as `load_folder` says.
    """
    channels = 1 if all(header.grey for header in headers) else 3
    sizes = {(header.height, header.width) for header in headers}
    if image_size is not None:
        return image_size, image_size, channels
    if len(sizes) == 1 and max(next(iter(sizes))) <= LARGEST_OWN_SIZE:
        return *sizes.pop(), channels
    return DEFAULT_SIZE, DEFAULT_SIZE, channels


def apply_to_each(
    function: Callable[[Path], Result], pictures: Sequence[Picture]
) -> tuple[dict[Picture, Result], dict[Picture, str]]:
    """Applies a function to each picture's path, in threads. Pillow works outside Python's lock.

    Args:
        function: raises PictureError for a file that cannot be read.
        pictures: any number of them.

    Returns:
        The results for readable pictures, in order, and the reasons for the others.
    """

    def attempt(picture: Picture) -> Result | PictureError:
        try:
            return function(picture.path)
        except PictureError as error:
            return error

    results: dict[Picture, Result] = {}
    reasons: dict[Picture, str] = {}
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for picture, result in zip(pictures, threads.map(attempt, pictures), strict=True):
            if isinstance(result, PictureError):
                reasons[picture] = str(result)
            else:
                results[picture] = result
    return results, reasons


def read_all(
    pictures: list[Picture], shape: Shape, reasons: dict[Picture, str]
) -> tuple[list[Picture], Arrays]:
    """Reads pictures into memory.

    Args:
        pictures: in the order in which they are wanted.
        shape: the height, width and channels to bring them to.
        reasons: the reason for each picture that could not be decoded is added here.

    Returns:
        The pictures that could be decoded; their images uint8 (N, *shape) and labels int32 (N,).
    """
    images = np.empty((len(pictures), *shape), np.uint8)
    places = {picture.path: place for place, picture in enumerate(pictures)}

    def put(path: Path) -> None:
        images[places[path]] = fit(read(path, shape[2]), shape[:2])

    done, failed = apply_to_each(put, pictures)
    reasons.update(failed)
    if failed:
        images = images[[places[picture.path] for picture in done]]
    return list(done), (images, np.array([picture.label for picture in done], np.int32))


def report_skipped(reasons: dict[Picture, str]) -> None:
    """Logs how many files are left out, and the reasons for the first ten."""
    if reasons:
        lines = [f"  {picture.name}: {reason}" for picture, reason in reasons.items()][:10]
        more = [f"  and {len(reasons) - 10} more"] if len(reasons) > 10 else []
        logging.getLogger(__name__).warning(
            "%d unreadable files left out:\n%s", len(reasons), "\n".join(lines + more)
        )
