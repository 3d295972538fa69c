"""Small classifiers in every form that people bring, each with the plain network that it equals."""

import functools
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from keras import layers

import tfrobust
from tfrobust.core.opaque import Opaque

SHAPE = (8, 6, 1)
# The extra torch gives ONNX files gradients.
ONNX_IS_OPAQUE = find_spec("onnx2torch") is None
FILTERS, CLASSES = 5, 3


@functools.cache
def weights(channels: int = 1, outputs: int = CLASSES) -> list[np.ndarray]:
    """Of the convolution and the dense layer: kernels and biases."""
    rng = np.random.default_rng(4)
    shapes = [(3, 3, channels, FILTERS), (FILTERS,), (FILTERS * 6 * 4, outputs), (outputs,)]
    return [rng.normal(0, 0.5, shape).astype(np.float32) for shape in shapes]


def with_weights(network: Any, held: list[np.ndarray] | None = None) -> Any:
    """The network with the weights of `plain`, whatever else it holds."""
    arrays = iter(held or weights())
    for layer in network._flatten_layers(include_self=False):
        if isinstance(layer, layers.Conv2D | layers.Dense):
            layer.set_weights([next(arrays), next(arrays)])
    return network


def parts(activation: Any = None, outputs: int = CLASSES) -> list[layers.Layer]:
    return [
        layers.Conv2D(FILTERS, 3, activation="softplus"),
        layers.Flatten(),
        layers.Dense(outputs, activation=activation),
    ]


def sequential(*before: layers.Layer, activation: Any = None, images: Any = None) -> keras.Model:
    made = [keras.Input(SHAPE) if images is None else images, *before, *parts(activation)]
    return with_weights(keras.Sequential(made, name="sequential"))


def plain() -> keras.Model:
    """The network that most others are."""
    return sequential()


def of_channels(channels: int, outputs: int = CLASSES, activation: Any = None) -> keras.Model:
    made = [keras.Input((*SHAPE[:2], channels)), *parts(activation, outputs)]
    return with_weights(keras.Sequential(made), weights(channels, outputs))


def of_labels(shape: tuple[int, int, int], seed: int) -> keras.Model:
    """Three labels that a linear network decides, so that distances to decisions are known."""
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [keras.Input(shape), layers.Flatten(), layers.Dense(3, activation="sigmoid")]
    )


def functional(after: Callable[[Any], Any] | None = None) -> keras.Model:
    images = keras.Input(SHAPE)
    outputs = images
    for part in parts():
        outputs = part(outputs)
    return with_weights(keras.Model(images, after(outputs) if after else outputs))


def nested() -> keras.Model:
    images = keras.Input(SHAPE)
    return keras.Model(images, sequential(activation="softmax")(images))


