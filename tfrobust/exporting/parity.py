"""The gate before a version appears: every form of the network gives the same answers.

Keras is the measure. Compared are the Keras file read back, the SavedModel as Python loads it,
the SavedModel in a Session (the C++ path that TF Serving takes) and by `saved_model_cli`, and ONNX
in onnxruntime: logits, the gradients that explanations are made of, and whole explanations.
"""

import contextlib
import dataclasses
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from tfrobust.core.criteria import cross_entropy
from tfrobust.core.gradients import input_gradient
from tfrobust.errors import InputError, ReportedError
from tfrobust.explanations.adversarial import explain, walk
from tfrobust.exporting import forms
from tfrobust.exporting.forms import Signature

TOLERANCE = 1e-5
BATCHES = (1, 3, 32)
MOST_IMAGES = 64
RANDOM_IMAGES = 8
RHO = 0.1
# The walk ends at most one short step outside its ball.
MOST_OF_RHO = 1.05
# Where gradients are compared: that many perturbations of up to RHO, and how far, relatively.
DELTAS, GRADIENT_TOLERANCE = 8, 1e-3
# A walk is compared where Keras, compiled and not, agrees with itself.
STABLE, WALK_TOLERANCE = 1e-5, 1e-4


@dataclasses.dataclass(frozen=True)
class Parity:
    """How far the forms of a network are apart.

    Args:
        images: images compared, in batches of 1, 3, 32 and all.
        random_images: whether they were noise, for want of real ones.
        largest_logit: the largest absolute one that Keras gave.
        tolerance: the largest absolute difference of logits allowed.
        keras_file: the largest seen, for network.keras read back.
        saved_model: likewise, for tf.saved_model.load.
        session: likewise, for the v1 loader in a Session.
        saved_model_cli: likewise, for one image by `saved_model_cli run`.
        onnx: likewise, for onnxruntime.
        predict_bytes: likewise, for PNG files; 0 where the network takes no pictures.
        gradient_saved_model: the largest relative difference of an image's gradient, of 8
            perturbed images; at most 1e-3 is allowed.
        gradient_session: likewise.
        gradient_onnx: likewise; 0 without explainer.onnx.
        explain_keras: the largest RMSE between explanations of one image by Keras, compiled and
            not, at RHO.
        explain_saved_model: the largest between the signature's and Keras', not compiled.
        explain_session: likewise.
        explain_onnx: likewise.
        explain_stable: whether Keras agrees with itself to 1e-5, and the three are to agree to
            1e-4. Else the walk is numerically unstable, by what `explain_keras` says: no form is
            wrong, but none gives another's picture.
        explain_rmse: the largest size of an explanation by any form, in units of rho.
    """

    images: int
    random_images: bool
    largest_logit: float
    tolerance: float
    keras_file: float
    saved_model: float
    session: float
    saved_model_cli: float
    onnx: float
    predict_bytes: float
    gradient_saved_model: float
    gradient_session: float
    gradient_onnx: float
    explain_keras: float
    explain_saved_model: float
    explain_session: float
    explain_onnx: float
    explain_stable: bool
    explain_rmse: float


class ParityError(ReportedError, RuntimeError):
    """The forms disagree, and nothing was exported.

    Args:
        faults: what is wrong, a sentence each.
        figures: all that was measured.
    """

    def __init__(self, faults: Sequence[str], figures: Parity | None = None) -> None:
        super().__init__(
            f"the exported forms of the network disagree: {'; '.join(faults)}. "
            f"Nothing was exported. Measured: {figures}"
        )
        self.figures = figures


