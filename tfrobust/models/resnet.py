"""Pre-activation ResNets (arXiv 1603.05027), for small and for large images."""

from collections.abc import Sequence

import keras

from tfrobust.core.layers import HalfHuberReLU, InputNormalization
from tfrobust.errors import InputError
from tfrobust.models.attention import AttentionPooling
from tfrobust.models.dropped_branch import ShakeDrop, StochasticDepth
from tfrobust.models.names import ACTIVATIONS, DROPS, Drop

DROP_LAYERS = {"stochastic_depth": StochasticDepth, "shake_drop": ShakeDrop}
IMAGENET_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}


def resnet_cifar(
    *,
    depth: int = 44,
    num_classes: int = 10,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    width: int = 16,
    stem_stride: int = 1,
    activation: str = "half_huber_relu",
    attention: bool = False,
    drop: Drop = "none",
    drop_rate: float = 0.5,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    synchronized: bool = False,
) -> keras.Model:
    """Makes a pre-activation ResNet for small images, like the paper's networks for CIFAR-10.

    It begins with a 3×3 convolution to `width` channels. Three groups of (depth − 2)/6 blocks
    follow, with width, 2·width and 4·width channels; the second and the third begin with stride 2.
    It ends with batch normalisation, activation, average pool and a 1×1 convolution with bias to
    the logits. The last convolution of every block starts at zero.

    Args:
        depth: the number of layers, 6n + 2: 8, 14, 20, 26, 32, 38, 44, …
        num_classes: K, at least 2.
        input_shape: (H, W, C).
        width: the number of channels in the first group.
        stem_stride: of the first convolution. With 2, everything behind it costs a fourth, which
            pays for twice the width.
        activation: "half_huber_relu", "relu", "silu" or "gelu".
        attention: whether places are weighted by `AttentionPooling` instead of equally.
        drop: what becomes of the blocks' branches at random while the network trains: "none",
            "stochastic_depth" or "shake_drop" (`StochasticDepth`, `ShakeDrop`).
        drop_rate: how often the last block's branch is dropped, from 0 to below 1; earlier blocks
            drop theirs more rarely, in proportion to their number.
        mean: of each channel, in units of pixels in [0, 1]; 0.5 when None.
        std: the standard deviation of each channel, likewise; 0.25 when None.
        synchronized: whether batch statistics are taken over all replicas of a strategy.

    Returns:
        A functional Keras model: float32 images (B, H, W, C) in [0, 1] → logits (B, K).

    Raises:
        InputError: an argument is out of its range.
    """
    if depth < 8 or (depth - 2) % 6:
        raise InputError(f"expected a depth of 6n + 2 (8, 14, 20, …), got {depth}")
    if stem_stride not in (1, 2):
        raise InputError(f"expected a stem_stride of 1 or 2, got {stem_stride}")
    blocks = (depth - 2) // 6
    build = _Builder(activation, synchronized, drop, drop_rate, 3 * blocks)
    images, features = _normalized_input(input_shape, mean, std)
    features = build.conv(features, width, 3, stem_stride)
    for group in range(3):
        for block in range(blocks):
            stride = 2 if group > 0 and block == 0 else 1
            features = build.basic_block(features, width * 2**group, stride, shortcut_size=3)
    features = build.norm_activation(features)
    return _head(images, features, num_classes, attention, f"resnet{depth}")


def resnet_imagenet(
    *,
    depth: int = 50,
    num_classes: int = 1000,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    width: int = 64,
    activation: str = "half_huber_relu",
    attention: bool = False,
    drop: Drop = "none",
    drop_rate: float = 0.5,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    synchronized: bool = False,
) -> keras.Model:
    """Makes a pre-activation ResNet for large images, with 18, 34 or 50 layers.

    It begins with a 7×7 convolution of stride 2 and a 3×3 pool of stride 2. Four groups of blocks
    follow: basic ones for 18 and 34 layers, bottlenecks for 50. The pool averages, as the gradient
    penalty differentiates twice and does not see the corners of a maximum. The paper does not
    describe an architecture for ImageNet in detail. This one is our choice.

    Args:
        depth: 18, 34 or 50.

    The others are those of `resnet_cifar`.

    Returns:
        A functional Keras model: float32 images (B, H, W, C) in [0, 1] → logits (B, K).

    Raises:
        InputError: an argument is out of its range.
    """
    if depth not in IMAGENET_BLOCKS:
        raise InputError(f"expected a depth of {sorted(IMAGENET_BLOCKS)}, got {depth}")
    build = _Builder(activation, synchronized, drop, drop_rate, sum(IMAGENET_BLOCKS[depth]))
    images, features = _normalized_input(input_shape, mean, std)
    features = build.conv(features, width, 7, stride=2)
    features = keras.layers.ZeroPadding2D(1)(features)
    features = keras.layers.AveragePooling2D(3, strides=2)(features)
    block_of = build.bottleneck_block if depth == 50 else build.basic_block
    for group, blocks in enumerate(IMAGENET_BLOCKS[depth]):
        for block in range(blocks):
            stride = 2 if group > 0 and block == 0 else 1
            features = block_of(features, width * 2**group, stride, shortcut_size=1)
    features = build.norm_activation(features)
    return _head(images, features, num_classes, attention, f"resnet{depth}_imagenet")


