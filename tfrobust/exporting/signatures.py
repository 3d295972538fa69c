"""The signatures of an exported model, as TensorFlow functions."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfrobust.attacks.nearest_decision import nearest_decision
from tfrobust.core.classifier import Classifier
from tfrobust.core.door import as_whole
from tfrobust.core.temperature import at_temperature
from tfrobust.datasets.names import Fit
from tfrobust.explanations.walks import walk_graph
from tfrobust.exporting.decoding import decoded
from tfrobust.exporting.questions import planes, question

Tensors = dict[str, tf.Tensor]


def answers(network: Classifier, logits: tf.Tensor, temperature: float = 1.0) -> Tensors:
    """What a network's logits (B, K) say, by names.

    Args:
        network: whose task says what they mean.
        logits: float32 (B, K).
        temperature: by which they are divided before they become probabilities. Decisions are
            those of the logits themselves.

    Returns:
        logits and probabilities; of classes class_id int32 (B,); of labels that may hold together
        predicted int32 (B, K), 1 where the label holds, and thresholds float32 (B, K), the
        probability above which it does.
    """
    # A division by 1 would be one more operation for every runtime.
    divided = logits if temperature == 1 else logits / temperature
    if network.thresholds is None:
        class_id = tf.argmax(logits, axis=-1, output_type=tf.int32)
        return {"logits": logits, "probabilities": tf.nn.softmax(divided), "class_id": class_id}
    thresholds = at_temperature(network.thresholds, temperature)
    return {
        "logits": logits,
        "probabilities": tf.sigmoid(divided),
        "predicted": tf.cast(logits > planes(network), tf.int32),
        "thresholds": tf.zeros_like(logits) + tf.constant(thresholds, tf.float32),
    }


def explainer(network: Classifier, temperature: float = 1.0) -> Callable[..., Tensors]:
    """Makes the function behind the signature `explain`.

    It walks as `tfrobust.explain` does, and adds the gradient at the explanation: the direction in
    which the confidence rises from there. With a rho of 0 the walk stays at the image, and the
    gradient is the image's.

    Args:
        network: images (B, H, W, C) → logits (B, K) of classes, or of several labels.
        temperature: as for `answers`; the confidences are those probabilities.

    Returns:
        A function of images, target, direction and rho that gives what `walk_graph` gives. The
        target is a class, or one of several labels.
    """

    def explain(
        images: tf.Tensor, target: tf.Tensor, direction: tf.Tensor, rho: tf.Tensor
    ) -> Tensors:
        asked = question(network, images, target)
        found = walk_graph(asked.logits_of, images, asked.target, direction, rho, temperature)
        return asked.answered(found)

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
    temperature: float = 1.0,
) -> dict[str, Any]:
    """Makes the signatures of an exported model.

    Every input and output has a leading batch dimension. A request fails with INVALID_ARGUMENT if
    its numbers are not finite, its target is no class, or its direction is neither 1 nor −1.

    Args:
        network: float32 images (B, H, W, C) in [0, 1] → logits (B, K) of classes, or of several
            labels, as it says itself.
        class_names: K names.
        bits: as for `decoding.decoded`.
        fit: as for `decoding.decoded`.
        temperature: as for `answers`.

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

        A network of several labels gives other things by the same names. `serving_default`: logits,
        probabilities, predicted and thresholds, as `answers` says, and label_names string (B, K).
        `explain`: target is a label, −1 the likeliest one. `robustness` takes such a target, too,
        and gives it: rmse is the size of the smallest perturbation found that turns the decision
        about this label at its threshold, class_id the decision, 1 where the label holds, and rival
        the other one.
    """
    _, height, width, channels = network.input_shape
    images = tf.TensorSpec(network.input_shape, tf.float32, "images")

    classifier = as_whole(network)
    several = classifier.thresholds is not None

    def classified(images: tf.Tensor) -> Tensors:
        found = answers(classifier, classifier(images), temperature)
        names = tf.constant(list(class_names))
        if several:
            found["label_names"] = tf.tile(names[None], [tf.shape(images)[0], 1])
        else:
            found["class_name"] = tf.gather(names, found["class_id"])
        return found

    def serving_default(images: tf.Tensor) -> Tensors:
        return classified(_finite(images, "images"))

    walked = explainer(classifier, temperature)

    def checked(target: tf.Tensor) -> tf.Tensor:
        count = len(class_names)
        right = (target >= -1) & (target < count)
        return _where(target, right, f"expected target from -1 to {count - 1}")

    def explain(
        images: tf.Tensor, target: tf.Tensor, direction: tf.Tensor, rho: tf.Tensor
    ) -> Tensors:
        direction = _where(direction, tf.abs(direction) == 1, "expected direction 1 or -1")
        rho = _where(rho, tf.math.is_finite(rho) & (rho >= 0), "expected rho of at least 0")
        return walked(_finite(images, "images"), checked(target), direction, rho)

    def turned(images: tf.Tensor, target: tf.Tensor) -> Tensors:
        images = _finite(images, "images")
        asked = question(classifier, images, target, at_thresholds=True)
        rmse, found, rival = nearest_decision(asked.logits_of, images)
        class_id = tf.argmax(asked.logits_of(images), axis=-1, output_type=tf.int32)
        return asked.answered({"rmse": rmse, "found": found, "class_id": class_id, "rival": rival})

    def robustness(images: tf.Tensor) -> Tensors:
        return turned(images, tf.fill(tf.shape(images)[:1], -1))

    def robustness_of_label(images: tf.Tensor, target: tf.Tensor) -> Tensors:
        return turned(images, checked(target))

    def predict_bytes(encoded: tf.Tensor) -> Tensors:
        return classified(decoded(encoded, (height, width), channels, bits, fit))

    made: dict[str, tuple[Callable[..., Tensors], list[tf.TensorSpec]]] = {
        "serving_default": (serving_default, [images]),
        "explain": (explain, explain_inputs(network.input_shape)),
        "robustness": (robustness, [images]),
    }
    if several:
        target = tf.TensorSpec((None,), tf.int32, "target")
        made["robustness"] = (robustness_of_label, [images, target])
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
