"""What messages take of the gRPC server while they come, and while they wait."""

import contextlib
import http.client
import json
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from peak_memory import peak_mib
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tfrobust.serving import receiving
from tfrobust.serving.budget import FREE, LARGEST, Budget, Counted
from tfrobust.serving.local import Server
from tfrobust.serving.refused import Refused
from tfrobust.serving.settings import Settings

PREDICT = "/tensorflow.serving.PredictionService/Predict"
IMAGE = np.full((1, 28, 28, 1), 0.5, np.float32)
MIB = 2**20
# Sends one message by many connections at once, and counts the answers' codes.
CROWD = """
import collections, json, sys, threading
import grpc
message, told = open(sys.argv[2], "rb").read(), []
together = threading.Barrier(int(sys.argv[3]))

def ask():
    options = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(sys.argv[1], options) as channel:
        grpc.channel_ready_future(channel).result(30)
        together.wait()
        try:
            channel.unary_unary(sys.argv[4])(message, timeout=100)
            told.append("OK")
        except grpc.RpcError as error:
            told.append(error.code().name)

threads = [threading.Thread(target=ask) for _ in range(int(sys.argv[3]))]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(json.dumps(collections.Counter(told)))
"""


def asked(signature: str, **inputs: np.ndarray) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "tiny", signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


def predict(server: Server) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        assert stub.Predict(asked("", images=IMAGE), timeout=60).outputs


def test_a_budget_is_for_what_is_held() -> None:
    budget = Budget(10)
    with Counted(budget) as large, Counted(budget) as small:
        large.grow(FREE - 5)
        large.grow(5 + 10 * LARGEST)
        small.grow(FREE)
        with pytest.raises(Refused, match="Too many large requests come") as refused:
            small.grow(1)
    assert refused.value.code == "RESOURCE_EXHAUSTED"
    with Counted(budget) as large:
        large.grow(FREE + 10 * LARGEST)


@pytest.fixture(scope="module")
def small(models_folder) -> Iterator[Server]:
    """A server with few threads, for messages of 2 MiB."""
    settings = Settings(port=0, rest_port=0, workers=1, queue=2, message_bytes=2 * MIB)
    with Server(models_folder, settings) as server:
        yield server


def test_calls_whose_messages_do_not_come_stop_nobody(small: Server, monkeypatch) -> None:
    monkeypatch.setattr(receiving, "PATIENCE", 0.1)
    monkeypatch.setattr(receiving, "COMING", 4)

    def nothing() -> Iterator[bytes]:
        time.sleep(20)
        yield b""

    with grpc.insecure_channel(f"127.0.0.1:{small.port}") as channel:
        # The server has ten threads.
        calls = [channel.stream_unary(PREDICT).future(nothing()) for _ in range(12)]
        began = time.monotonic()
        predict(small)
        assert time.monotonic() - began < 5
        codes = [call.code().name for call in calls if call.done()]
        assert set(codes) == {"CANCELLED"}
        for call in calls:
            call.cancel()


def test_large_bodies_that_do_not_end_keep_large_ones_out_but_no_small_ones(small: Server) -> None:
    path = "/v1/models/tiny:predict"
    preface = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {2 * MIB}\r\n\r\n"
    with contextlib.ExitStack() as stack:
        told = []
        # Nine times that much above what is free is more than four times 2 MiB.
        for _ in range(9):
            client = socket.create_connection(("127.0.0.1", small.rest_port), timeout=10)
            stack.callback(client.close)
            client.sendall(preface.encode() + b" " * (2 * MIB - 1000))
            told.append(client)
        ready, _, _ = select.select(told, [], [], 10)
        assert ready[0].recv(100).startswith(b"HTTP/1.1 429")
        connection = http.client.HTTPConnection("127.0.0.1", small.rest_port, timeout=10)
        connection.request("POST", path, json.dumps({"instances": IMAGE.tolist()}))
        assert connection.getresponse().status == 200
        connection.close()


@pytest.mark.parametrize(
    ("message", "said"),
    [(b"\xff", "expected a message of its type"), (None, "expected a message, got none")],
)
def test_what_is_no_message(server: Server, message: bytes | None, said: str) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        messages = iter([] if message is None else [message])
        with pytest.raises(grpc.RpcError, match=said) as error:
            channel.stream_unary(PREDICT)(messages, timeout=10)
        assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.slow
def test_many_large_messages_at_once_take_what_is_allowed(models_folder, tmp_path: Path) -> None:
    """Each asks for one image, and holds 15 MiB beside it."""
    one = np.ones(1, np.int32)
    request = asked("explain", images=IMAGE, target=one, direction=one, rho=np.float32([0.1]))
    small = tmp_path / "small"
    small.write_bytes(request.SerializeToString())
    request.inputs["images"].string_val.append(bytes(15 * MIB))
    large = tmp_path / "large"
    large.write_bytes(request.SerializeToString())
    settings = Settings(port=0, rest_port=None, message_bytes=16 * MIB)
    with Server(models_folder, settings) as server:

        def crowd(message: Path, count: int) -> dict[str, int]:
            command = [sys.executable, "-c", CROWD, f"127.0.0.1:{server.port}", message]
            done = subprocess.run(
                [*command, str(count), PREDICT], capture_output=True, text=True, check=True
            )
            return json.loads(done.stdout)

        assert crowd(small, 10) == {"OK": 10}
        crowd(large, 1)
        peak_mib(anew=True)
        rest = peak_mib()
        told = crowd(large, 100)
        taken = peak_mib() - rest
        predict(server)
    assert sum(told.values()) == 100 and set(told) == {"OK", "RESOURCE_EXHAUSTED"}, told
    # 8 come and 4 wait, of 16 MiB each; copies that end at once, and what the allocator keeps of
    # them, take about twice as much again.
    assert taken < 100 * 15 / 2, (taken, told)
