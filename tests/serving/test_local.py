"""The local server as a whole: new versions, and folders and ports that it refuses."""

import shutil
import socket
import threading
import time
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tfrobust.errors import InputError, ReportedError
from tfrobust.serving.local import Server
from tfrobust.serving.settings import Settings

NAME = "tiny"
IMAGES = np.random.default_rng(0).random((3, 28, 28, 1), np.float32)


def test_versions_are_exchanged_without_a_failed_request(version, tmp_path: Path, capsys) -> None:
    shutil.copytree(version[1], tmp_path / NAME / "1")
    failed, answered, ended = [], {1: 0, 2: 0}, threading.Event()
    with Server(tmp_path, Settings(port=0, rest_port=None, poll_seconds=0.1)) as server:
        channel = grpc.insecure_channel(f"127.0.0.1:{server.port}")
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        request = predict_pb2.PredictRequest()
        request.model_spec.name = NAME
        request.inputs["images"].CopyFrom(tf.make_tensor_proto(IMAGES[:1]))

        def load() -> None:
            while not ended.is_set():
                try:
                    answered[stub.Predict(request, timeout=30).model_spec.version.value] += 1
                except grpc.RpcError as error:
                    failed.append(error)

        threads = [threading.Thread(target=load) for _ in range(3)]
        for thread in threads:
            thread.start()
        # If a version cannot be loaded, the old one goes on answering.
        (tmp_path / NAME / "5").mkdir()
        (tmp_path / NAME / "5" / "saved_model.pb").write_bytes(b"broken")
        deadline = time.monotonic() + 60
        while "cannot be loaded" not in (said := capsys.readouterr().out):
            assert time.monotonic() < deadline, said
            time.sleep(0.05)
        shutil.rmtree(tmp_path / NAME / "5")
        shutil.copytree(version[1], tmp_path / NAME / "2.tmp")
        (tmp_path / NAME / "2.tmp").rename(tmp_path / NAME / "2")
        while answered[2] < 20:
            assert time.monotonic() < deadline, answered
            time.sleep(0.05)
        ended.set()
        for thread in threads:
            thread.join()
        channel.close()
    assert not failed and answered[1] > 0


def test_refuses_what_it_cannot_serve(models_folder, server, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected models in"):
        Server(tmp_path, Settings(port=0, rest_port=0))
    with pytest.raises(ReportedError, match="another server"):
        Server(models_folder, Settings(port=server.port, rest_port=None))
    with pytest.raises(InputError, match="expected workers of at least 1, got 0"):
        Settings(workers=0)
    # gRPC was started before REST found its port taken. It must not listen any more.
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ReportedError, match="rest_port"):
        Server(models_folder, Settings(port=port, rest_port=server.rest_port))
    with Server(models_folder, Settings(port=port, rest_port=None)) as second:
        assert second.port == port
