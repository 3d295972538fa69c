"""The program serve: its flags, and how it ends."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tfrobust.serving import Client, ServerError


def port_of(line: str) -> int:
    return int(line.split("/#")[0].rstrip("/").rpartition(":")[2])


def test_a_token_a_socket_and_an_end_within_the_grace(
    root: Path, models_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("secret\n")
    command = [sys.executable, root / "tools" / "serve.py", "--models", models_folder]
    command += ["--port", "0", "--rest_port", "0", "--token_file", tmp_path / "token"]
    command += ["--grpc_socket_path", tmp_path / "grpc.sock", "--grace", "1"]
    command += ["--most_images", "1000000", "--message_bytes", "1000000000"]
    with subprocess.Popen(map(str, command), stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        said = ""
        while not said.startswith("gRPC"):
            said = program.stdout.readline()
            assert said or program.poll() is None
        address = f"127.0.0.1:{port_of(said)}"
        page = program.stdout.readline().strip()
        assert page.startswith("page http://127.0.0.1:") and page.endswith("/#token=…")
        for server in (address, f"http://127.0.0.1:{port_of(page)}", f"unix:{tmp_path}/grpc.sock"):
            with Client(server, model="tiny", token="secret") as client:
                assert client.status() == {3: "AVAILABLE"}
            with (
                Client(server, model="tiny") as client,
                pytest.raises(ServerError, match="UNAUTHENTICATED"),
            ):
                client.status()

        def explain() -> None:
            request = predict_pb2.PredictRequest()
            request.model_spec.name, request.model_spec.signature_name = "tiny", "robustness"
            one = tf.make_tensor_proto(np.float32(0.5), shape=[1, 28, 28, 1])
            one.tensor_shape.dim[0].size = 20_000
            request.inputs["images"].CopyFrom(one)
            shown = [("authorization", "Bearer secret")]
            with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError):
                stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
                stub.Predict(request, timeout=60, metadata=shown)

        clients = [threading.Thread(target=explain) for _ in range(3)]
        for client in clients:
            client.start()
        time.sleep(2)
        began = time.monotonic()
        program.send_signal(signal.SIGTERM)
        assert program.wait(20) == 0
        assert time.monotonic() - began < 4
        for client in clients:
            client.join()
