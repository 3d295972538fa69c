"""Compares the logits of a network's forms, and looks for outputs that contradict the logits."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tfrobust.core.door import as_classifier
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
) -> tuple[dict[str, Any], Faults]:
    """Compares logits with the Keras network's.

    Args:
        network: float32 images (B, H, W, C) in [0, 1] → logits (B, K).
        images: float32 (N, H, W, C) in [0, 1].
        class_names: K names.
        classifiers: name → images to logits; each is asked in batches of 1, 3, 32 and all.
        command_line: likewise; it is asked for one image, as it takes seconds.
        picture_readers: PNG files to logits.

    Returns:
        The fields of `Parity` that are about logits, and the faults.
    """
    classifier = as_classifier(network)
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
        for fault in contradictions(outputs, class_names):
            faults.append((name, f"{name}: {fault}"))
    return {"largest_logit": largest_logit, "tolerance": tolerance, **apart}, faults


def contradictions(outputs: Mapping[str, np.ndarray], class_names: Sequence[str]) -> Iterator[str]:
    """Finds outputs that do not follow from the logits beside them.

    Args:
        outputs: what `serving_default` answered for B images, or a part of it.
        class_names: K names.

    Yields:
        A sentence for each fault.
    """
    logits = outputs["logits"].astype(np.float64)
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    best = logits.argmax(-1)
    if "probabilities" in outputs and not np.allclose(
        outputs["probabilities"], powers / powers.sum(-1, keepdims=True), rtol=0, atol=1e-5
    ):
        yield "probabilities are not the softmax of the logits"
    if "class_id" in outputs and not np.array_equal(outputs["class_id"], best):
        yield "class_id is not the class of the largest logit"
    if "class_name" in outputs:
        names = [name.decode() for name in outputs["class_name"]]
        if names != [class_names[number] for number in best]:
            yield "class_name is not the name of class_id"
