"""The one decoder of PNG and JPEG files, in TensorFlow's operations only.

Folders, programs, servers and the exported `predict_bytes` all decode with it, so that a network
sees the same picture in training and in use. How each kind of file is read:

- EXIF orientation is applied, so that the picture stands as viewers show it.
- Palettes, 1, 2 and 4 bits become 8 bits, CMYK becomes RGB, and grey becomes colour by repetition.
- What is transparent lies on white, as most viewers show it.
- Colour becomes grey by the luma of ITU-R 601, in Pillow's whole numbers.
- 16 bits become 8 bits. Where the samples carry fewer bits, as those of 12-bit radiographs do, they
  are stretched if that is known; `decode` says how.
- The first picture counts where a file holds several (MPO, APNG), and what cameras append to a JPEG
  is passed over.

JPEG is decoded as Pillow does it, by the exact integer transform and with smoothed chroma; the
pixels agree bit by bit.
"""

from collections.abc import Callable

import tensorflow as tf

from tfrobust.datasets import graph_metadata
from tfrobust.datasets.headers import COLOUR, GREY, GREY_ALPHA, JPEG, PALETTE, PNG, Header
from tfrobust.datasets.sample_bits import FULL_16_BITS, SUSPICIOUSLY_DARK, TOO_DARK, TOO_LARGE

WHITE = 255
BAND_PIXELS = 2**20


def decode(file: tf.Tensor, channels: int, *, bits: int | None = None) -> tf.Tensor:
    """Decodes one file inside a graph.

    Args:
        file: string (), the bytes of a PNG or JPEG file. The caller has asked `size_of`, because a
            few kilobytes may claim to be gigabytes.
        channels: 1 or 3.
        bits: how many bits of a 16-bit sample carry the picture, from 9 to 16, where the file
            itself does not say it by an sBIT chunk. None: all 16, and files that are so dark that
            they may have fewer are refused.

    Returns:
        uint8 (H, W, channels), upright. What cannot be decoded ends the graph with
        InvalidArgument.
    """

    def png() -> tf.Tensor:
        said = graph_metadata.of_png(file)
        depth, kind = tf.unstack(tf.io.decode_raw(tf.strings.substr(file, 24, 2), tf.uint8), 2)

        def shallow() -> tf.Tensor:
            return tf.cond(
                said.transparent | (kind >= GREY_ALPHA),
                lambda: _flat(_transparent_png(file, kind), kind, channels, WHITE, WHITE),
                lambda: in_channels(tf.io.decode_png(file, channels=3)),
            )

        def deep() -> tf.Tensor:
            return _deep_png(file, kind, channels, said.significant_bits, bits)

        return graph_metadata.upright(tf.cond(depth == 16, deep, shallow), said.orientation)

    def jpeg() -> tf.Tensor:
        said = graph_metadata.of_jpeg(file)
        return graph_metadata.upright(in_channels(_jpeg(file)), said.orientation)

    def in_channels(pixels: tf.Tensor) -> tf.Tensor:
        if channels == 3:
            return pixels
        return _in_bands(pixels, lambda band: _luma(tf.cast(band, tf.int32)), 1)

    return tf.cond(kinds(file)[0], png, jpeg)


def decode_eagerly(
    file: tf.Tensor, header: Header, channels: int, bits: int | None = None
) -> tf.Tensor:
    """Decodes one file outside a graph, after Python has read its header, in less time.

    Args:
        file: string (), the bytes of a PNG or JPEG file.
        header: what `headers.read_header` found.
        channels: 1 or 3.
        bits: as for `decode`.

    Returns:
        As `decode`, but not turned upright. Where the rest is done as well in NumPy it is uint8
        (H, W, 3) in colour, or (H, W, 4) where the last channel says what is opaque.
    """
    if header.kind < 0:
        return _jpeg(file)
    if header.depth == 16:
        return _deep_png(file, header.kind, channels, header.significant_bits, bits)
    if header.transparent:
        return _transparent_png(file, header.kind)
    return tf.io.decode_png(file, channels=3)


def size_of(file: tf.Tensor) -> tf.Tensor:
    """Height and width that a PNG or JPEG file claims, int64 (2,); 0 and 0 for other files."""
    is_png, is_jpeg = kinds(file)

    def of_png() -> tf.Tensor:
        digits = tf.io.decode_raw(tf.strings.substr(file, 16, 8), tf.uint8)
        digits = tf.cast(tf.reshape(digits, (2, 4)), tf.int64)
        size = tf.reduce_sum(digits * tf.constant([2**24, 2**16, 2**8, 1], tf.int64), axis=1)
        return tf.reverse(size, [0])

    def of_jpeg() -> tf.Tensor:
        return tf.image.extract_jpeg_shape(file, tf.int64)[:2]

    nothing = tf.zeros((2,), tf.int64)
    return tf.cond(is_png, of_png, lambda: tf.cond(is_jpeg, of_jpeg, lambda: nothing))


