"""Writes assets.extra/ of a SavedModel: labels, card, inputs, sample pictures, warm-up requests.

TF Serving replays the warm-up requests when it loads a version. A user's first request then does
not wait for what TensorFlow prepares at a first call.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from tfrobust.core.images import GREY_OR_COLOUR
from tfrobust.datasets.pictures import encode_png

FOLDER = "assets.extra"
# Pictures to begin with, for the local server's page.
SAMPLES, MOST_SAMPLES = "samples", 6
WARMUP_FILE = "tf_serving_warmup_requests"
RHO = 0.1


def write(folder: Path, card: Mapping[str, Any], *, images: np.ndarray | None) -> None:
    """Writes the folder assets.extra/.

    Args:
        folder: the version's folder.
        card: what `card.build` gave.
        images: float32 (N, H, W, C) in [0, 1], N at least 1. The first is the image of the warm-up
            requests, and the first ones are the sample pictures. When None, a grey image and none.
    """
    extras = folder / FOLDER
    extras.mkdir()
    # A label is a line, so line breaks in a name become spaces.
    names = [" ".join(name.split()) for name in card["classes"]]
    texts = {
        "labels.txt": "".join(f"{name}\n" for name in names),
        "input.json": json.dumps(card["input"], indent=1) + "\n",
        "model_card.json": json.dumps(card, indent=1, ensure_ascii=False) + "\n",
    }
    for file, text in texts.items():
        (extras / file).write_text(text, encoding="utf-8")
    if images is not None and images.shape[-1] in GREY_OR_COLOUR:
        (extras / SAMPLES).mkdir()
        for number, sample in enumerate(images[:MOST_SAMPLES]):
            (extras / SAMPLES / f"{number}.png").write_bytes(_png(sample))
    shape = [1, *card["input"]["shape"][1:]]
    image = np.full(shape, 0.5, np.float32) if images is None else images[:1]
    with tf.io.TFRecordWriter(str(extras / WARMUP_FILE)) as file:
        for name in card["signatures"]:
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(
                    request=request(
                        card["name"], name, image, list(card["signatures"][name]["inputs"])
                    )
                )
            )
            file.write(log.SerializeToString())


def request(
    model: str, signature: str, image: np.ndarray, inputs: Sequence[str]
) -> predict_pb2.PredictRequest:
    """Makes a request for one of the signatures.

    Args:
        model: the model's name.
        signature: the signature's name.
        image: float32 (1, H, W, C) in [0, 1].
        inputs: the names of the signature's inputs.
    """
    made = predict_pb2.PredictRequest()
    made.model_spec.name, made.model_spec.signature_name = model, signature
    values: dict[str, Any] = {
        "images": image,
        "target": np.array([-1], np.int32),
        "direction": np.array([1], np.int32),
        "rho": np.array([RHO], np.float32),
    }
    if "encoded" in inputs:
        values["encoded"] = np.array([_png(image[0])], object)
    for name in inputs:
        made.inputs[name].CopyFrom(tf.make_tensor_proto(values[name]))
    return made


def _png(image: np.ndarray) -> bytes:
    """A picture, float (H, W, 1 or 3) in [0, 1], as a PNG file."""
    return encode_png(np.rint(image * 255).astype(np.uint8))
