"""Random changes of training images. The same seed gives the same images.

All functions but `crop_of_jpeg` change batches of decoded images (B, H, W, C), and keep their shape
and dtype: uint8, or any where nothing is interpolated. A seed is an integer tensor of shape (2,),
as TensorFlow's stateless random operations take it.
"""

import math

import tensorflow as tf

PADDING = 4
MOST_DEGREES, MOST_CONTRAST, MOST_BRIGHTNESS = 7, 1.25, 0.05
AREA_RANGE = (0.08, 1.0)
ASPECT_RANGE = (3 / 4, 4 / 3)


def augment(images: tf.Tensor, augmentation: str, seed: tf.Tensor) -> tf.Tensor:
    """Applies one of the named augmentations to a batch.

    Args:
        images: uint8 (B, H, W, C).
        augmentation: "none"; "flip"; "crop" for `replicate_crop`; "crop_flip" for both;
            "imagenet" for `resized_crop` and `flip`; "radiograph" for `replicate_crop`, `rotate`
            and `contrast`, without a flip, as the body's sides differ.
        seed: int64 (2,).

    Returns:
        uint8 (B, H, W, C).
    """
    crop_seed, flip_seed = tf.unstack(tf.random.split(seed, 2))
    if augmentation in ("crop", "crop_flip", "radiograph"):
        images = replicate_crop(images, crop_seed)
    if augmentation == "radiograph":
        rotate_seed, contrast_seed = tf.unstack(tf.random.split(flip_seed, 2))
        images = contrast(rotate(images, rotate_seed), contrast_seed)
    if augmentation == "imagenet":
        images = resized_crop(images, crop_seed)
    if augmentation in ("flip", "crop_flip", "imagenet"):
        images = flip(images, flip_seed)
    return images


