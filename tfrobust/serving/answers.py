"""What a server says of images: named arrays become named results."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tfrobust.core.images import checked_images
from tfrobust.errors import InputError
from tfrobust.serving.channel import ServerError
from tfrobust.serving.dtypes import fitted

Arrays = dict[str, np.ndarray]


class Predicted(NamedTuple):
    """What a network says of B images.

    Args:
        logits: float32 (B, K).
        probabilities: float32 (B, K), the softmax of the logits, divided by the card's temperature.
        class_id: int32 (B,), the class of the largest logit.
        class_name: the B names of these classes.
    """

    logits: np.ndarray
    probabilities: np.ndarray
    class_id: np.ndarray
    class_name: list[str]


class PredictedLabels(NamedTuple):
    """What a network of K labels that may hold together says of B images.

    Args:
        logits: float32 (B, K).
        probabilities: float32 (B, K), the sigmoids of the logits, divided by the temperature.
        predicted: int32 (B, K), 1 where it decides that the label holds, else 0.
        thresholds: float32 (B, K), the probability above which the label holds.
        label_names: the K names of the labels.
    """

    logits: np.ndarray
    probabilities: np.ndarray
    predicted: np.ndarray
    thresholds: np.ndarray
    label_names: list[str]


class Explained(NamedTuple):
    """Adversarial explanations of B images, as `tfrobust.explain` gives them.

    Args:
        explanation: float32 (B, H, W, C), the image after the change.
        difference: float32 (B, H, W, C), the change itself.
        target: int32 (B,), the class or label that is explained.
        confidence_before: float32 (B,), the probability of the target for the image.
        confidence_after: float32 (B,), its probability for the explanation.
        rmse: float32 (B,), the size of the change: root of the mean square over an image's pixels,
            which lie in [0, 1].
    """

    explanation: np.ndarray
    difference: np.ndarray
    target: np.ndarray
    confidence_before: np.ndarray
    confidence_after: np.ndarray
    rmse: np.ndarray


class Distance(NamedTuple):
    """How far the decisions on B images are from changing.

    The exported model measures it with the linearised attack.

    Args:
        rmse: float32 (B,), the size of the smallest perturbation found that changes the decision:
            root of the mean square over an image's pixels, which lie in [0, 1]. The true distance
            may be smaller. Infinite where no perturbation was found.
        found: bool (B,), whether one was found.
        class_id: int32 (B,), the decision.
        rival: int32 (B,), the decision after the perturbation; −1 where none was found.

    For a network of several labels the decision is about one of them: 1 where it holds, else 0.
    """

    rmse: np.ndarray
    found: np.ndarray
    class_id: np.ndarray
    rival: np.ndarray


def explain_inputs(images: Any, targets: Any, direction: int, rho: float) -> Arrays:
    """The inputs of the signature `explain`; see `Client.explain`.

    Raises:
        InputError: they are not as described there.
    """
    if direction not in (1, -1):
        raise InputError(f"expected the direction 1 or -1, got {direction}")
    asked = robustness_inputs(images, targets)
    count = len(asked["images"])
    return {
        **asked,
        "direction": np.full(count, direction, np.int32),
        "rho": np.full(count, rho, np.float32),
    }


def robustness_inputs(images: Any, targets: Any) -> Arrays:
    """The inputs of the signature `robustness`; see `Client.robustness`.

    Raises:
        InputError: they are not as described there.
    """
    images = checked_images(images)
    if targets is None:
        return {"images": images}
    count, told = len(images), np.asarray(targets)
    try:
        wanted = fitted(told, "int32")
    except (TypeError, ValueError) as error:
        raise InputError(f"expected the numbers of classes or labels as targets: {error}") from None
    if wanted.shape not in ((), (count,)):
        raise InputError(f"expected one target, or {count}, got shape {wanted.shape}")
    return {"images": images, "target": np.broadcast_to(wanted, count)}


def several(outputs: Iterable[str]) -> bool:
    """Whether outputs of these names are those of several labels.

    One alone may be any model's: others call the class that they give "predicted".
    """
    return {"predicted", "thresholds", "label_names"} <= set(outputs)


def predicted(found: Arrays) -> Predicted:
    """What a model says of images, also one that was exported elsewhere.

    Of logits and probabilities one is enough, and without names the classes have numbers.

    Raises:
        ServerError: it gives neither logits nor probabilities, or decides about several labels.
    """
    if several(found):
        raise ServerError(
            "FAILED_PRECONDITION",
            "the model decides about several labels, and gives no one class; ask it by "
            "Client.predict_labels",
        )
    if "logits" not in found and "probabilities" not in found:
        raise ServerError(
            "FAILED_PRECONDITION",
            f"the model gives {', '.join(sorted(found))}, and neither logits nor probabilities; "
            "Client.ask gives what it has",
        )
    if "logits" in found:
        logits = found["logits"]
    else:
        with np.errstate(divide="ignore"):
            logits = np.log(found["probabilities"])
    probabilities = found.get("probabilities")
    if probabilities is None:
        shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
        probabilities = shifted / shifted.sum(axis=-1, keepdims=True)
    class_id = found.get("class_id")
    if class_id is None:
        class_id = np.argmax(logits, axis=-1).astype(np.int32)
    names = [f"class {number}" for number in class_id]
    if "class_name" in found:
        names = [name.decode("utf-8", "replace") for name in found["class_name"]]
    return Predicted(logits, probabilities, class_id, names)


def predicted_labels(found: Arrays) -> PredictedLabels:
    """What a model of several labels says of images."""
    fields = _fields(found, PredictedLabels._fields)
    # Every image has the same names; without images there are none.
    told = fields.pop("label_names")[:1].ravel()
    names = [name.decode("utf-8", "replace") for name in told]
    return PredictedLabels(**fields, label_names=names)


def explained(found: Arrays) -> Explained:
    """What the signature `explain` gave."""
    return Explained(**_fields(found, Explained._fields))


def distance(found: Arrays) -> Distance:
    """What the signature `robustness` gave."""
    return Distance(**_fields(found, Distance._fields))


def _fields(found: Mapping[str, np.ndarray], names: tuple[str, ...]) -> Arrays:
    if missing := sorted(set(names) - set(found)):
        raise ServerError(
            "FAILED_PRECONDITION",
            f"the model gives no {', '.join(missing)}: it is of another task, or was not exported "
            "by tfrobust.export; Client.ask gives what it has",
        )
    return {name: found[name] for name in names}
