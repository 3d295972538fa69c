"""Files to images inside an exported model, as folders and programs read and fit them.

The pixels are those of `datasets.pictures.read` and `datasets.resizing.fit`. PNG and JPEG are
decoded; other formats, which TensorFlow cannot decode in a graph, are refused in words.
"""

import tensorflow as tf

from tfrobust.datasets.graph_decoding import decode, kinds, size_of
from tfrobust.datasets.graph_resizing import fit
from tfrobust.datasets.names import Fit

MOST_BYTES = 20 * 2**20
MOST_PIXELS = 50_000_000
MOST_PIXELS_OF_ALL = 4 * MOST_PIXELS


def decoded(
    encoded: tf.Tensor,
    size: tuple[int, int],
    channels: int,
    bits: int | None = None,
    how: Fit = "crop",
) -> tf.Tensor:
    """Decodes files, and brings each to a size.

    The files are decoded one after the other, so that only one whole picture is held at a time.

    Args:
        encoded: string (B,), each the bytes of a PNG or JPEG file of at most 20 MB and 50
            megapixels; together at most 200 megapixels.
        size: height and width in pixels.
        channels: 1 or 3.
        bits: how many bits of a 16-bit sample carry the picture, where a file does not say it;
            None: all 16, and files that are so dark that they may have fewer are refused.
        how: "crop" or "letterbox", as for `resizing.fit`.

    Returns:
        float32 (B, H, W, channels) in [0, 1]. What cannot be decoded ends the graph with
        InvalidArgument, which says what was expected.
    """
    with tf.device("CPU:0"):
        images = tf.map_fn(
            lambda file: fit(decode(file, channels, bits=bits), size, how),
            _within_budget(encoded),
            parallel_iterations=1,
            fn_output_signature=tf.TensorSpec((*size, channels), tf.uint8),
        )
        return tf.cast(images, tf.float32) / 255


def _within_budget(encoded: tf.Tensor) -> tf.Tensor:
    """The files, which end the graph where they are too large: told before any is decoded."""
    sizes = tf.map_fn(
        _size,
        encoded,
        parallel_iterations=1,
        fn_output_signature=tf.TensorSpec((2,), tf.int64),
    )
    # The product of two sides of up to 2**32 pixels would not fit into 64 bits.
    pixels = tf.reduce_prod(tf.minimum(sizes, MOST_PIXELS + 1), axis=1)
    each = tf.debugging.Assert(
        tf.reduce_all((pixels > 0) & (pixels <= MOST_PIXELS)),
        [f"expected pictures of at most {MOST_PIXELS} pixels, got heights and widths:", sizes],
    )
    with tf.control_dependencies([each]):
        together = tf.debugging.Assert(
            tf.reduce_sum(pixels) <= MOST_PIXELS_OF_ALL,
            [f"expected at most {MOST_PIXELS_OF_ALL} pixels in all pictures together, got:", sizes],
        )
    with tf.control_dependencies([together]):
        return tf.identity(encoded)


def _size(file: tf.Tensor) -> tf.Tensor:
    """Height and width that a file claims, int64 (2,)."""
    length = tf.strings.length(file)
    is_png, is_jpeg = kinds(file)
    fits = tf.debugging.Assert(
        (is_png | is_jpeg) & (length <= MOST_BYTES),
        [
            f"expected a PNG or JPEG file of at most {MOST_BYTES} bytes (other formats, such as "
            "DICOM, must be converted before), got bytes:",
            length,
        ],
    )
    with tf.control_dependencies([fits]):
        return size_of(file)
