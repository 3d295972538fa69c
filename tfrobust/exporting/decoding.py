"""Decodes PNG and JPEG files inside a TensorFlow graph, as `datasets.pictures` does outside.

A picture's size is read from the file's first bytes before anything is decoded, so a file of a few
kilobytes cannot fill gigabytes. Two things differ from `datasets.pictures`: the EXIF orientation is
not applied, and of 16 bits a pixel the lower 8 are dropped.
"""

import tensorflow as tf

MOST_BYTES = 20 * 2**20
MOST_PIXELS = 50_000_000
PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
# Pillow uses the luma of ITU-R 601, too.
LUMA = (0.299, 0.587, 0.114)


def decoded(encoded: tf.Tensor, size: tuple[int, int], channels: int) -> tf.Tensor:
    """Decodes files and resizes each picture without distorting it, keeping its middle.

    Args:
        encoded: string (B,), the bytes of PNG or JPEG files of at most 20 MB and 50 megapixels.
        size: height and width of the result, in pixels.
        channels: 1 or 3.

    Returns:
        float32 (B, H, W, channels) in [0, 1]. If a file is no picture or is too large, the graph
        fails with InvalidArgument, whose message says what was expected.
    """
    return tf.map_fn(
        lambda file: _decoded(file, size, channels),
        encoded,
        fn_output_signature=tf.TensorSpec((*size, channels), tf.float32),
    )


def _decoded(file: tf.Tensor, size: tuple[int, int], channels: int) -> tf.Tensor:
    length = tf.strings.length(file)
    is_png = tf.strings.substr(file, 0, len(PNG)) == PNG
    is_jpeg = tf.strings.substr(file, 0, len(JPEG)) == JPEG
    fits = tf.debugging.Assert(
        (length <= MOST_BYTES) & ((is_png & (length > 24)) | is_jpeg),
        [f"expected a PNG or JPEG file of at most {MOST_BYTES} bytes, got bytes:", length],
    )
    with tf.control_dependencies([fits]):
        height, width = tf.cond(is_png, lambda: _png_size(file), lambda: _jpeg_size(file))
    small = tf.debugging.Assert(
        (height > 0)
        & (width > 0)
        & (tf.cast(height, tf.int64) * tf.cast(width, tf.int64) <= MOST_PIXELS),
        [f"expected a picture of at most {MOST_PIXELS} pixels, got height, width:", height, width],
    )
    with tf.control_dependencies([small]):
        pixels = tf.cond(is_png, lambda: _png(file), lambda: _jpeg(file))
    if channels == 1:
        pixels = tf.reduce_sum(pixels * LUMA, axis=-1, keepdims=True)
    return tf.round(_fit(tf.round(pixels), size)) / 255


def _png_size(file: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Height and width, int32, from a PNG's first chunk, where they are big-endian."""
    parts = tf.cast(tf.io.decode_raw(tf.strings.substr(file, 16, 8), tf.uint8), tf.int64)
    weights = tf.constant([2**24, 2**16, 2**8, 1], tf.int64)
    # A size that int32 cannot hold is refused later in any case.
    width, height = (
        tf.cast(tf.minimum(tf.reduce_sum(part * weights), 2**31 - 1), tf.int32)
        for part in (parts[:4], parts[4:])
    )
    return height, width


def _jpeg_size(file: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    shape = tf.image.extract_jpeg_shape(file)
    return shape[0], shape[1]


def _png(file: tf.Tensor) -> tf.Tensor:
    """float32 (h, w, 3), 0 to 255. Transparent pixels are laid on white."""
    pixels = tf.cast(tf.io.decode_png(file, channels=4), tf.float32)
    opaque = pixels[..., 3:] / 255
    return pixels[..., :3] * opaque + 255 * (1 - opaque)


def _jpeg(file: tf.Tensor) -> tf.Tensor:
    """float32 (h, w, 3), 0 to 255."""
    pixels = tf.io.decode_jpeg(file, channels=3, dct_method="INTEGER_ACCURATE")
    return tf.cast(pixels, tf.float32)


def _fit(pixels: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Scales the picture until it covers the size, and keeps its middle."""
    wanted = tf.constant(size, tf.float32)
    own = tf.cast(tf.shape(pixels)[:2], tf.float32)
    scale = tf.reduce_max(wanted / own)
    resized = tf.raw_ops.ScaleAndTranslate(
        images=pixels[None],
        size=tf.constant(size),
        scale=tf.stack([scale, scale]),
        translation=(wanted - own * scale) / 2,
        kernel_type="triangle",
        antialias=True,
    )
    return tf.ensure_shape(resized[0], (*size, pixels.shape[-1]))
