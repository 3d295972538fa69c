"""The gate before a version appears: every form of the network must give the same answers.

The Keras network is the measure. It is compared with the Keras file read back, with the SavedModel
as Python loads it, in a Session (the C++ path that TF Serving takes) and by `saved_model_cli`, and
with ONNX in onnxruntime. Compared are the logits, the gradients that explanations are made of, and
whole explanations.
"""

import collections
import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfrobust.core.door import as_whole
from tfrobust.core.loading import KERAS_FILE
from tfrobust.errors import ReportedError, reason_of
from tfrobust.exporting import explanation_parity, forms, logit_parity

MOST_IMAGES = 64
RANDOM_IMAGES = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parity:
    """How far the forms of a network are apart.

    Args:
        images: number of images compared, in batches of 1, 3, 32 and all.
        random_images: whether the images were noise, as no real ones were given.
        largest_logit: the largest absolute logit of the Keras network.
        tolerance: the largest absolute difference of logits that is allowed.
        keras_file: the largest difference seen for network.keras, read back; 0 without the file.
        saved_model: the same for the SavedModel in Python.
        session: the same for the SavedModel in a Session.
        saved_model_cli: the same for one image by `saved_model_cli run`.
        onnx: the same for onnxruntime; 0 without classifier.onnx.
        predict_bytes: the same for PNG files; 0 if the network takes no pictures.
        gradient_saved_model: the largest relative difference of an image's gradient, over 8
            perturbed images, or over two explanations if the network has more than a million
            weights; at most 1e-3 is allowed.
        gradient_session: the same for the SavedModel in a Session.
        gradient_onnx: the same for onnxruntime; 0 without explainer.onnx.
        explain_keras: the largest RMSE between explanations of one image by Keras with and
            without compilation; infinite where XLA cannot compile the network. None for a network
            with more than a million weights whose forms all explain within 1e-4 of Keras: it is
            not compiled.
        explain_saved_model: the largest RMSE between explanations by the SavedModel in Python and
            by Keras without compilation.
        explain_session: the same for the SavedModel in a Session.
        explain_onnx: the same for onnxruntime; 0 without explainer.onnx.
        explain_stable: whether `explain_keras` is at most 1e-5, or None. The other three must then
            be at most 1e-4. Otherwise the search is numerically unstable: no form is wrong, but
            each finds an explanation of its own.
        explain_rmse: the largest size of an explanation by any form, in units of rho.
    """

    images: int
    random_images: bool
    largest_logit: float
    tolerance: float
    keras_file: float = 0.0
    saved_model: float
    session: float
    saved_model_cli: float
    onnx: float = 0.0
    predict_bytes: float
    gradient_saved_model: float
    gradient_session: float
    gradient_onnx: float = 0.0
    explain_keras: float | None
    explain_saved_model: float
    explain_session: float
    explain_onnx: float = 0.0
    explain_stable: bool
    explain_rmse: float


class ParityError(ReportedError, RuntimeError):
    """The forms disagree, and nothing was exported.

    Args:
        faults: the name of a form → a sentence for each disagreement. A form that may be left out
            has the name of its file.
        figures: what was measured; None if a form could not be read.
    """

    def __init__(self, faults: Mapping[str, Sequence[str]], figures: Parity | None = None) -> None:
        told = "; ".join(fault for one in faults.values() for fault in one)
        super().__init__(
            f"the exported forms of the network disagree: {told}. Nothing was exported. "
            f"Measured: {figures}"
        )
        self.faults, self.figures = faults, figures


def check(
    network: keras.Model,
    folder: Path,
    *,
    class_names: Sequence[str],
    images: np.ndarray | None = None,
    temperature: float = 1.0,
) -> Parity:
    """Compares what was written with the network that it was written from.

    Args:
        network: float32 images (B, H, W, C) in [0, 1] → logits (B, K).
        folder: holds the SavedModel and, where they were made, network.keras, classifier.onnx and
            explainer.onnx.
        class_names: K names.
        images: float32 (N, H, W, C) in [0, 1]; the first 64 are compared. Seeded noise when None.
        temperature: of the probabilities.

    Returns:
        How far the forms are apart.

    Raises:
        ParityError: a form differs by more than is allowed: 1e-5·max(1, largest |logit|) for
            logits, 1e-3 relatively for gradients, 1e-4 RMSE for stable explanations. Or another
            output contradicts the logits.
    """
    random_images = images is None
    if images is None:
        shape = (RANDOM_IMAGES, *network.input_shape[1:])
        images = np.random.default_rng(0).uniform(size=shape).astype(np.float32)
    images = images[:MOST_IMAGES]
    faults: dict[str, list[str]] = collections.defaultdict(list)
    with _full_float32(), forms.session(folder) as session:
        python = forms.saved_model(folder)
        classifiers = {
            "saved_model": python["serving_default"],
            "session": session["serving_default"],
        }
        explainers = {"saved_model": python["explain"], "session": session["explain"]}
        if (folder / KERAS_FILE).exists():
            classifiers["keras_file"] = _keras_file(folder)
        if (folder / forms.ONNX_FILE).exists():
            classifiers["onnx"] = forms.onnx_file(folder / forms.ONNX_FILE)
        if (folder / forms.EXPLAINER_FILE).exists():
            explainers["onnx"] = forms.onnx_file(folder / forms.EXPLAINER_FILE)
        logit_figures, logit_faults = logit_parity.compare(
            network,
            images,
            class_names=class_names,
            classifiers=classifiers,
            command_line=forms.command_line(folder, "serving_default"),
            picture_readers=[
                form["predict_bytes"] for form in (python, session) if "predict_bytes" in form
            ],
            temperature=temperature,
        )
        for name, fault in logit_faults:
            files = {"keras_file": KERAS_FILE, "onnx": forms.ONNX_FILE}
            faults[files.get(name, name)].append(fault)
        explainer_figures, explainer_faults = explanation_parity.compare(
            network, images, explainers
        )
        for name, fault in explainer_faults:
            faults[forms.EXPLAINER_FILE if name == "onnx" else name].append(fault)
        robustness = {"saved_model": python["robustness"], "session": session["robustness"]}
        several = as_whole(network).thresholds is not None
        large = network.count_params() > explanation_parity.LARGE
        for name, fault in explanation_parity.contradictions(
            robustness, images, several=several, large=large
        ):
            faults[name].append(fault)
    figures = Parity(
        images=len(images),
        random_images=random_images,
        **logit_figures,
        **explainer_figures,
    )
    faults = {name: found for name, found in faults.items() if found}
    if faults:
        raise ParityError(faults, figures)
    return figures


def _keras_file(folder: Path) -> forms.Signature:
    try:
        return forms.keras_file(folder)
    except Exception as error:
        fault = f"the Keras file cannot be read back: {reason_of(error)}"
        raise ParityError({KERAS_FILE: [fault]}) from error


@contextlib.contextmanager
def _full_float32() -> Iterator[None]:
    """Switches off TensorFloat-32, whose ten bits alone would exceed the tolerance on a GPU."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)
