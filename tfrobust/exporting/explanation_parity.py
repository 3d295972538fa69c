"""Compares the gradients and the explanations that a network's forms compute."""

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrobust.core.criteria import cross_entropy
from tfrobust.core.door import as_classifier
from tfrobust.core.gradients import input_gradient
from tfrobust.explanations.adversarial import explain, walk
from tfrobust.exporting.forms import Signature

RHO = 0.1
# An explanation's size exceeds rho by at most one short step.
MOST_OF_RHO = 1.05
# Gradients are compared at so many perturbations of up to RHO, and may differ by so much of their
# size.
DELTAS, GRADIENT_TOLERANCE = 8, 1e-3
# Explanations are stable where Keras with and without compilation agrees to STABLE (RMSE). The
# forms must then agree with Keras to WALK_TOLERANCE.
STABLE, WALK_TOLERANCE = 1e-5, 1e-4


def compare(
    network: keras.Model, images: np.ndarray, explainers: Mapping[str, Signature]
) -> tuple[dict[str, Any], list[str]]:
    """Compares gradients and explanations with the Keras network's.

    Args:
        network: float32 images (B, H, W, C) in [0, 1] → logits (B, K).
        images: float32 (N, H, W, C) in [0, 1].
        explainers: name → the signature `explain`.

    Returns:
        The fields of `Parity` about gradients and explanations, and a sentence for each fault.
    """
    gradients, gradient_faults = _compare_gradients(network, images, explainers)
    explanations, explanation_faults = _compare_walks(network, images, explainers)
    return {**gradients, **explanations}, [*gradient_faults, *explanation_faults]


def contradictions(robustness: Signature, images: np.ndarray) -> Iterator[str]:
    """Finds outputs of the signature `robustness` that contradict one another.

    Its sizes are not compared between forms: rounding in float32 makes searches part.

    Args:
        robustness: the signature.
        images: float32 (N, H, W, C) in [0, 1].

    Yields:
        A sentence for each fault.
    """
    outputs = robustness({"images": images[:3]})
    found, size = outputs["found"], outputs["rmse"]
    if not np.array_equal(found, np.isfinite(size)) or (size < 0).any():
        yield "robustness: sizes that do not fit what was found"
    if (
        not np.array_equal(found, outputs["rival"] >= 0)
        or (found & (outputs["rival"] == outputs["class_id"])).any()
    ):
        yield "robustness: a decision that did not change"


def _compare_gradients(
    network: keras.Model, images: np.ndarray, explainers: Mapping[str, Signature]
) -> tuple[dict[str, Any], list[str]]:
    """Compares gradients at perturbed images.

    With a rho of 0, `explain` stays at its images and gives their gradients.
    """
    images = np.resize(images, (DELTAS, *images.shape[1:]))
    delta = np.random.default_rng(0).normal(size=images.shape)
    delta /= np.sqrt(np.square(delta).mean(axis=(1, 2, 3), keepdims=True))
    sizes = np.linspace(0, RHO, DELTAS)[:, None, None, None]
    points = (images + sizes * delta).astype(np.float32)
    target = (np.arange(DELTAS) % network.output_shape[-1]).astype(np.int32)
    _, gradient = input_gradient(
        as_classifier(network),
        tf.constant(points),
        lambda logits: -cross_entropy(logits, target),
    )
    expected = gradient.numpy().astype(np.float64)
    inputs = {
        "images": points,
        "target": target,
        "direction": np.ones(DELTAS, np.int32),
        "rho": np.zeros(DELTAS, np.float32),
    }
    figures: dict[str, Any] = {}
    faults = []
    for name, form in explainers.items():
        error = _norms(form(inputs)["gradient"] - expected)
        # A gradient below 1e-20 is too small for float32 to say anything about relatively.
        relative = float((error / np.maximum(_norms(expected), 1e-20)).max())
        figures[f"gradient_{name}"] = relative
        if not relative <= GRADIENT_TOLERANCE:
            faults.append(f"gradients of {name} are {relative:.2g} of their size apart")
    return figures, faults


def _compare_walks(
    network: keras.Model, images: np.ndarray, explainers: Mapping[str, Signature]
) -> tuple[dict[str, Any], list[str]]:
    """Compares two whole explanations, one for each direction."""
    # There may be only one image, so the second one is the last.
    images = np.stack([images[0], images[-1]])
    target, direction = np.array([-1, 0], np.int32), np.array([1, -1], np.int32)
    rho = np.full(2, RHO, np.float32)
    inputs = {"images": images, "target": target, "direction": direction, "rho": rho}

    uncompiled = tf.function(functools.partial(walk, as_classifier(network)), autograph=False)
    expected = uncompiled(*map(tf.constant, inputs.values()))
    compiled = explain(network, images, target, rho=RHO, direction=direction, batch_size=2)
    keras_apart = _largest_rmse(compiled.explanation, expected["explanation"].numpy())
    stable = keras_apart <= STABLE
    figures: dict[str, Any] = {"explain_keras": keras_apart, "explain_stable": stable}
    largest_size = 0.0
    faults = []
    for name, form in explainers.items():
        outputs = form(inputs)
        apart = _largest_rmse(outputs["explanation"], expected["explanation"].numpy())
        figures[f"explain_{name}"] = apart
        if stable and not apart <= WALK_TOLERANCE:
            faults.append(f"explain in {name}: RMSE of {apart:.2g} from Keras'")
        size = float(outputs["rmse"].max()) / RHO
        largest_size = float(np.maximum(largest_size, size))
        if not size <= MOST_OF_RHO:
            faults.append(f"explain in {name}: RMSE of {size:.3g} rho")
        for output, value in outputs.items():
            has_pixels = output in ("explanation", "difference", "gradient")
            shape = images.shape if has_pixels else (2,)
            if value.shape != shape or not np.isfinite(value).all():
                faults.append(f"explain in {name}: {output} is not finite or not of {shape}")
    return {**figures, "explain_rmse": largest_size}, faults


def _norms(values: np.ndarray) -> np.ndarray:
    return np.sqrt(np.square(values, dtype=np.float64).sum(axis=(1, 2, 3)))


def _largest_rmse(images: np.ndarray, others: np.ndarray) -> float:
    squares = np.square(images - others, dtype=np.float64)
    return float(np.sqrt(squares.mean(axis=(1, 2, 3)).max()))
