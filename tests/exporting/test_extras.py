"""Labels, card, input specification and warm-up requests beside the SavedModel."""

import json

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tfrobust.exporting import extras, forms

CLASSES = ["cat", "dog", "ship"]


def logged(version):
    path = version / "assets.extra" / "tf_serving_warmup_requests"
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    return [prediction_log_pb2.PredictionLog.FromString(record) for record in records]


def test_labels_card_and_input(version):
    folder = version / "assets.extra"
    assert (folder / "labels.txt").read_text().splitlines() == CLASSES
    card = json.loads((version / "model_card.json").read_text())
    assert json.loads((folder / "input.json").read_text()) == card["input"]
    kept = json.loads((folder / "model_card.json").read_text())
    assert kept["parity"] == card["parity"] and kept["figures"] == card["figures"]


def test_warm_up_asks_every_signature_and_replays_to_the_same_bytes(version, images):
    logs = logged(version)
    requests = [log.predict_log.request for log in logs]
    asked = [request.model_spec.signature_name for request in requests]
    python = forms.saved_model(version)
    assert sorted(asked) == sorted(python) and len(asked) >= 3
    for request in requests:
        assert request.model_spec.name == "tiny"
        inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        np.testing.assert_array_equal(inputs["images"], images[:1])
        name = request.model_spec.signature_name
        first, again = (python[name](inputs) for _ in range(2))
        for key in first:
            # An array of texts holds addresses, so lists are compared.
            assert first[key].tolist() == again[key].tolist()


def test_a_request_with_a_file_holds_the_image(version):
    image = np.linspace(0, 1, 64, dtype=np.float32).reshape(1, 8, 8, 1)
    request = extras.request("tiny", "predict_bytes", image, ["encoded"])
    (file,) = tf.make_ndarray(request.inputs["encoded"])
    pixels = tf.io.decode_png(file, channels=1).numpy()
    np.testing.assert_array_equal(pixels, np.rint(image[0] * 255))


def test_the_first_reference_images_go_along_as_sample_pictures(tmp_path):
    card = {"name": "x", "classes": ["a"], "signatures": [], "input": {"shape": [None, 4, 4, 1]}}
    images = np.linspace(0, 1, 8 * 16, dtype=np.float32).reshape(8, 4, 4, 1)
    for name, given, count in (("six", images, 6), ("two", images[:2], 2), ("none", None, 0)):
        (tmp_path / name).mkdir()
        extras.write(tmp_path / name, card, images=given)
        samples = sorted((tmp_path / name / "assets.extra").glob("samples/*.png"))
        assert [path.name for path in samples] == [f"{number}.png" for number in range(count)]
        for path, image in zip(samples, images, strict=False):
            pixels = tf.io.decode_png(path.read_bytes(), channels=1).numpy()
            np.testing.assert_array_equal(pixels, np.rint(image * 255))
