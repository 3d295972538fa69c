"""`resizing.fit` in TensorFlow's operations, for exported models. It gives the same pixels.

Pillow's resampling works with whole numbers: it multiplies its weights by 2**22, adds up weighted
bytes in 32 bits, and rounds after each side. The graph repeats this exactly.
"""

import tensorflow as tf

from tfrobust.datasets.names import Fit

WEIGHT_BITS = 22


def fit(image: tf.Tensor, size: tuple[int, int], how: Fit = "crop") -> tf.Tensor:
    """Brings an image to a size and keeps its aspect.

    Args:
        image: uint8 (H, W, C).
        size: the wanted height and width, in pixels.
        how: "crop" or "letterbox", as for `resizing.fit`.

    Returns:
        uint8 (*size, C), smoothed where it shrinks.
    """
    own = tf.cast(tf.shape(image)[:2], tf.float64)
    if how == "letterbox":
        return _letterboxed(image, own, size)
    scale = tf.reduce_min(own / tf.constant(size, tf.float64))
    low = tf.maximum((own - scale * size) / 2, 0.0)
    high = tf.minimum(low + scale * size, own)
    # The margin is as in `resizing._span`.
    margin = tf.math.ceil(tf.maximum(scale, 1.0)) + 1
    start = tf.maximum(tf.floor(low) - margin, 0.0)
    stop = tf.minimum(tf.math.ceil(high) + margin, own)
    (top, left), (bottom, right) = _whole(start), _whole(stop)
    image = image[top:bottom, left:right]
    low, high = low - start, high - start
    image = _resized(image, 1, low[1], high[1], size[1])
    image = _resized(image, 0, low[0], high[0], size[0])
    return tf.ensure_shape(image, (*size, image.shape[-1]))


def _letterboxed(image: tf.Tensor, own: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    scale = tf.reduce_max(own / tf.constant(size, tf.float64))
    inner = _whole(tf.maximum(tf.round(own / scale), 1.0))
    zero = tf.zeros((), tf.float64)
    image = _resized(image, 1, zero, own[1], inner[1])
    image = _resized(image, 0, zero, own[0], inner[0])
    top, left = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    image = tf.image.pad_to_bounding_box(image, top, left, *size)
    return tf.ensure_shape(image, (*size, image.shape[-1]))


def _whole(numbers: tf.Tensor) -> list[tf.Tensor]:
    return tf.unstack(tf.cast(numbers, tf.int32))


def _resized(
    image: tf.Tensor, axis: int, low: tf.Tensor, high: tf.Tensor, wanted: int | tf.Tensor
) -> tf.Tensor:
    """Resizes one side: each new pixel is a weighted sum of old ones.

    Args:
        image: uint8 (H, W, C).
        axis: 0 for the height, 1 for the width.
        low: where the part to resize begins, float64 (), in pixels.
        high: where it ends.
        wanted: the size to reach, in pixels.
    """
    first, weights = _weights(tf.shape(image)[axis], low, high, wanted)
    last = tf.shape(image)[axis] - 1
    along = [-1, 1, 1] if axis == 0 else [1, -1, 1]

    def add(tap: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pixels = tf.gather(image, tf.minimum(first + tap, last), axis=axis)
        return tap + 1, total + tf.cast(pixels, tf.int32) * tf.reshape(weights[tap], along)

    height, width, channels = tf.unstack(tf.shape(image))
    shape = (wanted, width, channels) if axis == 0 else (height, wanted, channels)
    half = tf.fill(shape, 2 ** (WEIGHT_BITS - 1))
    # One tap at a time, so that no more than one copy of the sum is held.
    _, total = tf.while_loop(
        lambda tap, _: tap < tf.shape(weights)[0],
        add,
        (0, half),
        shape_invariants=(tf.TensorShape(()), tf.TensorShape((None, None, None))),
        parallel_iterations=1,
    )
    resized = tf.clip_by_value(tf.bitwise.right_shift(total, WEIGHT_BITS), 0, 255)
    return tf.ensure_shape(tf.cast(resized, tf.uint8), (None, None, image.shape[-1]))


def _weights(
    own: tf.Tensor, low: tf.Tensor, high: tf.Tensor, wanted: int | tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Which pixels each new pixel is made of, as Pillow's `precompute_coeffs` has it.

    Returns:
        The first old pixel of each new one, int32 (wanted,), and the weights of it and those that
        follow, int32 (taps, wanted), in units of 2**-22.
    """
    # Pillow keeps the box in single precision and computes the rest in double precision.
    low, high = tf.cast(low, tf.float32), tf.cast(high, tf.float32)
    scale = tf.cast(high - low, tf.float64) / tf.cast(wanted, tf.float64)
    reach = tf.maximum(scale, 1.0)
    centre = tf.cast(low, tf.float64) + (tf.cast(tf.range(wanted), tf.float64) + 0.5) * scale
    first = tf.maximum(tf.cast(centre - reach + 0.5, tf.int32), 0)
    stop = tf.minimum(tf.cast(centre + reach + 0.5, tf.int32), own)
    place = first + tf.range(tf.reduce_max(stop - first))[:, None]
    distance = (tf.cast(place, tf.float64) - centre + 0.5) * (1 / reach)
    weights = tf.maximum(1 - tf.abs(distance), 0.0)
    weights = tf.where(place < stop, weights, tf.zeros_like(weights))
    weights /= tf.reduce_sum(weights, axis=0)
    return first, tf.cast(weights * 2**WEIGHT_BITS + 0.5, tf.int32)