def replicate_crop(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Shifts each image by up to 4 pixels in each direction, and repeats its edge pixels.

    The result is that of padding by 4 with the edge's values and cropping at random.
    """
    offsets = tf.random.stateless_uniform(
        (tf.shape(images)[0], 2), seed, -PADDING, PADDING + 1, dtype=tf.int32
    )
    return shift(images, offsets)


def shift(images: tf.Tensor, offsets: tf.Tensor) -> tf.Tensor:
    """Shifts each image by its own offset.

    Pixel (y, x) of image b becomes its pixel (y + offsets[b, 0], x + offsets[b, 1]), or the nearest
    edge pixel if that lies outside.

    Args:
        images: (B, H, W, C), any dtype.
        offsets: int32 (B, 2), in pixels.

    Returns:
        As `images`.
    """
    height, width = tf.shape(images)[1], tf.shape(images)[2]
    rows = tf.clip_by_value(tf.range(height) + offsets[:, :1], 0, height - 1)
    columns = tf.clip_by_value(tf.range(width) + offsets[:, 1:], 0, width - 1)
    shifted = tf.gather(images, rows, axis=1, batch_dims=1)
    shifted = tf.gather(shifted, columns, axis=2, batch_dims=1)
    return tf.ensure_shape(shifted, images.shape)


def flip(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Mirrors each image left to right with probability one half."""
    chosen = tf.random.stateless_uniform((tf.shape(images)[0], 1, 1, 1), seed) < 0.5
    return tf.where(chosen, tf.reverse(images, axis=[2]), images)


def rotate(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Turns each image about its middle by up to 7 degrees either way, and repeats edge pixels."""
    most = MOST_DEGREES * math.pi / 180
    angles = tf.random.stateless_uniform((tf.shape(images)[0],), seed, -most, most)
    return turned(images, angles)


def turned(images: tf.Tensor, angles: tf.Tensor) -> tf.Tensor:
    """Turns images uint8 (B, H, W, C) clockwise by angles float32 (B,), in radians."""
    shape = tf.shape(images)
    bottom, right = (tf.cast(side - 1, tf.float32) for side in (shape[1], shape[2]))
    sine, cosine, zero = tf.sin(angles), tf.cos(angles), tf.zeros_like(angles)
    # Pixel (x, y) of the result is taken from (cos·x + sin·y + a, −sin·x + cos·y + b).
    across = (right - (cosine * right + sine * bottom)) / 2
    down = (bottom - (cosine * bottom - sine * right)) / 2
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(images, tf.float32),
        transforms=tf.stack([cosine, sine, across, -sine, cosine, down, zero, zero], axis=1),
        output_shape=shape[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )
    return tf.ensure_shape(tf.cast(tf.round(moved), images.dtype), images.shape)


def contrast(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Multiplies differences to an image's mean by 0.8 to 1.25, and shifts it by up to 5 %."""
    drawn = tf.random.stateless_uniform((2, tf.shape(images)[0], 1, 1, 1), seed, -1.0, 1.0)
    factor, shift_by = MOST_CONTRAST ** drawn[0], MOST_BRIGHTNESS * 255 * drawn[1]
    pixels = tf.cast(images, tf.float32)
    mean = tf.reduce_mean(pixels, axis=(1, 2, 3), keepdims=True)
    changed = tf.round((pixels - mean) * factor + mean + shift_by)
    return tf.cast(tf.clip_by_value(changed, 0.0, 255.0), images.dtype)


def resized_crop(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Crops each image to a random window of 8 to 100 % of its area and resizes it back."""
    count, height, width, _ = tf.unstack(tf.shape(images))
    windows = tf.map_fn(
        lambda own_seed: random_window(height, width, own_seed),
        tf.random.split(seed, count),
        fn_output_signature=tf.TensorSpec((4,), tf.int32),
    )
    # crop_and_resize takes the centres of the first and the last pixel, as fractions of size − 1.
    first, size = tf.cast(windows[:, :2], tf.float32), tf.cast(windows[:, 2:], tf.float32)
    extent = tf.cast(tf.stack([height, width]), tf.float32) - 1
    boxes = tf.concat([first / extent, (first + size - 1) / extent], axis=1)
    crops = tf.image.crop_and_resize(images, boxes, tf.range(count), (height, width))
    return tf.ensure_shape(tf.cast(tf.round(crops), images.dtype), images.shape)


def crop_of_jpeg(
    encoded: tf.Tensor, channels: int, size: tuple[int, int], seed: tf.Tensor
) -> tf.Tensor:
    """Does what `resized_crop` does for a JPEG file, of which only the window is decoded.

    Args:
        encoded: string (), the file's bytes.
        channels: 1 or 3.
        size: height and width of the result, in pixels.
        seed: integer (2,).

    Returns:
        uint8 (*size, channels).
    """
    shape = tf.image.extract_jpeg_shape(encoded)
    window = random_window(shape[0], shape[1], seed)
    return resize(tf.image.decode_and_crop_jpeg(encoded, window, channels=channels), size)


def random_window(height: tf.Tensor, width: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draws a window of 8 to 100 % of an image's area, with an aspect between 3/4 and 4/3.

    Args:
        height: int32 (), in pixels.
        width: int32 (), in pixels.
        seed: integer (2,).

    Returns:
        int32 (4,): first row, first column, height, width. It is the whole image if none of ten
        draws fits into it.
    """
    begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        tf.stack([height, width, 1]),
        tf.zeros((1, 0, 4)),
        seed,
        aspect_ratio_range=ASPECT_RANGE,
        area_range=AREA_RANGE,
        max_attempts=10,
        use_image_if_no_bounding_boxes=True,
    )
    return tf.concat([begin[:2], size[:2]], axis=0)


def central_window(height: tf.Tensor, width: tf.Tensor, fraction: float) -> tf.Tensor:
    """The middle square whose side is a fraction of the shorter side.

    Args:
        height: int32 (), in pixels.
        width: int32 (), in pixels.
        fraction: in (0, 1].

    Returns:
        int32 (4,): first row, first column, height, width.
    """
    shorter = tf.cast(tf.minimum(height, width), tf.float32)
    side = tf.maximum(tf.cast(tf.round(fraction * shorter), tf.int32), 1)
    return tf.stack([(height - side) // 2, (width - side) // 2, side, side])


def cut(image: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
    """The window int32 (4,) (row, column, height, width) of an image (H, W, C)."""
    return tf.slice(image, tf.concat([window[:2], [0]], 0), tf.concat([window[2:], [-1]], 0))


def resize(image: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Resizes one image or a batch bilinearly. Images that shrink are smoothed before.

    Args:
        image: uint8 (..., H, W, C).
        size: height and width wanted, in pixels.

    Returns:
        uint8 (..., *size, C).
    """
    return tf.cast(tf.round(tf.image.resize(image, size, antialias=True)), tf.uint8)