def check(
    network: keras.Model,
    folder: Path,
    *,
    class_names: Sequence[str],
    images: np.ndarray | None = None,
) -> Parity:
    """Compares what was written with the network that it was written from.

    Args:
        network: float32 images (B, H, W, C) in [0, 1] → logits (B, K).
        folder: holds the SavedModel, network.keras, classifier.onnx and, if made, explainer.onnx.
        class_names: K names.
        images: float32 (N, H, W, C) in [0, 1], of which the first 64 are taken; seeded noise
            when None.

    Returns:
        What was measured.

    Raises:
        ParityError: logits differ by more than 1e-5·max(1, largest |logit|), gradients by more
            than 1e-3 of theirs, explanations that are stable by more than 1e-4, or another
            output does not fit.
    """
    random_images = images is None
    if images is None:
        shape = (RANDOM_IMAGES, *network.input_shape[1:])
        images = np.random.default_rng(0).uniform(size=shape).astype(np.float32)
    images = images[:MOST_IMAGES]
    with _full_float32(), forms.session(folder) as session:
        python = forms.saved_model(folder)
        classifiers = {
            "keras_file": _keras_file(folder),
            "saved_model": python["serving_default"],
            "session": session["serving_default"],
            "onnx": forms.onnx_file(folder / forms.ONNX_FILE),
        }
        expected = np.asarray(network(images, training=False))
        tolerance = TOLERANCE * max(1.0, float(np.abs(expected).max()))
        faults: list[str] = []
        compared = [*classifiers, "saved_model_cli", "predict_bytes"]
        apart: dict[str, Any] = dict.fromkeys(compared, 0.0)

        def judge(name: str, outputs: dict[str, np.ndarray], logits: np.ndarray) -> None:
            difference = float(np.abs(outputs["logits"] - logits).max())
            # np.maximum, unlike max, keeps a NaN.
            apart[name] = float(np.maximum(apart[name], difference))
            if not difference <= tolerance:
                faults.append(f"{name}: logits of {len(logits)} images are {difference:.2g} apart")
            faults.extend(f"{name}: {fault}" for fault in _unfit(outputs, class_names))

        for name, form in classifiers.items():
            for count in sorted({min(count, len(images)) for count in (*BATCHES, len(images))}):
                judge(name, form({"images": images[:count]}), expected[:count])
        by_hand = forms.command_line(folder, "serving_default", {"images": images[:1]})
        judge("saved_model_cli", by_hand, expected[:1])
        if "predict_bytes" in python:
            files, pixels = _pngs(images[:3])
            logits = np.asarray(network(pixels, training=False))
            for signatures in (python, session):
                judge("predict_bytes", signatures["predict_bytes"]({"encoded": files}), logits)
        explainers = {"saved_model": python["explain"], "session": session["explain"]}
        if (folder / forms.EXPLAINER_FILE).exists():
            explainers["onnx"] = forms.onnx_file(folder / forms.EXPLAINER_FILE)
        gradients, gradient_faults = _gradients(network, images, explainers)
        explained, explain_faults = _explained(network, images, explainers)
        faults += [
            *gradient_faults,
            *explain_faults,
            *_robustness_faults(images, python["robustness"], session["robustness"]),
        ]
    figures = Parity(
        images=len(images),
        random_images=random_images,
        largest_logit=float(np.abs(expected).max()),
        tolerance=tolerance,
        **apart,
        **{"gradient_onnx": 0.0, **gradients},
        **{"explain_onnx": 0.0, **explained},
    )
    if faults:
        raise ParityError(faults, figures)
    return figures


def _unfit(outputs: dict[str, np.ndarray], class_names: Sequence[str]) -> Iterator[str]:
    """Outputs beside the logits that do not follow from them."""
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