@keras.saving.register_keras_serializable(package="tests")
class Subclassed(keras.Model):
    """Written as many are: what it ends in is out of sight."""

    def __init__(self, ends: str = "linear", outputs: int = CLASSES, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.parts = parts(None, outputs)
        self.dropout = layers.Dropout(0.5)
        self.end = keras.activations.get(ends)

    def call(self, images: Any, training: bool | None = None) -> Any:
        convolution, flatten, dense = self.parts
        return self.end(dense(self.dropout(flatten(convolution(images)), training=training)))


def subclassed(ends: str = "linear", outputs: int = CLASSES) -> keras.Model:
    network = Subclassed(ends, outputs)
    network(np.zeros((1, *SHAPE), np.float32))
    return with_weights(network, weights(1, outputs))


def regularised() -> keras.Model:
    """Layers that are only for training. Keras has augmentation on when nothing is said."""
    return sequential(
        layers.RandomFlip("vertical"),
        layers.RandomContrast(0.9),
        layers.RandomRotation(0.2),
        layers.GaussianNoise(0.5),
        layers.Dropout(0.5),
    )


def in_policy(policy: str, make: Callable[[], keras.Model]) -> keras.Model:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        return make()
    finally:
        keras.config.set_dtype_policy(before)


def of_bytes() -> keras.Model:
    """Pixels from 0 to 255, as its weights alone know."""
    kernel, *others = weights()
    return with_weights(keras.Sequential([keras.Input(SHAPE), *parts()]), [kernel / 255, *others])


def normalized() -> keras.Model:
    """Standardises bytes, and takes that back, so that it equals `plain`."""
    mean, variance = 120.0, 60.0**2
    kernel, bias, *others = weights()
    kernel = kernel * np.float32(60 / 255)
    bias = bias + weights()[0].sum(axis=(0, 1, 2)) * np.float32(120 / 255)
    made = [layers.Normalization(mean=mean, variance=variance), *parts()]
    return with_weights(keras.Sequential([keras.Input(SHAPE), *made]), [kernel, bias, *others])


def channels_first() -> keras.Model:
    height, width, _ = SHAPE
    kernel, bias, dense, last = weights()
    dense = dense.reshape(height - 2, width - 2, FILTERS, CLASSES).transpose(2, 0, 1, 3)
    made = [
        keras.Input((1, height, width)),
        layers.Conv2D(FILTERS, 3, activation="softplus", data_format="channels_first"),
        layers.Flatten(),
        layers.Dense(CLASSES, activation="softmax"),
    ]
    held = [kernel, bias, dense.reshape(-1, CLASSES), last]
    return with_weights(keras.Sequential(made), held)


def pooling(size: tuple[int | None, int | None], activation: Any = None) -> keras.Model:
    """Takes images of any size."""
    made = [
        layers.Conv2D(FILTERS, 3, activation="softplus"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(CLASSES, activation=activation),
    ]
    held = [*weights()[:2], 4 * weights()[2][:FILTERS], weights()[3]]
    return with_weights(keras.Sequential([keras.Input((*size, 1)), *made]), held)


def attending(activation: Any = None) -> keras.Model:
    """A transformer's block over patches."""
    keras.utils.set_random_seed(6)
    images = keras.Input(SHAPE)
    patches = layers.Reshape((12, 4))(layers.Conv2D(4, 2, strides=2)(images))
    patches += layers.MultiHeadAttention(2, 4)(patches, patches)
    pooled = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(patches))
    return keras.Model(images, layers.Dense(CLASSES, activation=activation)(pooled))


def inferring(network: keras.Model, end: Callable[[Any], Any] | None = None) -> Callable[..., Any]:
    """The network as a function of TensorFlow."""

    def function(images: tf.Tensor) -> tf.Tensor:
        values = network(images, training=False)
        return end(values) if end else values

    return function


def answering(network: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """The network as a function of NumPy."""
    return lambda images: np.asarray(network(images, training=False))


class Method:
    """An object whose method is the network."""

    def __init__(self) -> None:
        self.network = plain()

    def logits(self, images: tf.Tensor) -> tf.Tensor:
        return self.network(images, training=False)


def saved_model(
    folder: Path, network: keras.Model, name: str = "logits", batch: int | None = None
) -> Any:
    """As tf.saved_model.save writes a function's signature; → what is read back."""
    module = tf.Module()
    module.weights = [variable.value for variable in network.variables]
    spec = tf.TensorSpec((batch, *network.input_shape[1:]), tf.float32, "images")
    served = tf.function(lambda images: {name: network(images)}, input_signature=[spec])
    tf.saved_model.save(module, str(folder / "saved"), signatures={"mine": served})
    return tfrobust.load(folder / "saved")


def by_keras_export(folder: Path) -> Any:
    sequential(activation="softmax").export(folder / "exported", verbose=False)
    return tfrobust.load(folder / "exported")


def by_tensorflow(folder: Path) -> Any:
    tf.saved_model.save(functional(layers.Softmax()), str(folder / "saved"))
    return tfrobust.load(folder / "saved")


def saved(folder: Path, network: keras.Model, suffix: str) -> Any:
    network.save(folder / f"network{suffix}")
    return tfrobust.load(folder / f"network{suffix}")


def onnx_file(
    folder: Path, network: keras.Model, batch: int | None = None, first: bool = False
) -> Any:
    spec = tf.TensorSpec((batch, *SHAPE), tf.float32, "images")
    converted, _ = tf2onnx.convert.from_function(
        tf.function(lambda images: network(images)),
        input_signature=[spec],
        opset=17,
        inputs_as_nchw=["images"] if first else None,
    )
    onnx.save(converted, folder / "network.onnx")
    return tfrobust.load(folder / "network.onnx")


def robust(network: keras.Model) -> Any:
    return tfrobust.RobustClassifier(network)


def one(channels: int = 1) -> keras.Model:
    """The plain network of two classes: a logit 0, and one of `weights`."""
    kernel, bias, dense, last = weights(1, 1)
    dense = np.concatenate([0 * dense, dense], axis=1)
    held = [kernel, bias, dense, np.concatenate([0 * last, last])]
    return with_weights(keras.Sequential([keras.Input(SHAPE), *parts(None, 2)]), held)


def third() -> keras.Model:
    """The plain network without, and with, the last of three labels."""
    kernel, bias, dense, last = weights()
    dense = np.stack([0 * dense[:, 2], dense[:, 2]], axis=1)
    held = [kernel, bias, dense, np.stack([0 * last[2], last[2]])]
    return with_weights(keras.Sequential([keras.Input(SHAPE), *parts(None, 2)]), held)


@functools.cache
def images_for(channels: int) -> np.ndarray:
    """Images that all of a number of channels take: whole bytes, for those of uint8."""
    drawn = np.random.default_rng(1).integers(0, 256, (5, *SHAPE[:2], channels))
    return (drawn / 255).astype(np.float32)


class Brought(NamedTuple):
    """What somebody brings.

    Args:
        make: makes the model anew; it may write to the folder that it is given.
        plain: makes the plain network that it equals, of pixels from 0 to 1, ending in logits.
        said: what is said of it at the door.
        pixels: images with pixels from 0 to 1, as the model itself takes them.
        tolerance: how far its confidences may be from the plain network's.
        opaque: whether it gives no gradient.
    """

    make: Callable[[Path], Any]
    plain: Callable[[], keras.Model] = plain
    said: dict[str, Any] = {}  # noqa: RUF012 (no test changes it)
    pixels: Callable[[np.ndarray], np.ndarray] = np.asarray
    tolerance: float = 1e-5
    opaque: bool = False


def to_bytes(images: np.ndarray) -> np.ndarray:
    return images * np.float32(255)


BYTES = {"pixels": to_bytes}
RESCALING = functools.partial(layers.Rescaling, 1 / 255)

BROUGHT: dict[str, Brought] = {
    "plain": Brought(lambda folder: plain()),
    "functional": Brought(lambda folder: functional()),
    "softmax activation": Brought(lambda folder: sequential(activation="softmax")),
    "softmax layer": Brought(lambda folder: functional(layers.Softmax())),
    "softmax operation": Brought(lambda folder: functional(keras.ops.softmax)),
    "softmax nested": Brought(lambda folder: nested()),
    "log-softmax": Brought(lambda folder: functional(keras.ops.log_softmax)),
    "subclassed": Brought(lambda folder: subclassed()),
    "subclassed softmax": Brought(lambda folder: subclassed("softmax")),
    "layers for training": Brought(lambda folder: regularised()),
    # float16 has 11 bits, bfloat16 8.
    "float16": Brought(lambda folder: in_policy("float16", plain), tolerance=5e-3),
    "mixed bfloat16": Brought(
        lambda folder: in_policy(
            "mixed_bfloat16",
            lambda: functional(layers.Activation("softmax", dtype="float32")),
        ),
        tolerance=5e-2,
    ),
    "leading Rescaling": Brought(lambda folder: sequential(RESCALING()), **BYTES),
    "leading Normalization": Brought(lambda folder: normalized(), **BYTES),
    "leading Lambda": Brought(lambda folder: sequential(layers.Lambda(lambda x: x / 255)), **BYTES),
    "bytes": Brought(lambda folder: of_bytes(), said={"input_range": (0, 255)}, **BYTES),
    "from -1 to 1": Brought(
        lambda folder: sequential(layers.Rescaling(0.5, 0.5)),
        pixels=lambda images: 2 * images - 1,
    ),
    "uint8": Brought(
        lambda folder: sequential(RESCALING(), images=keras.Input(SHAPE, dtype="uint8")),
        pixels=lambda images: np.rint(255 * images).astype(np.uint8),
    ),
    "fixed batch": Brought(lambda folder: sequential(images=keras.Input(batch_shape=(5, *SHAPE)))),
    "channels first": Brought(
        lambda folder: channels_first(), pixels=lambda images: images.transpose(0, 3, 1, 2)
    ),
    "free height and width": Brought(
        lambda folder: pooling((None, None), "softmax"), lambda: pooling(SHAPE[:2])
    ),
    "two channels": Brought(lambda folder: of_channels(2, 3, "softmax"), lambda: of_channels(2)),
    "three channels": Brought(lambda folder: of_channels(3, 3, "softmax"), lambda: of_channels(3)),
    "four channels": Brought(lambda folder: of_channels(4, 3, "softmax"), lambda: of_channels(4)),
    "attention": Brought(lambda folder: attending("softmax"), attending),
    "a robust classifier": Brought(lambda folder: robust(sequential(activation="softmax"))),
    ".keras": Brought(lambda folder: saved(folder, nested(), ".keras")),
    ".h5": Brought(lambda folder: saved(folder, sequential(activation="softmax"), ".h5")),
    "robust .keras": Brought(
        lambda folder: saved(folder, robust(sequential(activation="softmax")), ".keras")
    ),
    "Keras' export": Brought(by_keras_export),
    "tf.saved_model.save": Brought(by_tensorflow),
    "a SavedModel of logits": Brought(lambda folder: saved_model(folder, plain())),
    "a SavedModel of one": Brought(lambda folder: saved_model(folder, plain(), batch=2)),
    "a SavedModel of a sigmoid": Brought(
        lambda folder: saved_model(folder, of_channels(1, 1, "sigmoid"), "ill"), one
    ),
    "a function": Brought(lambda folder: inferring(plain())),
    "a function with a softmax": Brought(lambda folder: inferring(plain(), tf.nn.softmax)),
    "a method": Brought(lambda folder: Method().logits),
    "one sigmoid": Brought(lambda folder: of_channels(1, 1, "sigmoid"), one),
    "one logit": Brought(lambda folder: of_channels(1, 1), one),
    "one sigmoid, subclassed": Brought(lambda folder: subclassed("sigmoid", 1), one),
    "a function with one sigmoid": Brought(
        lambda folder: inferring(of_channels(1, 1), tf.sigmoid), one
    ),
    "a label of three": Brought(
        lambda folder: sequential(activation="sigmoid"), third, {"label": 2}
    ),
    "a label of three logits": Brought(lambda folder: plain(), third, {"label": 2}),
    "a label of a function": Brought(
        lambda folder: inferring(plain(), tf.sigmoid), third, {"label": 2}
    ),
    "NumPy logits": Brought(lambda folder: Opaque(answering(plain())), opaque=True),
    "NumPy probabilities": Brought(
        lambda folder: Opaque(answering(sequential(activation="softmax"))), opaque=True
    ),
    "ONNX": Brought(lambda folder: onnx_file(folder, plain()), opaque=ONNX_IS_OPAQUE),
    "ONNX, channels first, softmax, one at a time": Brought(
        lambda folder: onnx_file(folder, sequential(activation="softmax"), batch=1, first=True),
        opaque=ONNX_IS_OPAQUE,
    ),
    "ONNX of a sigmoid": Brought(
        lambda folder: onnx_file(folder, of_channels(1, 1, "sigmoid")), one, opaque=ONNX_IS_OPAQUE
    ),
}