def kinds(file: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Whether a file string () begins as a PNG, and whether as a JPEG: bool () each."""
    is_png = tf.strings.substr(file, 0, len(PNG)) == PNG
    is_jpeg = tf.strings.substr(file, 0, len(JPEG)) == JPEG
    return is_png & (tf.strings.length(file) > 32), is_jpeg


def _jpeg(file: tf.Tensor) -> tf.Tensor:
    """uint8 (h, w, 3)."""
    return tf.io.decode_jpeg(file, channels=3, dct_method="INTEGER_ACCURATE")


def _transparent_png(file: tf.Tensor, kind: tf.Tensor | int) -> tf.Tensor:
    """A PNG of 1 to 8 bits with transparent pixels: uint8 (h, w, 4), the last what is opaque."""

    def from_palette() -> tf.Tensor:
        pixels = tf.io.decode_png(file, channels=0)
        pad = 4 - tf.shape(pixels)[2]
        return tf.pad(pixels, [[0, 0], [0, 0], [0, pad]], constant_values=WHITE)

    pixels = tf.cond(kind == PALETTE, from_palette, lambda: tf.io.decode_png(file, channels=4))
    return tf.ensure_shape(pixels, (None, None, 4))


def _deep_png(
    file: tf.Tensor,
    kind: tf.Tensor | int,
    channels: int,
    said: tf.Tensor | int,
    bits: int | None,
) -> tf.Tensor:
    """A PNG of 16 bits: uint8 (h, w, channels).

    `said` is the number of significant bits after the file itself. PNG wants such samples to be
    multiplied so that they fill the 16 bits, but many programs write them as they are.
    """
    pixels = tf.io.decode_png(file, channels=4, dtype=tf.uint16)
    brightest = tf.cast(tf.reduce_max(pixels, axis=(0, 1)), tf.int32)
    colour, alpha = tf.reduce_max(brightest[:3]), brightest[3]

    def by_the_file() -> tf.Tensor:
        largest = tf.bitwise.left_shift(1, said) - 1
        empty = tf.cast(tf.bitwise.left_shift(1, 16 - said) - 1, tf.uint16)
        used = tf.reduce_max(tf.bitwise.bitwise_and(pixels, empty), axis=(0, 1))[:3]
        as_they_are = (colour <= largest) & tf.reduce_any(used > 0)
        return tf.where(as_they_are, largest, FULL_16_BITS)

    says = (said > 8) & (said < 16)
    largest = tf.cond(says, by_the_file, lambda: _largest(colour, bits))
    alpha_largest = tf.where(alpha <= largest, largest, FULL_16_BITS)
    return _flat(pixels, kind, channels, largest, alpha_largest)


def _largest(brightest: tf.Tensor, bits: int | None) -> tf.Tensor:
    """The sample that is white in a 16-bit file which does not say it, int32 ().

    Args:
        brightest: the largest sample of the file, int32 ().
        bits: as for `decode`.
    """
    if bits is None:
        right, expected = (brightest >= SUSPICIOUSLY_DARK) | (brightest == 0), TOO_DARK
    else:
        right, expected = brightest < 2**bits, TOO_LARGE.format(bits=bits)
    with tf.control_dependencies([tf.debugging.Assert(right, [expected, brightest])]):
        return tf.constant(2 ** (bits or 16) - 1)


def _flat(
    pixels: tf.Tensor,
    kind: tf.Tensor | int,
    channels: int,
    largest: tf.Tensor | int,
    alpha_largest: tf.Tensor | int,
) -> tf.Tensor:
    """Lays a picture on white, in 8 bits and in the wanted channels.

    Args:
        pixels: uint8 or uint16 (h, w, 4), the last channel what is opaque.
        kind: PNG's colour type.
        channels: 1 or 3.
        largest: the colour sample that becomes 255.
        alpha_largest: the sample that is opaque.

    Returns:
        uint8 (h, w, channels).
    """
    # Below 8 bits TensorFlow takes the largest sample of the file's own depth for opaque, which is
    # 1 in a black and white file. Without an alpha channel a pixel is transparent or opaque.
    is_either = (kind == GREY) | (kind == COLOUR)

    def change(band: tf.Tensor) -> tf.Tensor:
        values = tf.cast(band, tf.int32)
        colour = (values[..., :3] * WHITE + largest // 2) // largest
        alpha = (values[..., 3:] * WHITE + alpha_largest // 2) // alpha_largest
        alpha = tf.where(is_either & (alpha > 0), WHITE, alpha)
        colour = (colour * alpha + WHITE * (WHITE - alpha) + WHITE // 2) // WHITE
        return _luma(colour) if channels == 1 else colour

    return _in_bands(pixels, change, channels)


def _luma(colour: tf.Tensor) -> tf.Tensor:
    """Grey of colours int32 (…, 3), as Pillow rounds it: int32 (…, 1)."""
    weighted = tf.reduce_sum(colour * tf.constant([19595, 38470, 7471]), axis=-1, keepdims=True)
    return (weighted + 2**15) // 2**16


def _in_bands(
    pixels: tf.Tensor, change: Callable[[tf.Tensor], tf.Tensor], channels: int
) -> tf.Tensor:
    """Changes a picture some rows at a time, so that wide numbers are never held of all of it.

    Args:
        pixels: (h, w, c).
        change: rows (n, w, c) → integers from 0 to 255 (n, w, channels).
        channels: what `change` gives.
    """
    if tf.executing_eagerly() and pixels.shape[0] * pixels.shape[1] <= BAND_PIXELS:
        return tf.cast(change(pixels), tf.uint8)
    height = tf.shape(pixels)[0]
    rows = tf.maximum(BAND_PIXELS // tf.shape(pixels)[1], 1)
    count = (height + rows - 1) // rows
    bands = tf.TensorArray(tf.uint8, count, infer_shape=False, element_shape=(None, None, channels))

    def write(number: tf.Tensor, done: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        band = change(pixels[number * rows : (number + 1) * rows])
        return number + 1, done.write(number, tf.cast(band, tf.uint8))

    _, bands = tf.while_loop(
        lambda number, _: number < count, write, (0, bands), parallel_iterations=1
    )
    return tf.ensure_shape(bands.concat(), (None, None, channels))
