"""A server of TF Serving's protocol over one exported network, small enough to read."""

import shutil
import threading
from concurrent import futures

import grpc
import keras
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tfrobust.exporting import saved_model
from tfrobust.models import resnet_cifar
from tfrobust.serving.local import Server
from tfrobust.serving.settings import Settings

NAME = "tiny"
CLASSES = [f"class {number}" for number in range(10)]


class Service(
    prediction_service_pb2_grpc.PredictionServiceServicer,
    model_service_pb2_grpc.ModelServiceServicer,
):
    """Predict, GetModelMetadata and GetModelStatus as TF Serving answers them.

    `unavailable` requests are refused first; requests for the model "slow" never end in time.
    """

    def __init__(self, folder) -> None:
        self.model = tf.saved_model.load(str(folder))
        proto = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
        self.signatures = proto.meta_graphs[0].signature_def
        self.unavailable = self.asked = 0
        self.release = threading.Event()

    def _check(self, request, context) -> None:
        self.asked += 1
        if self.unavailable:
            self.unavailable -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "try again")
        if request.model_spec.name == "slow":
            self.release.wait(10)
        elif request.model_spec.name != NAME:
            context.abort(grpc.StatusCode.NOT_FOUND, "Servable not found for request")

    def Predict(self, request, context):
        self._check(request, context)
        name = request.model_spec.signature_name
        if name not in self.model.signatures:
            context.abort(
                grpc.StatusCode.FAILED_PRECONDITION, f"Serving signature {name} not found"
            )
        inputs = {key: tf.constant(tf.make_ndarray(one)) for key, one in request.inputs.items()}
        reply = predict_pb2.PredictResponse()
        for key, value in self.model.signatures[name](**inputs).items():
            reply.outputs[key].CopyFrom(tf.make_tensor_proto(value.numpy()))
        return reply

    def GetModelMetadata(self, request, context):
        self._check(request, context)
        reply = get_model_metadata_pb2.GetModelMetadataResponse()
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for name in self.signatures:
            signatures.signature_def[name].CopyFrom(self.signatures[name])
        reply.metadata["signature_def"].Pack(signatures)
        return reply

    def GetModelStatus(self, request, context):
        self._check(request, context)
        reply = get_model_status_pb2.GetModelStatusResponse()
        reply.model_version_status.add(version=3, state=30)
        return reply


@pytest.fixture(scope="session")
def version(tmp_path_factory):
    keras.utils.set_random_seed(0)
    network = resnet_cifar(depth=8, width=2, input_shape=(28, 28, 1))
    folder = tmp_path_factory.mktemp("served")
    # The gate has its own tests; here the signatures alone are needed.
    saved_model._write_saved_model(network, folder, CLASSES)
    return network, folder


@pytest.fixture(scope="session")
def service(version):
    return Service(version[1])


@pytest.fixture(scope="session")
def address(service):
    server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    service.release.set()
    server.stop(0).wait()


@pytest.fixture(scope="session")
def models_folder(version, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    whole = folder / "tiny" / "3"
    shutil.copytree(version[1], whole)
    (whole / "assets.extra").mkdir()
    (whole / "assets.extra" / "labels.txt").write_text("\n".join(CLASSES) + "\n")
    # What is no version, or not yet.
    shutil.copytree(version[1], folder / "tiny" / "9.tmp")
    (folder / "tiny" / "notes").mkdir()
    (folder / "README.md").write_text("no model")
    return folder


@pytest.fixture(scope="session")
def server(models_folder):
    """The local server, on free ports."""
    settings = Settings(port=0, rest_port=0, poll_seconds=0.1, message_bytes=2**20)
    with Server(models_folder, settings) as server:
        yield server
