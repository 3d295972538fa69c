"""A small exported network, the local server over it, and one that can be told to fail."""

import shutil
import subprocess
import threading
from concurrent import futures
from pathlib import Path

import grpc
import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tfrobust.exporting import saved_model
from tfrobust.models import HalfHuberReLU
from tfrobust.serving.local import Server
from tfrobust.serving.local_grpc import Services
from tfrobust.serving.settings import Settings

NAME = "tiny"
CLASSES = [f"class {number}" for number in range(10)]


class Faulty(Services):
    """The local server's services, which can be told to fail.

    `unavailable` requests are refused first. Requests for the model "slow" do not end in time.
    """

    def __init__(self, engine) -> None:
        super().__init__(engine)
        self.unavailable = self.asked = 0
        self.release = threading.Event()

    def Predict(self, request, context):
        self.asked += 1
        if self.unavailable:
            self.unavailable -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "try again")
        if request.model_spec.name == "slow":
            self.release.wait(10)
        return super().Predict(request, context)


@pytest.fixture(scope="session")
def version(made_once):
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Conv2D(4, 3, strides=2),
            HalfHuberReLU(),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )

    def write(folder: Path) -> None:
        # Only the signatures are needed here. The gate has its own tests.
        saved_model._write_saved_model(network, folder, CLASSES, bits=None)

    return network, made_once("served", write)


@pytest.fixture(scope="session")
def service(server):
    return Faulty(server.engine)


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
    (whole / "assets.extra" / "samples").mkdir()
    Image.fromarray(np.arange(784, dtype=np.uint8).reshape(28, 28)).save(
        whole / "assets.extra" / "samples" / "0.png"
    )
    # None of these is a whole version.
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


@pytest.fixture(scope="session")
def tls(tmp_path_factory):
    """ca.crt; server, client and stranger with .crt and .key. The stranger signs for himself."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(arguments: str) -> None:
        subprocess.run(["openssl", *arguments.split()], cwd=folder, check=True, capture_output=True)

    new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj"
    openssl(f"{new} /CN=ca -keyout ca.key -out ca.crt")
    openssl(f"{new} /CN=stranger -keyout stranger.key -out stranger.crt")
    for name in ("server", "client"):
        names = "-addext subjectAltName=DNS:localhost,IP:127.0.0.1"
        openssl(
            f"{new} /CN={name} {names} -CA ca.crt -CAkey ca.key -keyout {name}.key -out {name}.crt "
            "-addext basicConstraints=critical,CA:FALSE"
        )
    return folder


@pytest.fixture(scope="session")
def secure(models_folder, tls):
    """The local server with TLS, which lets in whose certificate the CA signed."""
    settings = Settings(
        port=0,
        rest_port=0,
        certificate=tls / "server.crt",
        key=tls / "server.key",
        client_ca=tls / "ca.crt",
    )
    with Server(models_folder, settings) as server:
        yield server


@pytest.fixture(scope="session")
def channel(server):
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(f"127.0.0.1:{server.port}", options) as channel:
        yield channel


@pytest.fixture(scope="session")
def ask(channel):
    """Asks by TF Serving's own stub, without our client."""
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

    def ask(signature: str = "", model: str = NAME, version: int | None = None, **inputs):
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = model, signature
        if version is not None:
            request.model_spec.version.value = version
        for name, value in inputs.items():
            made = isinstance(value, tensor_pb2.TensorProto)
            request.inputs[name].CopyFrom(value if made else tf.make_tensor_proto(value))
        return stub.Predict(request, timeout=60)

    return ask
