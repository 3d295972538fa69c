"""Compares the logits of a network's forms, and looks for outputs that contradict the logits."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from scipy.special import expit, softmax

from tfrobust.core.door import as_whole
from tfrobust.core.outputs import Thresholds, logit
from tfrobust.core.temperature import at_temperature
from tfrobust.datasets.pictures import encode_png
from tfrobust.exporting.forms import Faults, Signature

TOLERANCE = 1e-5
BATCHES = (1, 3, 32)
PICTURES = 3


def compare(
    network: keras.Model,
    images: np.ndarray,
    *,
    class_names: Sequence[str],
    classifiers: Mapping[str, Signature],
    command_line: Signature,
    picture_readers: Sequence[Signature],
    temperature: float = 1.0,
) -> tuple[dict[str, Any], Faults]:
    """Compares logits with the Keras network's.

    Args:
        network: float32 images (B, H, W, C) in [0, 1] → logits (B, K).
        images: float32 (N, H, W, C) in [0, 1].
        class_names: K names.
        classifiers: name → images to logits; each is asked in batches of 1, 3, 32 and all.
        command_line: likewise; it is asked for one image, as it takes seconds.
        picture_readers: PNG files to logits.
        temperature: of the probabilities.

    Returns:
        The fields of `Parity` that are about logits, and the faults.
    """
    classifier = as_whole(network)
    expected = np.asarray(classifier(images))
    counts = sorted({min(count, len(images)) for count in (*BATCHES, len(images))})
    answers = [
        (name, form({"images": images[:count]}), expected[:count])
        for name, form in classifiers.items()
        for count in counts
    ]
    answers.append(("saved_model_cli", command_line({"images": images[:1]}), expected[:1]))
    if picture_readers:
        pixels = np.rint(images[:PICTURES] * 255).astype(np.uint8)
        files = np.array([encode_png(image) for image in pixels], object)
        logits = np.asarray(classifier(pixels.astype(np.float32) / 255))
        answers += [("predict_bytes", form({"encoded": files}), logits) for form in picture_readers]

    largest_logit = float(np.abs(expected).max())
    tolerance = TOLERANCE * max(1.0, largest_logit)
    apart = dict.fromkeys([*classifiers, "saved_model_cli", "predict_bytes"], 0.0)
    faults: Faults = []
    for name, outputs, logits in answers:
        difference = float(np.abs(outputs["logits"] - logits).max())
        # np.maximum, unlike max, keeps a NaN.
        apart[name] = float(np.maximum(apart[name], difference))
        if not difference <= tolerance:
            fault = f"{name}: logits of {len(logits)} images are {difference:.2g} apart"
            faults.append((name, fault))
        for fault in contradictions(outputs, class_names, classifier.thresholds, temperature):
            faults.append((name, f"{name}: {fault}"))
    return {"largest_logit": largest_logit, "tolerance": tolerance, **apart}, faults


def contradictions(
    outputs: Mapping[str, np.ndarray],
    class_names: Sequence[str],
    thresholds: Thresholds | None = None,
    temperature: float = 1.0,
) -> Iterator[str]:
    """Finds outputs that do not follow from the logits beside them.

    Args:
        outputs: what `serving_default` answered for B images, or a part of it.
        class_names: K names.
        thresholds: of several labels.
        temperature: of the probabilities.

    Yields:
        A sentence for each fault.
    """
    if thresholds is not None:
        yield from _of_labels(outputs, class_names, thresholds, temperature)
        return
    logits = outputs["logits"].astype(np.float64)
    best = logits.argmax(-1)
    if "probabilities" in outputs and not np.allclose(
        outputs["probabilities"], softmax(logits / temperature, axis=-1), rtol=0, atol=1e-5
    ):
        yield "probabilities are not the softmax of the logits"
    if "class_id" in outputs and not np.array_equal(outputs["class_id"], best):
        yield "class_id is not the class of the largest logit"
    if "class_name" in outputs:
        names = [name.decode() for name in outputs["class_name"]]
        if names != [class_names[number] for number in best]:
            yield "class_name is not the name of class_id"


def _of_labels(
    outputs: Mapping[str, np.ndarray],
    class_names: Sequence[str],
    thresholds: Thresholds,
    temperature: float,
) -> Iterator[str]:
    logits = outputs["logits"]
    shares = expit(logits.astype(np.float64) / temperature)
    if not np.allclose(outputs.get("probabilities", shares), shares, rtol=0, atol=1e-5):
        yield "probabilities are not the sigmoids of the logits"
    planes = np.array([logit(one) for one in thresholds], np.float32)
    if not np.array_equal(outputs.get("predicted", logits > planes), logits > planes):
        yield "predicted is not where the logits are above the thresholds"
    shown = np.array(at_temperature(thresholds, temperature))
    told = outputs.get("thresholds", shown)
    if not np.allclose(told, np.broadcast_to(shown, told.shape), rtol=0, atol=1e-6):
        yield "thresholds are others"
    for names in outputs.get("label_names", []):
        if [name.decode() for name in names] != list(class_names):
            yield "label_names are others"
            return