class _Builder:
    """The parts that both kinds of ResNet are made of."""

    def __init__(
        self, activation: str, synchronized: bool, drop: str, drop_rate: float, blocks: int
    ) -> None:
        if activation not in ACTIVATIONS:
            raise InputError(f"expected an activation of {ACTIVATIONS}, got {activation!r}")
        if drop not in DROPS or not 0 <= drop_rate < 1:
            raise InputError(
                f"expected a drop of {DROPS} and a drop_rate from 0 to below 1, got {drop!r} and "
                f"{drop_rate}"
            )
        self.activation = activation
        self.synchronized = synchronized
        self.drop, self.drop_rate, self.blocks = DROP_LAYERS.get(drop), drop_rate, blocks
        self.block = 0

    def conv(
        self,
        features: keras.KerasTensor,
        channels: int,
        size: int,
        stride: int = 1,
        zero: bool = False,
    ) -> keras.KerasTensor:
        if stride > 1 and size > 1:
            # Keras' "same" pads strided convolutions unevenly. The published weights expect the
            # same number of zeros on every side.
            features = keras.layers.ZeroPadding2D(size // 2)(features)
        return keras.layers.Conv2D(
            channels,
            size,
            strides=stride,
            padding="valid" if stride > 1 else "same",
            use_bias=False,
            kernel_initializer="zeros" if zero else "he_uniform",
        )(features)

    def norm_activation(self, features: keras.KerasTensor) -> keras.KerasTensor:
        features = keras.layers.BatchNormalization(
            momentum=0.9, epsilon=1e-5, synchronized=self.synchronized
        )(features)
        if self.activation == "relu":
            return keras.layers.ReLU()(features)
        if self.activation == "half_huber_relu":
            return HalfHuberReLU()(features)
        return keras.layers.Activation(self.activation)(features)

    def basic_block(
        self, features: keras.KerasTensor, channels: int, stride: int, shortcut_size: int
    ) -> keras.KerasTensor:
        active = self.norm_activation(features)
        shortcut = self._shortcut(features, active, channels, stride, shortcut_size)
        inner = self.conv(active, channels, 3, stride)
        inner = self.conv(self.norm_activation(inner), channels, 3, zero=True)
        return keras.layers.Add()([shortcut, self._dropped(inner)])

    def bottleneck_block(
        self, features: keras.KerasTensor, channels: int, stride: int, shortcut_size: int
    ) -> keras.KerasTensor:
        active = self.norm_activation(features)
        shortcut = self._shortcut(features, active, 4 * channels, stride, shortcut_size)
        inner = self.conv(active, channels, 1)
        inner = self.conv(self.norm_activation(inner), channels, 3, stride)
        inner = self.conv(self.norm_activation(inner), 4 * channels, 1, zero=True)
        return keras.layers.Add()([shortcut, self._dropped(inner)])

    def _dropped(self, branch: keras.KerasTensor) -> keras.KerasTensor:
        """The next block's branch, with the layer that drops it."""
        self.block += 1
        if self.drop is None:
            return branch
        return self.drop(1 - self.drop_rate * self.block / self.blocks)(branch)

    def _shortcut(
        self,
        features: keras.KerasTensor,
        active: keras.KerasTensor,
        channels: int,
        stride: int,
        size: int,
    ) -> keras.KerasTensor:
        if stride == 1 and features.shape[-1] == channels:
            return features
        return self.conv(active, channels, size, stride)


def _normalized_input(
    input_shape: tuple[int, int, int],
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    channels = input_shape[-1]
    images = keras.Input(input_shape, name="images")
    normalize = InputNormalization(
        (0.5,) * channels if mean is None else mean,
        (0.25,) * channels if std is None else std,
        # Half precision would round pixels to fewer than 8 bits.
        dtype=keras.config.floatx(),
    )
    if len(normalize.mean) != channels:
        raise InputError(f"expected a mean for each of {channels} channels, got {mean}")
    return images, normalize(images)


def _head(
    images: keras.KerasTensor,
    features: keras.KerasTensor,
    num_classes: int,
    attention: bool,
    name: str,
) -> keras.Model:
    if num_classes < 2:
        raise InputError(f"expected at least 2 classes, got {num_classes}")
    # The loss and the penalty need float32 or float64, whatever the precision policy is.
    whole = keras.config.floatx()
    pool = (
        AttentionPooling(dtype=whole)
        if attention
        else keras.layers.GlobalAveragePooling2D(keepdims=True, dtype=whole)
    )
    features = pool(features)
    logits = keras.layers.Conv2D(num_classes, 1, kernel_initializer="he_uniform", dtype=whole)(
        features
    )
    logits = keras.layers.Flatten(name="logits", dtype=whole)(logits)
    return keras.Model(images, logits, name=name)
