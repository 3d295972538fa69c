"""The signatures of an exported model, as TensorFlow functions."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfrobust.attacks.nearest_decision import nearest_decision
from tfrobust.core.door import as_classifier
from tfrobust.datasets.names import Fit
from tfrobust.explanations.walks import walk_graph
from tfrobust.exporting.decoding import decoded

Tensors = dict[str, tf.Tensor]


def explainer(logits_of: Callable[[tf.Tensor], tf.Tensor]) -> Callable[..., Tensors]:
    """Makes the function behind the signature `explain`.

    It walks as `tfrobust.explain` does, and adds the gradient at the explanation: the direction in
    which the confidence rises from there. With a rho of 0 the walk stays at the image, and the
    gradient is the image's.

    Args:
        logits_of: images (B, H, W, C) → logits (B, K).

    Returns:
        A function of images, target, direction and rho that gives what `walk_graph` gives.
    """

    def explain(
        images: tf.Tensor, target: tf.Tensor, direction: tf.Tensor, rho: tf.Tensor
    ) -> Tensors:
        return walk_graph(logits_of, images, target, direction, rho)

    return explain


def explain_inputs(shape: tuple[int | None, ...]) -> list[tf.TensorSpec]:
    """The inputs of the signature `explain`.

    Args:
        shape: of the images, (None, H, W, C).
    """
    return [
        tf.TensorSpec(shape, tf.float32, "images"),
        tf.TensorSpec((None,), tf.int32, "target"),
        tf.TensorSpec((None,), tf.int32, "direction"),
        tf.TensorSpec((None,), tf.float32, "rho"),
    ]


def signatures_of(
    network: keras.Model,
    class_names: Sequence[str],
    bits: int | None = None,
    fit: Fit = "crop",
) -> dict[str, Any]:
    """Makes the signatures of an exported model.

    Every input and output has a leading batch dimension. A request fails with INVALID_ARGUMENT if
    its numbers are not finite, its target is no class, or its direction is neither 1 nor −1.

    Args:
        network: float32 images (B, H, W, C) in [0, 1] → logits (B, K).
        class_names: K names.
        bits: as for `decoding.decoded`.
        fit: as for `decoding.decoded`.

    Returns:
        By name:

        - `serving_default`: images → logits, probabilities, class_id int32, class_name string.
        - `explain`: images, target int32 (−1 for the predicted class), direction int32 (+1 or −1),
          rho float32 (RMSE of pixels in [0, 1]) → what `explainer` gives.
        - `robustness`: images → rmse float32, the size of the smallest perturbation found that
          changes the decision, infinite where none was found; found bool; class_id int32; rival
          int32.
        - `predict_bytes`, if images have 1 or 3 channels: encoded string, PNG or JPEG files → what
          `serving_default` gives.
    """
    _, height, width, channels = network.input_shape
    images = tf.TensorSpec(network.input_shape, tf.float32, "images")

    logits_of = as_classifier(network)

    def classified(images: tf.Tensor) -> Tensors:
        logits = logits_of(images)
        class_id = tf.argmax(logits, axis=-1, output_type=tf.int32)
        return {
            "logits": logits,
            "probabilities": tf.nn.softmax(logits),
            "class_id": class_id,
            "class_name": tf.gather(tf.constant(list(class_names)), class_id),
        }

    def serving_default(images: tf.Tensor) -> Tensors:
        return classified(_finite(images, "images"))

    walked = explainer(logits_of)

    def explain(
        images: tf.Tensor, target: tf.Tensor, direction: tf.Tensor, rho: tf.Tensor
    ) -> Tensors:
        count = len(class_names)
        right = (target >= -1) & (target < count)
        target = _where(target, right, f"expected target from -1 to {count - 1}")
        direction = _where(direction, tf.abs(direction) == 1, "expected direction 1 or -1")
        rho = _where(rho, tf.math.is_finite(rho) & (rho >= 0), "expected rho of at least 0")
        return walked(_finite(images, "images"), target, direction, rho)

    def robustness(images: tf.Tensor) -> Tensors:
        images = _finite(images, "images")
        rmse, found, rival = nearest_decision(logits_of, images)
        class_id = tf.argmax(logits_of(images), axis=-1, output_type=tf.int32)
        return {"rmse": rmse, "found": found, "class_id": class_id, "rival": rival}

    def predict_bytes(encoded: tf.Tensor) -> Tensors:
        return classified(decoded(encoded, (height, width), channels, bits, fit))

    made: dict[str, tuple[Callable[..., Tensors], list[tf.TensorSpec]]] = {
        "serving_default": (serving_default, [images]),
        "explain": (explain, explain_inputs(network.input_shape)),
        "robustness": (robustness, [images]),
    }
    if channels in (1, 3):
        made["predict_bytes"] = (predict_bytes, [tf.TensorSpec((None,), tf.string, "encoded")])
    return {
        name: tf.function(function, input_signature=inputs, autograph=False)
        for name, (function, inputs) in made.items()
    }


def _where(value: tf.Tensor, right: tf.Tensor, expected: str) -> tf.Tensor:
    """The tensor itself. A request for which it is not right fails with InvalidArgumentError."""
    check = tf.debugging.Assert(tf.reduce_all(right), [expected + ", got", value], summarize=8)
    with tf.control_dependencies([check]):
        return tf.identity(value)


def _finite(value: tf.Tensor, name: str) -> tf.Tensor:
    return _where(value, tf.math.is_finite(value), f"expected {name} of finite numbers")
