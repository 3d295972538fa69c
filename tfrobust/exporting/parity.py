"""The gate before a version appears: every form of the network gives the same logits.

Keras is the measure. Compared are the Keras file read back, the SavedModel as Python loads it,
the SavedModel in a Session (the C++ path that TF Serving takes), and ONNX in onnxruntime.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfrobust.errors import InputError, ReportedError
from tfrobust.explanations.adversarial import explain
from tfrobust.exporting import forms
from tfrobust.exporting.forms import Signature

TOLERANCE = 1e-5
BATCHES = (1, 3)
MOST_IMAGES = 64
RANDOM_IMAGES = 8
RHO = 0.1
# The walk ends at most one short step outside its ball.
MOST_OF_RHO = 1.05


@dataclasses.dataclass(frozen=True)
class Parity:
    """How far the forms of a network are apart.

    Args:
        images: images compared, in batches of 1, 3 and all.
        random_images: whether they were noise, for want of real ones.
        largest_logit: the largest absolute one that Keras gave.
        tolerance: the largest absolute difference of logits allowed.
        keras_file: the largest seen, for network.keras read back.
        saved_model: likewise, for tf.saved_model.load.
        session: likewise, for the v1 loader in a Session.
        onnx: likewise, for onnxruntime.
        explain_saved_model: the largest RMSE between two explanations of one image, by the
            signature and by tfrobust.explain, at RHO; recorded, not judged, because walks in
            float32 part where gradients are large.
        explain_session: likewise.
        explain_rmse: the largest size of an explanation by the signature, in units of rho.
    """

    images: int
    random_images: bool
    largest_logit: float
    tolerance: float
    keras_file: float
    saved_model: float
    session: float
    onnx: float
    explain_saved_model: float
    explain_session: float
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
        folder: holds the SavedModel, network.keras and classifier.onnx.
        class_names: K names.
        images: float32 (N, H, W, C) in [0, 1], of which the first 64 are taken; seeded noise
            when None.

    Returns:
        What was measured.

    Raises:
        ParityError: logits differ by more than 1e-5·max(1, largest |logit|), or another output
            does not fit.
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
            "onnx": forms.onnx_file(folder),
        }
        expected = np.asarray(network(images, training=False))
        tolerance = TOLERANCE * max(1.0, float(np.abs(expected).max()))
        faults: list[str] = []
        apart = dict.fromkeys(classifiers, 0.0)
        for name, form in classifiers.items():
            for count in sorted({min(count, len(images)) for count in (*BATCHES, len(images))}):
                outputs = form({"images": images[:count]})
                difference = float(np.abs(outputs["logits"] - expected[:count]).max())
                # np.maximum, unlike max, keeps a NaN.
                apart[name] = float(np.maximum(apart[name], difference))
                if not difference <= tolerance:
                    faults.append(f"{name}: logits of {count} images are {difference:.2g} apart")
                faults += [f"{name}: {fault}" for fault in _unfit(outputs, class_names)]
        explained, explain_faults = _explained(
            network, images, {"saved_model": python["explain"], "session": session["explain"]}
        )
    figures = Parity(
        images=len(images),
        random_images=random_images,
        largest_logit=float(np.abs(expected).max()),
        tolerance=tolerance,
        **apart,
        **explained,
    )
    if faults or explain_faults:
        raise ParityError([*faults, *explain_faults], figures)
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


def _explained(
    network: keras.Model, images: np.ndarray, explainers: dict[str, Signature]
) -> tuple[dict[str, float], list[str]]:
    """Compares two explanations, one a direction: → figures and faults."""
    # The last image, for there may be one only.
    images = np.stack([images[0], images[-1]])
    target, direction = np.array([-1, 0], np.int32), np.array([1, -1], np.int32)
    rho = np.full(2, RHO, np.float32)
    inputs = {"images": images, "target": target, "direction": direction, "rho": rho}
    expected = np.concatenate(
        [
            explain(
                network,
                images[row : row + 1],
                int(target[row]),
                rho=RHO,
                direction=int(direction[row]),
                block=1,
            ).explanation
            for row in range(2)
        ]
    )
    figures, faults = {"explain_rmse": 0.0}, []
    for name, form in explainers.items():
        outputs = form(inputs)
        apart = outputs["explanation"] - expected
        figures[f"explain_{name}"] = float(np.sqrt(np.square(apart).mean(axis=(1, 2, 3)).max()))
        largest = float(outputs["rmse"].max()) / RHO
        figures["explain_rmse"] = float(np.maximum(figures["explain_rmse"], largest))
        if not largest <= MOST_OF_RHO:
            faults.append(f"explain in {name}: RMSE of {largest:.3g} rho")
        for output, value in outputs.items():
            shape = images.shape if output in ("explanation", "difference") else (2,)
            if value.shape != shape or not np.isfinite(value).all():
                faults.append(f"explain in {name}: {output} is not finite or not of {shape}")
    return figures, faults


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
