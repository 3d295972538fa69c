"""What an exported model answers, as TensorFlow functions."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfrobust.attacks.linearized_margin import nearest_decision
from tfrobust.core.criteria import cross_entropy
from tfrobust.core.gradients import input_gradient
from tfrobust.explanations.adversarial import walk
from tfrobust.exporting.decoding import decoded

Tensors = dict[str, tf.Tensor]


def explainer(logits_of: Callable[[tf.Tensor], tf.Tensor]) -> Callable[..., Tensors]:
    """`walk` with the gradient at its end: which way the class's confidence rises from there.

    With rho 0 the walk stays at the image, and the gradient is the image's.

    Args:
        logits_of: images (B, H, W, C) → logits (B, K).

    Returns:
        images, target, direction, rho → what `walk` gives, and gradient float32 (B, H, W, C),
        of the logarithm of the target's softmax.
    """

    def explain(
        images: tf.Tensor, target: tf.Tensor, direction: tf.Tensor, rho: tf.Tensor
    ) -> Tensors:
        found = walk(logits_of, images, target, direction, rho)
        _, gradient = input_gradient(
            logits_of, found["explanation"], lambda logits: -cross_entropy(logits, found["target"])
        )
        return {**found, "gradient": gradient}

    return explain


def explain_inputs(shape: tuple[int | None, ...]) -> list[tf.TensorSpec]:
    """Of `explain`, for images of a shape (None, H, W, C)."""
    return [
        tf.TensorSpec(shape, tf.float32, "images"),
        tf.TensorSpec((None,), tf.int32, "target"),
        tf.TensorSpec((None,), tf.int32, "direction"),
        tf.TensorSpec((None,), tf.float32, "rho"),
    ]


def signatures_of(network: keras.Model, class_names: Sequence[str]) -> dict[str, Any]:
    """What an exported model answers; every input and output has a leading batch dimension.

    Args:
        network: float32 images (B, H, W, C) in [0, 1] → logits (B, K).
        class_names: K names.

    Returns:
        `serving_default`: images → logits, probabilities, class_id int32, class_name string.
        `explain`: images, target int32 (−1: the predicted class), direction int32 (+1 or −1),
        rho float32 (RMSE in units of pixels from 0 to 1) → what `explainer` gives.
        `robustness`: images → rmse float32, the size of the smallest perturbation found that
        changes the decision, infinite where none was; found bool; class_id and rival int32.
        `predict_bytes`, of networks for grey or colour: encoded string, PNG or JPEG files → what
        `serving_default` gives.
        What is no answerable question is INVALID_ARGUMENT: numbers that are not finite, a target
        that is no class, a direction that is none.
    """
    _, height, width, channels = network.input_shape
    images = tf.TensorSpec(network.input_shape, tf.float32, "images")

    def logits_of(images: tf.Tensor) -> tf.Tensor:
        return network(images, training=False)

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
        return classified(decoded(encoded, (height, width), channels))

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
    """A tensor that fails the request, with InvalidArgumentError, where it is not right."""
    check = tf.debugging.Assert(tf.reduce_all(right), [expected + ", got", value], summarize=8)
    with tf.control_dependencies([check]):
        return tf.identity(value)


def _finite(value: tf.Tensor, name: str) -> tf.Tensor:
    return _where(value, tf.math.is_finite(value), f"expected {name} of finite numbers")
