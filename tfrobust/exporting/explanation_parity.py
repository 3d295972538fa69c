"""Compares the gradients and the explanations that a network's forms compute."""

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrobust.core.classifier import Classifier
from tfrobust.core.criteria import cross_entropy
from tfrobust.core.door import as_whole
from tfrobust.core.gradients import input_gradient
from tfrobust.explanations.adversarial import explain
from tfrobust.explanations.walks import walk_graph
from tfrobust.exporting.forms import Faults, Outputs, Signature, ask
from tfrobust.exporting.questions import question
from tfrobust.exporting.signatures import explainer

RHO = 0.1
# The walk ends at rho, or at the image where it has no gradient. The rest is rounding.
MOST_OF_RHO = 1.001
# Gradients are compared at so many perturbations of up to RHO, and may differ by so much of their
# size.
DELTAS, GRADIENT_TOLERANCE = 8, 1e-3
# With more weights than these it takes long to compile a network, and to walk, as a form does to
# give a gradient. Then the gradients are compared that are given with the two explanations, where
# they end, and Keras is compiled only if a form's explanations differ from Keras'.
LARGE = 1_000_000
# Explanations are stable where Keras with and without compilation agrees to STABLE (RMSE). The
# forms must then agree with Keras to WALK_TOLERANCE.
STABLE, WALK_TOLERANCE = 1e-5, 1e-4
SEARCHED = 3  # images whose robustness is asked for


def compare(
    network: keras.Model, images: np.ndarray, explainers: Mapping[str, Signature]
) -> tuple[dict[str, Any], Faults]:
    """Compares gradients and explanations with the Keras network's.

    Args:
        network: float32 images (B, H, W, C) in [0, 1] → logits (B, K).
        images: float32 (N, H, W, C) in [0, 1].
        explainers: name → the signature `explain`.

    Returns:
        The fields of `Parity` about gradients and explanations, and the faults.
    """
    explanations, answers, faults = _compare_walks(network, images, explainers)
    if network.count_params() <= LARGE:
        answers = _at_perturbations(network, images, explainers)
    figures: dict[str, Any] = {}
    for name, outputs in answers.items():
        relative = _gradient_error(network, outputs)
        figures[f"gradient_{name}"] = relative
        if not relative <= GRADIENT_TOLERANCE:
            faults.append((name, f"gradients of {name} are {relative:.2g} of their size apart"))
    return {**figures, **explanations}, faults


def contradictions(
    robustness: Mapping[str, Signature], images: np.ndarray, *, several: bool, large: bool
) -> Iterator[tuple[str, str]]:
    """Finds outputs of the signature `robustness` that contradict one another.

    Its sizes are not compared between forms: rounding in float32 makes searches part.

    Args:
        robustness: name of a form → the signature.
        images: float32 (N, H, W, C) in [0, 1].
        several: whether it is asked about one of several labels.
        large: whether the network is so large that a search takes long: one image is asked about.

    Yields:
        The form's name and a sentence for each fault.
    """
    inputs = {"images": images[: 1 if large else SEARCHED]}
    if several:
        inputs["target"] = np.full(len(inputs["images"]), -1, np.int32)
    for name, outputs in ask(robustness, inputs).items():
        found, size = outputs["found"], outputs["rmse"]
        if not np.array_equal(found, np.isfinite(size)) or (size < 0).any():
            yield name, "robustness: sizes that do not fit what was found"
        if (
            not np.array_equal(found, outputs["rival"] >= 0)
            or (found & (outputs["rival"] == outputs["class_id"])).any()
        ):
            yield name, "robustness: a decision that did not change"


def _at_perturbations(
    network: keras.Model, images: np.ndarray, explainers: Mapping[str, Signature]
) -> dict[str, Outputs]:
    """What the forms answer about perturbed images.

    With a rho of 0, `explain` stays at its images and gives their gradients.
    """
    images = np.resize(images, (DELTAS, *images.shape[1:]))
    delta = np.random.default_rng(0).normal(size=images.shape)
    delta /= np.sqrt(np.square(delta).mean(axis=(1, 2, 3), keepdims=True))
    sizes = np.linspace(0, RHO, DELTAS)[:, None, None, None]
    inputs = {
        "images": (images + sizes * delta).astype(np.float32),
        "target": (np.arange(DELTAS) % network.output_shape[-1]).astype(np.int32),
        "direction": np.ones(DELTAS, np.int32),
        "rho": np.zeros(DELTAS, np.float32),
    }
    return ask(explainers, inputs)


