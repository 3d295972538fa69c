"""A network whose robustness can be certified: no layer lengthens the distance of two images."""

from collections.abc import Sequence

import keras

from tfrobust.core.layers import InputNormalization
from tfrobust.errors import InputError
from tfrobust.models.lipschitz_layers import MaxMin, SpaceToDepth, SpatialShift
from tfrobust.models.orthogonal import Orthogonal

STAGES = 4
GROWTH, WIDEST = 4, 8  # of the channels from stage to stage, and at most so many times the first's
SMALLEST_SHIFTED = 4  # in a smaller map a shift loses more than it sees


def lipschitz_network(
    *,
    num_classes: int = 10,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    width: int = 32,
    blocks: int = 1,
    mean: Sequence[float] | None = None,
) -> keras.Model:
    """Makes a network of orthogonal layers, for small images.

    Four stages halve the image, and mix the channels of each pixel by an orthogonal matrix. In each
    stage blocks follow that shift channels by a pixel, mix them, and sort them by `MaxMin`: this is
    a 3×3 convolution that neither lengthens nor shortens anything inside the image. An orthogonal
    dense layer gives the logits. The layers are Keras' own, and `Orthogonal` keeps their weights
    while they are trained. Images whose sides are no multiples of 16 get a
    border of zeros.

    `certify_lipschitz` gives its radii. Train it by `MarginLoss`: the cross-entropy does not know
    that margins matter.

    Args:
        num_classes: K, at least 2.
        input_shape: (H, W, C).
        width: the number of channels in the first stage, an even number.
        blocks: how many blocks a stage has, at least 1.
        mean: of each channel, in units of pixels in [0, 1]; 0.5 when None.

    Returns:
        A functional Keras model: float32 images (B, H, W, C) in [0, 1] → logits (B, K).

    Raises:
        InputError: an argument is out of its range.

    Source: Anil, Lucas, Grosse, arXiv 1811.05381, orthogonal layers and sorted channels; Hu et al.,
    arXiv 2601.18513, shifts in the place of convolutions.
    """
    if num_classes < 2 or blocks < 1 or width < 2 or width % 2:
        raise InputError(
            "expected at least 2 classes and 1 block, and an even width, got "
            f"num_classes={num_classes}, blocks={blocks}, width={width}"
        )
    height, wide, channels = input_shape
    mean = (0.5,) * channels if mean is None else mean
    if len(mean) != channels:
        raise InputError(f"expected a mean for each of {channels} channels, got {mean}")
    images = keras.Input(input_shape, name="images")
    # Half precision would round pixels to fewer than 8 bits, and the loss needs whole logits.
    whole = keras.config.floatx()
    features = InputNormalization(mean, (1.0,) * channels, dtype=whole)(images)
    if height % 2**STAGES or wide % 2**STAGES:
        features = keras.layers.ZeroPadding2D((_border(height), _border(wide)))(features)
    filters = width
    for _ in range(STAGES):
        features = _mixed(SpaceToDepth()(features), filters)
        for _ in range(blocks):
            if min(features.shape[1:3]) >= SMALLEST_SHIFTED:
                features = SpatialShift()(features)
            features = MaxMin()(_mixed(features, filters))
        filters = min(GROWTH * filters, WIDEST * width)
    logits = keras.layers.Dense(
        num_classes,
        kernel_initializer="orthogonal",
        kernel_constraint=Orthogonal(),
        name="logits",
        dtype=whole,
    )(keras.layers.Flatten()(features))
    return keras.Model(images, logits, name="lipschitz")


def _border(side: int) -> tuple[int, int]:
    """How many zeros a side needs before and behind it."""
    missing = -side % 2**STAGES
    return missing // 2, missing - missing // 2


def _mixed(features: keras.KerasTensor, filters: int) -> keras.KerasTensor:
    """The channels of each pixel, mixed by an orthogonal matrix."""
    return keras.layers.Conv2D(
        filters, 1, kernel_initializer="orthogonal", kernel_constraint=Orthogonal()
    )(features)