def _pngs(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Images as PNG files, and what these hold after rounding to 8 bits."""
    pixels = np.rint(images * 255).astype(np.uint8)
    files = []
    for image in pixels:
        file = io.BytesIO()
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, "PNG")
        files.append(file.getvalue())
    return np.array(files, object), pixels.astype(np.float32) / 255


def _gradients(
    network: keras.Model, images: np.ndarray, explainers: dict[str, Signature]
) -> tuple[dict[str, Any], list[str]]:
    """Compares gradients at perturbed images, which the walk stays at for a rho of 0."""
    images = np.resize(images, (DELTAS, *images.shape[1:]))
    delta = np.random.default_rng(0).normal(size=images.shape)
    delta /= np.sqrt(np.square(delta).mean(axis=(1, 2, 3), keepdims=True))
    sizes = np.linspace(0, RHO, DELTAS)[:, None, None, None]
    points = (images + sizes * delta).astype(np.float32)
    target = (np.arange(DELTAS) % network.output_shape[-1]).astype(np.int32)
    _, gradient = input_gradient(
        lambda inputs: network(inputs, training=False),
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
        # Of a gradient that float32 hardly holds, nothing can be said relatively.
        relative = float((error / np.maximum(_norms(expected), 1e-20)).max())
        figures[f"gradient_{name}"] = relative
        if not relative <= GRADIENT_TOLERANCE:
            faults.append(f"gradients of {name} are {relative:.2g} of their size apart")
    return figures, faults


def _norms(values: np.ndarray) -> np.ndarray:
    return np.sqrt(np.square(values, dtype=np.float64).sum(axis=(1, 2, 3)))


def _explained(
    network: keras.Model, images: np.ndarray, explainers: dict[str, Signature]
) -> tuple[dict[str, Any], list[str]]:
    """Compares two explanations, one a direction: → figures and faults."""
    # The last image, for there may be one only.
    images = np.stack([images[0], images[-1]])
    target, direction = np.array([-1, 0], np.int32), np.array([1, -1], np.int32)
    rho = np.full(2, RHO, np.float32)
    inputs = {"images": images, "target": target, "direction": direction, "rho": rho}

    def plain(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return walk(lambda images: network(images, training=False), *inputs)

    expected = tf.function(plain, autograph=False)(*map(tf.constant, inputs.values()))
    compiled = explain(network, images, target, rho=RHO, direction=direction, batch_size=2)
    figures: dict[str, Any] = {"explain_rmse": 0.0}

    def apart(explanation: np.ndarray) -> float:
        off = np.square(explanation - expected["explanation"].numpy(), dtype=np.float64)
        return float(np.sqrt(off.mean(axis=(1, 2, 3)).max()))

    figures["explain_keras"] = apart(compiled.explanation)
    figures["explain_stable"] = figures["explain_keras"] <= STABLE
    faults = []
    for name, form in explainers.items():
        outputs = form(inputs)
        figures[f"explain_{name}"] = difference = apart(outputs["explanation"])
        if figures["explain_stable"] and not difference <= WALK_TOLERANCE:
            faults.append(f"explain in {name}: RMSE of {difference:.2g} from Keras'")
        largest = float(outputs["rmse"].max()) / RHO
        figures["explain_rmse"] = float(np.maximum(figures["explain_rmse"], largest))
        if not largest <= MOST_OF_RHO:
            faults.append(f"explain in {name}: RMSE of {largest:.3g} rho")
        for output, value in outputs.items():
            as_images = output in ("explanation", "difference", "gradient")
            shape = images.shape if as_images else (2,)
            if value.shape != shape or not np.isfinite(value).all():
                faults.append(f"explain in {name}: {output} is not finite or not of {shape}")
    return figures, faults


def _robustness_faults(images: np.ndarray, *signatures: Signature) -> Iterator[str]:
    """What of `robustness` contradicts itself, in any form: sizes are not compared, as searches
    in float32 part.
    """
    for form in signatures:
        outputs = form({"images": images[:3]})
        found, size = outputs["found"], outputs["rmse"]
        if not np.array_equal(found, np.isfinite(size)) or (size < 0).any():
            yield "robustness: sizes that do not fit what was found"
        if (
            not np.array_equal(found, outputs["rival"] >= 0)
            or (found & (outputs["rival"] == outputs["class_id"])).any()
        ):
            yield "robustness: a decision that did not change"


def _keras_file(folder: Path) -> Signature:
    try:
        return forms.keras_file(folder)
    except InputError as error:
        raise ParityError([f"the Keras file cannot be read back: {error}"]) from error


@contextlib.contextmanager
def _full_float32() -> Iterator[None]:
    """Turns off the ten-bit multiplications of recent GPUs, which alone are over the tolerance."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)