def _gradient_error(network: keras.Model, outputs: Outputs) -> float:
    """How far a form's gradients are from Keras', in parts of their size; the largest."""
    explanation = tf.constant(outputs["explanation"])
    asked = question(as_whole(network), explanation, tf.constant(outputs["target"]))
    _, gradient = input_gradient(
        asked.logits_of, explanation, lambda logits: -cross_entropy(logits, asked.target)
    )
    expected = gradient.numpy().astype(np.float64)
    error = _norms(outputs["gradient"] - expected)
    # A gradient below 1e-20 is too small for float32 to say anything about relatively.
    return float((error / np.maximum(_norms(expected), 1e-20)).max())


def _compare_walks(
    network: keras.Model, images: np.ndarray, explainers: Mapping[str, Signature]
) -> tuple[dict[str, Any], dict[str, Outputs], Faults]:
    """Compares two whole explanations, one for each direction.

    Returns:
        Fields of `Parity`, what each form answered, and the faults.
    """
    # There may be only one image, so the second one is the last.
    images = np.stack([images[0], images[-1]])
    target, direction = np.array([-1, 0], np.int32), np.array([1, -1], np.int32)
    rho = np.full(2, RHO, np.float32)
    inputs = {"images": images, "target": target, "direction": direction, "rho": rho}

    classifier = as_whole(network)
    uncompiled = tf.function(functools.partial(walk_graph, classifier), autograph=False)
    asked: Any = target
    if classifier.thresholds is not None:
        uncompiled = tf.function(explainer(classifier), autograph=False)
        found = question(classifier, tf.constant(images), tf.constant(target))
        classifier = Classifier(
            found.logits_of, name=classifier.name, input_shape=network.input_shape, num_classes=2
        )
        asked = found.target.numpy()
    # It is traced in this thread, as Keras' layers keep notes of their calls.
    concrete = uncompiled.get_concrete_function(*map(tf.constant, inputs.values()))
    keras_itself = {
        "keras": lambda inputs: {
            name: value.numpy()
            for name, value in concrete(*map(tf.constant, inputs.values())).items()
        }
    }
    answers = ask({**explainers, **keras_itself}, inputs)
    expected = answers.pop("keras")["explanation"]
    apart = {name: _largest_rmse(one["explanation"], expected) for name, one in answers.items()}
    if network.count_params() <= LARGE or not np.max([*apart.values()]) <= WALK_TOLERANCE:
        compiled = explain(classifier, images, asked, rho=RHO, direction=direction, batch_size=2)
        # XLA does not know every operation, such as bicubic resizing.
        keras_apart = (
            _largest_rmse(compiled.explanation, expected) if classifier.compiles else np.inf
        )
        stable = keras_apart <= STABLE
    else:
        keras_apart, stable = None, True
    figures: dict[str, Any] = {"explain_keras": keras_apart, "explain_stable": stable}
    largest_size = 0.0
    faults: Faults = []
    for name, outputs in answers.items():
        figures[f"explain_{name}"] = apart[name]
        if stable and not apart[name] <= WALK_TOLERANCE:
            faults.append((name, f"explain in {name}: RMSE of {apart[name]:.2g} from Keras'"))
        size = float(outputs["rmse"].max()) / RHO
        largest_size = float(np.maximum(largest_size, size))
        if not size <= MOST_OF_RHO:
            faults.append((name, f"explain in {name}: RMSE of {size:.3g} rho"))
        for output, value in outputs.items():
            has_pixels = output in ("explanation", "difference", "gradient")
            shape = images.shape if has_pixels else (2,)
            if value.shape != shape or not np.isfinite(value).all():
                fault = f"explain in {name}: {output} is not finite or not of {shape}"
                faults.append((name, fault))
    return {**figures, "explain_rmse": largest_size}, answers, faults


def _norms(values: np.ndarray) -> np.ndarray:
    return np.sqrt(np.square(values, dtype=np.float64).sum(axis=(1, 2, 3)))


def _largest_rmse(images: np.ndarray, others: np.ndarray) -> float:
    squares = np.square(images - others, dtype=np.float64)
    return float(np.sqrt(squares.mean(axis=(1, 2, 3)).max()))
