"""What PNG and JPEG files say beside their pixels, read with TensorFlow's string operations.

Two things change how a picture looks: the EXIF orientation (JPEG's APP1 segment, PNG's eXIf chunk),
and how many bits of a 16-bit sample carry the picture (PNG's sBIT chunk). Only what lies before the
pixels counts. `headers` reads files by the same rules in Python.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from tfrobust.datasets.headers import (
    APP1,
    END_OF_IMAGE,
    LONG,
    MOST_SEGMENTS,
    ORIENTATION,
    SHORT,
    START_OF_SCAN,
)


class Metadata(NamedTuple):
    """What a file says.

    Args:
        orientation: int32 (), from 1 to 8 as EXIF numbers them; 1 where nothing is said.
        significant_bits: int32 (), of each sample; 0 where nothing is said.
        transparent: bool (), whether a PNG has a chunk that makes colours transparent.
    """

    orientation: tf.Tensor
    significant_bits: tf.Tensor
    transparent: tf.Tensor


def of_png(file: tf.Tensor) -> Metadata:
    """Reads the chunks before the first IDAT.

    Args:
        file: string (), the bytes of a PNG file.
    """

    def chunk(at: tf.Tensor, found: Metadata) -> tuple[tf.Tensor, Metadata]:
        length = _number(_bytes(file, at, 4), 4)
        kind = tf.strings.substr(file, at + 4, 4)
        orientation = tf.cond(
            kind == b"eXIf",
            lambda: _orientation(_bytes(file, at + 8, tf.minimum(length, 2**16))),
            lambda: found.orientation,
        )
        # A number for grey or three for the colours; that of the transparency comes last.
        bits = tf.cond(
            (kind == b"sBIT") & (length > 0),
            lambda: tf.reduce_max(_bytes(file, at + 8, tf.where(length < 3, 1, 3))),
            lambda: found.significant_bits,
        )
        at = tf.where(kind == b"IDAT", -1, at + 12 + length)
        return at, Metadata(orientation, bits, found.transparent | (kind == b"tRNS"))

    return _walked(file, 8, chunk)


def of_jpeg(file: tf.Tensor) -> Metadata:
    """Reads the segments before the first scan.

    Args:
        file: string (), the bytes of a JPEG file.
    """

    def segment(at: tf.Tensor, found: Metadata) -> tuple[tf.Tensor, Metadata]:
        head = tf.ensure_shape(_bytes(file, at, 4), (4,))
        length = _number(head[2:], 2)
        kind = head[1]
        # Filling, or something between segments, which decoders pass over.
        is_filling = (head[0] != 0xFF) | (kind == 0x00) | (kind == 0xFF)
        is_alone = (kind == 0x01) | ((kind >= 0xD0) & (kind < 0xD8))
        is_exif = ~is_filling & (kind == APP1) & (tf.strings.substr(file, at + 4, 6) == b"Exif\0\0")
        orientation = tf.cond(
            is_exif & (found.orientation == 1),
            lambda: _orientation(_bytes(file, at + 10, length - 8)),
            lambda: found.orientation,
        )
        ends = (kind == START_OF_SCAN) | (kind == END_OF_IMAGE)
        after = tf.where(is_alone, at + 2, tf.where(ends, -1, at + 2 + length))
        at = tf.where(is_filling, at + 1, after)
        return at, found._replace(orientation=orientation)

    return _walked(file, 2, segment)


def upright(image: tf.Tensor, orientation: tf.Tensor | int) -> tf.Tensor:
    """Turns and mirrors an image as its EXIF orientation asks.

    Args:
        image: (H, W, C), any dtype.
        orientation: from 1 to 8.

    Returns:
        (H, W, C), or (W, H, C) from orientation 5 on.
    """

    def where(orientations: tuple[int, ...], change: Callable[[], tf.Tensor]) -> tf.Tensor:
        chosen = tf.reduce_any(orientation == tf.constant(orientations))
        return tf.cond(chosen, change, lambda: image)

    image = tf.ensure_shape(image, (None, None, image.shape[-1]))
    image = where((5, 6, 7, 8), lambda: tf.transpose(image, (1, 0, 2)))
    image = where((2, 3, 6, 7), lambda: tf.reverse(image, (1,)))
    return where((3, 4, 7, 8), lambda: tf.reverse(image, (0,)))


def _walked(
    file: tf.Tensor,
    start: int,
    step: Callable[[tf.Tensor, Metadata], tuple[tf.Tensor, Metadata]],
) -> Metadata:
    """Goes from chunk to chunk, or from segment to segment.

    Args:
        file: string ().
        start: where the first one begins.
        step: where one begins, what was found → where the next begins, −1 at the end, and what is
            found.
    """
    length = tf.strings.length(file)

    def body(
        at: tf.Tensor, number: tf.Tensor, found: Metadata
    ) -> tuple[tf.Tensor, tf.Tensor, Metadata]:
        check = tf.debugging.Assert(
            number < MOST_SEGMENTS,
            [f"expected at most {MOST_SEGMENTS} chunks or segments before a picture's pixels"],
        )
        with tf.control_dependencies([check]):
            at, found = step(at, found)
        return at, number + 1, found

    nothing = Metadata(tf.constant(1), tf.constant(0), tf.constant(False))
    _, _, found = tf.while_loop(
        lambda at, number, found: (at >= 0) & (at <= length - 8),
        body,
        (tf.constant(start), tf.constant(0), nothing),
        parallel_iterations=1,
    )
    return found


def _bytes(file: tf.Tensor, at: tf.Tensor, count: tf.Tensor | int) -> tf.Tensor:
    """int32 (count,): some bytes of a file; fewer where it ends before."""
    part = tf.strings.substr(file, at, tf.maximum(count, 0))
    return tf.cast(tf.io.decode_raw(part, tf.uint8), tf.int32)


def _number(digits: tf.Tensor, count: int) -> tf.Tensor:
    """The number that bytes int32 (…, count) make, the highest first; int32 (…).

    It is at most 2**30, which no file reaches.
    """
    powers = tf.constant([256**power for power in reversed(range(count))], tf.int64)
    total = tf.reduce_sum(tf.cast(digits, tf.int64) * powers, axis=-1)
    return tf.cast(tf.minimum(total, 2**30), tf.int32)


def _orientation(exif: tf.Tensor) -> tf.Tensor:
    """The orientation in EXIF data int32 (n,), which are a small TIFF file; 1 if there is none."""
    count = tf.size(exif)
    # Behind zeros nothing can be read out of range.
    data = tf.pad(exif, [[0, 12]])
    little = tf.reduce_all(data[:4] == tf.constant([0x49, 0x49, 0x2A, 0x00]))
    big = tf.reduce_all(data[:4] == tf.constant([0x4D, 0x4D, 0x00, 0x2A]))

    def number(digits: tf.Tensor, width: int) -> tf.Tensor:
        return _number(tf.where(little, tf.reverse(digits, [-1]), digits), width)

    first = tf.minimum(number(data[4:8], 4), count)
    room = tf.maximum(count - first - 2, 0) // 12
    entries = tf.minimum(number(data[first : first + 2], 2), room)
    table = tf.reshape(data[first + 2 : first + 2 + 12 * entries], (-1, 12))
    kind = number(table[:, 2:4], 2)
    value = tf.where(kind == SHORT, number(table[:, 8:10], 2), number(table[:, 8:12], 4))
    says = (number(table[:, :2], 2) == ORIENTATION) & ((kind == SHORT) | (kind == LONG))
    right = says & (value >= 1) & (value <= 8) & (little | big)
    return tf.concat([tf.boolean_mask(value, right), [1]], 0)[0]
