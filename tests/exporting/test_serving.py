"""What serving/README.md says, tried: TF Serving's own stubs against a gRPC server."""

import re
from concurrent import futures
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrobust.exporting import saved_model
from tfrobust.models import resnet_cifar

grpc = pytest.importorskip("grpc")
pytest.importorskip("tensorflow_serving")

from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc  # noqa: E402

SERVING = Path(__file__).parents[2] / "serving"


class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
    """TF Serving's Predict, over one SavedModel."""

    def __init__(self, folder):
        self.model = tf.saved_model.load(str(folder))

    def Predict(self, request, context):
        assert request.model_spec.name == "fashion_mnist_mini"
        signature = self.model.signatures[request.model_spec.signature_name]
        inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        outputs = signature(**{name: tf.constant(value) for name, value in inputs.items()})
        reply = predict_pb2.PredictResponse()
        for name, value in outputs.items():
            reply.outputs[name].CopyFrom(tf.make_tensor_proto(value.numpy()))
        return reply


@pytest.fixture
def address(tmp_path):
    keras.utils.set_random_seed(0)
    network = resnet_cifar(depth=8, width=2, input_shape=(28, 28, 1))
    # The gate has its own tests; here the signatures alone are needed.
    saved_model._write_saved_model(network, tmp_path, [f"class {number}" for number in range(10)])
    server = grpc.server(futures.ThreadPoolExecutor(1))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(tmp_path), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0).wait()


def test_the_readmes_client(address, capsys):
    snippets = re.findall(r"```python\n(.*?)```", (SERVING / "README.md").read_text(), re.S)
    (snippet,) = [one for one in snippets if "predict_pb2" in one]
    assert "localhost:8500" in snippet
    found = {}
    exec(compile(snippet.replace("localhost:8500", address), "README.md", "exec"), found)
    assert found["predicted"]["logits"].shape == (2, 10)
    names = [f"class {number}".encode() for number in found["predicted"]["class_id"]]
    assert list(found["predicted"]["class_name"]) == names
    assert found["explained"]["explanation"].shape == (2, 28, 28, 1)
    assert np.all(found["explained"]["confidence_after"] > found["explained"]["confidence_before"])
    assert names[0].decode() in capsys.readouterr().out
