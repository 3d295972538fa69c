"""Looks at the headers of a folder's pictures: which can be read, and what they have in common."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from tfrobust.datasets.folder_scan import Folder, Picture
from tfrobust.datasets.folder_split import in_hash_order
from tfrobust.datasets.headers import PictureError
from tfrobust.datasets.left_out import LeftOut
from tfrobust.datasets.pictures import brightest_sample, inspect
from tfrobust.datasets.sample_bits import FULL_16_BITS, MAX_BITS, SUSPICIOUSLY_DARK, USUAL_BITS
from tfrobust.errors import InputError

DEFAULT_SIZE = 224
LARGEST_OWN_SIZE = 256
# So many files are handed to the threads at a time: a folder may have ten million.
AT_A_TIME = 4096
DEEP_SAMPLE_IMAGES = 200

Result = TypeVar("Result")
Shape = tuple[int, int, int]


@dataclass
class Survey:
    """What the headers of many pictures say.

    Args:
        readable: the pictures that can be read by their headers.
        sizes: the heights and widths that occur, at most two of them.
        grey: whether all pictures are grey.
        deep: the pictures of 16 bits that do not say how many of them carry the picture.
    """

    readable: list[Picture] = field(default_factory=list)
    sizes: set[tuple[int, int]] = field(default_factory=set)
    grey: bool = True
    deep: list[Picture] = field(default_factory=list)

    def shape(self, image_size: int | None) -> Shape:
        """The height, width and channels that all pictures are brought to.

        Args:
            image_size: height and width, in pixels. None for the size of the pictures if they all
                share one of at most 256, and for 224 otherwise.
        """
        channels = 1 if self.grey else 3
        if image_size is not None:
            return image_size, image_size, channels
        if len(self.sizes) == 1:
            (size,) = self.sizes
            if max(size) <= LARGEST_OWN_SIZE:
                return *size, channels
        return DEFAULT_SIZE, DEFAULT_SIZE, channels


def survey(folder: Folder, left_out: LeftOut, frame: int | None = None) -> Survey:
    """Reads the headers of all pictures of a folder.

    Args:
        folder: the folder.
        left_out: pictures that cannot be read are added here.
        frame: which frame of DICOM files is wanted, from 1; None for the only one.
    """
    found = Survey()
    for picture, header in each(partial(inspect, frame=frame), folder.pictures, left_out):
        found.readable.append(picture)
        if len(found.sizes) < 2:
            found.sizes.add((header.height, header.width))
        found.grey = found.grey and header.grey
        if header.depth == 16 and not header.significant_bits:
            found.deep.append(picture)
    return found


def each(
    function: Callable[[Path], Result], pictures: Sequence[Picture], left_out: LeftOut
) -> Iterator[tuple[Picture, Result]]:
    """Applies a function to the path of each picture, in threads: decoding needs no Python.

    Args:
        function: raises PictureError for a file that cannot be read.
        pictures: any number of them.
        left_out: those that cannot be read are added here.

    Yields:
        The other pictures and the results for them, in order.
    """

    def attempt(picture: Picture) -> Result | PictureError:
        try:
            return function(picture.path)
        except PictureError as error:
            return error

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for first in range(0, len(pictures), AT_A_TIME):
            some = pictures[first : first + AT_A_TIME]
            for picture, result in zip(some, threads.map(attempt, some), strict=True):
                if isinstance(result, PictureError):
                    left_out.add(picture.name, str(result))
                else:
                    yield picture, result


def bits_of(
    folder: Folder, deep: Sequence[Picture], bits: int | None, frame: int | None = None
) -> int | None:
    """How many bits of each sample carry the picture, where files of 16 bits do not say it.

    Args:
        folder: the user's folder.
        deep: its pictures of 16 bits that do not say it.
        bits: what the user says; None if nothing.
        frame: as for `survey`.

    Returns:
        From 9 to 16; None if there are no such pictures.

    Raises:
        InputError: the user says nothing, and the pictures are so dark that they probably have
            fewer bits than 16.
    """
    if bits is not None or not deep:
        return bits
    brightest = 0
    sample = in_hash_order(deep)[:DEEP_SAMPLE_IMAGES]
    for _, largest in each(partial(brightest_sample, frame=frame), sample, LeftOut()):
        brightest = max(brightest, largest)
        if brightest >= SUSPICIOUSLY_DARK:
            return MAX_BITS
    if not brightest:
        return MAX_BITS
    likely = next(one for one in USUAL_BITS if brightest < 2**one)
    raise InputError(
        f"the 16-bit pictures of {folder.root} have no sample above {brightest} of {FULL_16_BITS}, "
        f"so they would be nearly black. If only {likely} bits carry the picture, as in "
        f"radiographs, give `bits` = {likely}; if they are meant to be dark, `bits` = 16"
    )
