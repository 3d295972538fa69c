"""What lies beside a SavedModel in assets.extra/: labels, card, input, and warm-up requests.

TF Serving replays tf_serving_warmup_requests when it loads a version, so that the first request
of a user does not wait for what is computed once.
"""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

FOLDER = "assets.extra"
WARMUP_FILE = "tf_serving_warmup_requests"
RHO = 0.1


def write(folder: Path, card: Mapping[str, Any], *, images: np.ndarray | None) -> None:
    """Writes all of it.

    Args:
        folder: of the version.
        card: what `card.build` gave.
        images: float32 (N, H, W, C) in [0, 1], N at least 1, of which the first warms up; grey
            when None.
    """
    extras = folder / FOLDER
    extras.mkdir()
    (extras / "labels.txt").write_text("".join(f"{_line(name)}\n" for name in card["classes"]))
    (extras / "input.json").write_text(json.dumps(card["input"], indent=1) + "\n")
    (extras / "model_card.json").write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n")
    shape = [1, *card["input"]["shape"][1:]]
    image = np.full(shape, 0.5, np.float32) if images is None else images[:1]
    with tf.io.TFRecordWriter(str(extras / WARMUP_FILE)) as file:
        for name in card["signatures"]:
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(
                    request=request(card["name"], name, image)
                )
            )
            file.write(log.SerializeToString())


def request(model: str, signature: str, image: np.ndarray) -> predict_pb2.PredictRequest:
    """A request for any of the signatures.

    Args:
        model: its name.
        signature: its name.
        image: float32 (1, H, W, C) in [0, 1].
    """
    made = predict_pb2.PredictRequest()
    made.model_spec.name, made.model_spec.signature_name = model, signature
    inputs: dict[str, Any] = {"images": image}
    if signature == "explain":
        inputs |= {
            "target": np.array([-1], np.int32),
            "direction": np.array([1], np.int32),
            "rho": np.array([RHO], np.float32),
        }
    if signature == "predict_bytes":
        inputs = {"encoded": np.array([_png(image[0])], object)}
    for name, value in inputs.items():
        made.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return made


def _png(image: np.ndarray) -> bytes:
    pixels = np.rint(image * 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(file, "PNG")
    return file.getvalue()


def _line(name: str) -> str:
    """A class's name on one line."""
    return " ".join(str(name).split())
