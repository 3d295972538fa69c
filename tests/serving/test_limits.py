"""How much one request, or one client, can take of the server."""

import threading
import time
from collections.abc import Iterator

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tfrobust.serving.engine import Announced
from tfrobust.serving.local import Server
from tfrobust.serving.settings import Settings

NAME = "tiny"
IMAGES = np.random.default_rng(0).random((3, 28, 28, 1), np.float32)


def splat(signature: str, count: int) -> predict_pb2.PredictRequest:
    """A request of a hundred bytes that announces any number of equal images."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = NAME, signature
    wishes = (
        {"target": -1, "direction": 1, "rho": np.float32(0.1)} if signature == "explain" else {}
    )
    request.inputs["images"].CopyFrom(tf.make_tensor_proto(np.float32(0.5), shape=[1, 28, 28, 1]))
    request.inputs["images"].tensor_shape.dim[0].size = count
    for name, value in wishes.items() if signature == "explain" else ():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value, shape=[1]))
        request.inputs[name].tensor_shape.dim[0].size = count
    return request


@pytest.fixture(scope="module")
def patient(models_folder) -> Iterator[Server]:
    """A server that takes long requests."""
    settings = Settings(port=0, rest_port=0, most_images=10**6, message_bytes=2**28, grace=1)
    with Server(models_folder, settings) as server:
        yield server


def stub_of(channel: grpc.Channel) -> prediction_service_pb2_grpc.PredictionServiceStub:
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.mark.parametrize("count", [33, 20_000, 2**40])
@pytest.mark.parametrize("signature", ["serving_default", "explain"])
def test_more_images_than_one_request_may_have(channel, signature: str, count: int) -> None:
    request = splat(signature, count)
    assert request.ByteSize() < 200
    with pytest.raises(grpc.RpcError) as error:
        stub_of(channel).Predict(request, timeout=10)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert error.value.details() == (
        f"Task size {count} is larger than maximum input batch size 32"
    )


def test_as_many_images_as_one_request_may_have(channel) -> None:
    reply = stub_of(channel).Predict(splat("serving_default", 32), timeout=60)
    assert tf.make_ndarray(reply.outputs["logits"]).shape == (32, 10)


def test_what_is_announced_is_not_unpacked_before_its_turn(server, monkeypatch) -> None:
    unpacked: list[str] = []
    monkeypatch.setattr(tf, "make_ndarray", lambda proto: unpacked.append("x"))
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        for request in (splat("serving_default", 33), splat("no such", 1)):
            with pytest.raises(grpc.RpcError):
                stub_of(channel).Predict(request, timeout=10)
    assert not unpacked


def test_inputs_of_other_numbers_of_images(ask) -> None:
    wishes = {"direction": np.ones(2, np.int32), "rho": np.full(2, 0.1, np.float32)}
    with pytest.raises(grpc.RpcError, match="must have equal 0th-dimension size, got \\[2, 3\\]"):
        ask("explain", images=IMAGES, target=np.zeros(2, np.int32), **wishes)
    with pytest.raises(grpc.RpcError, match="expected at least one image, got none"):
        ask(images=IMAGES[:0])


def leave(server: Server, seconds: float) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        with pytest.raises(grpc.RpcError) as error:
            stub_of(channel).Predict(splat("explain", 4000), timeout=seconds)
        assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


def test_the_work_of_clients_who_left_is_dropped(patient: Server) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{patient.port}") as channel:
        stub_of(channel).Predict(splat("serving_default", 1), timeout=60)
        # More than are computed at once: some are dropped while they wait.
        clients = [threading.Thread(target=leave, args=(patient, 0.7)) for _ in range(5)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        began = time.monotonic()
        stub_of(channel).Predict(splat("serving_default", 1), timeout=60)
        assert time.monotonic() - began < 2


def test_predictions_do_not_wait_for_explanations(patient: Server) -> None:
    clients = [threading.Thread(target=leave, args=(patient, 3)) for _ in range(4)]
    for client in clients:
        client.start()
    time.sleep(1)
    with grpc.insecure_channel(f"127.0.0.1:{patient.port}") as channel:
        began = time.monotonic()
        stub_of(channel).Predict(splat("serving_default", 1), timeout=60)
        assert time.monotonic() - began < 1.5
    for client in clients:
        client.join()


def test_blocks_give_what_the_whole_gives(patient: Server, version) -> None:
    images = np.random.default_rng(1).random((19, 28, 28, 1), np.float32)
    inputs = {
        "images": images,
        "target": np.arange(19, dtype=np.int32) % 10,
        "direction": np.ones(19, np.int32),
        "rho": np.full(19, 0.05, np.float32),
    }
    served = patient.engine.find(NAME)
    announced = {name: Announced.of(array) for name, array in inputs.items()}
    found = patient.engine.answer(served, "explain", announced, threading.Event())
    loaded = tf.saved_model.load(str(version[1])).signatures["explain"]
    whole = loaded(**{name: tf.constant(array) for name, array in inputs.items()})
    assert set(found) == set(whole)
    for name, value in whole.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-3, atol=1e-4, err_msg=name)


def test_a_stop_ends_what_is_computed(models_folder) -> None:
    settings = Settings(port=0, rest_port=0, most_images=10**6, message_bytes=2**28, grace=0.5)
    server = Server(models_folder, settings)
    told: list[grpc.StatusCode] = []

    def ask() -> None:
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            try:
                stub_of(channel).Predict(splat("explain", 4000), timeout=120)
            except grpc.RpcError as error:
                told.append(error.code())

    client = threading.Thread(target=ask)
    client.start()
    time.sleep(1)
    began = time.monotonic()
    server.close()
    assert time.monotonic() - began < 3
    client.join()
    assert told and told[0] != grpc.StatusCode.DEADLINE_EXCEEDED
    while server.engine.is_busy:
        assert time.monotonic() - began < 3
        time.sleep(0.02)
