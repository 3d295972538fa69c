"""The local server's gRPC services, asked by TF Serving's own stubs."""

from types import SimpleNamespace

import grpc
import numpy as np
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from tfrobust.cli import check_server
from tfrobust.serving import Client, ServerError
from tfrobust.serving.local import Server
from tfrobust.serving.settings import Settings

NAME = "tiny"
IMAGES = np.random.default_rng(0).random((3, 28, 28, 1), np.float32)


def code(error) -> str:
    return error.value.code().name


def test_every_signature_gives_the_exported_models_numbers(ask, version) -> None:
    loaded = tf.saved_model.load(str(version[1])).signatures
    wishes = {
        "target": np.array([-1, 0, 1], np.int32),
        "direction": np.array([1, -1, 1], np.int32),
        "rho": np.full(3, 0.05, np.float32),
    }
    files = [tf.io.encode_png((image * 255).astype(np.uint8)).numpy() for image in IMAGES]
    asked = {
        "serving_default": {"images": IMAGES},
        "": {"images": IMAGES},
        "explain": {"images": IMAGES, **wishes},
        "robustness": {"images": IMAGES},
        "predict_bytes": {"encoded": np.array(files, object)},
    }
    for name, inputs in asked.items():
        reply = ask(name, **inputs)
        assert reply.model_spec.version.value == 3
        expected = loaded[name or "serving_default"](
            **{key: tf.constant(value) for key, value in inputs.items()}
        )
        assert set(reply.outputs) == set(expected)
        for key, value in expected.items():
            got = tf.make_ndarray(reply.outputs[key])
            if value.dtype == tf.string:
                assert got.tolist() == value.numpy().tolist()
            else:
                np.testing.assert_allclose(got, value, rtol=1e-5, atol=1e-6)


def asked_for(target: int = 1, direction: int = 1, rho: float = 0.05) -> dict[str, np.ndarray]:
    return {
        "images": IMAGES[:1],
        "target": np.array([target], np.int32),
        "direction": np.array([direction], np.int32),
        "rho": np.array([rho], np.float32),
    }


REFUSED = [
    ({"model": "other", "images": IMAGES}, "NOT_FOUND"),
    ({"model": "../tiny", "images": IMAGES}, "NOT_FOUND"),
    ({"model": "", "images": IMAGES}, "INVALID_ARGUMENT"),
    ({"version": 4, "images": IMAGES}, "NOT_FOUND"),
    ({"signature": "train", "images": IMAGES}, "FAILED_PRECONDITION"),
    ({}, "INVALID_ARGUMENT"),
    ({"images": IMAGES, "more": IMAGES}, "INVALID_ARGUMENT"),
    ({"images": IMAGES.astype(np.float64)}, "INVALID_ARGUMENT"),
    ({"images": IMAGES[..., 0]}, "INVALID_ARGUMENT"),
    ({"images": IMAGES[:, :5]}, "INVALID_ARGUMENT"),
    ({"images": np.float32(1)}, "INVALID_ARGUMENT"),
    ({"signature": "explain", "images": IMAGES}, "INVALID_ARGUMENT"),
    ({"signature": "predict_bytes", "encoded": [b"no picture"]}, "INVALID_ARGUMENT"),
    ({"images": IMAGES * np.nan}, "INVALID_ARGUMENT"),
    ({"signature": "robustness", "images": IMAGES * np.inf}, "INVALID_ARGUMENT"),
    ({"signature": "explain", **asked_for(target=10)}, "INVALID_ARGUMENT"),
    ({"signature": "explain", **asked_for(target=-2)}, "INVALID_ARGUMENT"),
    ({"signature": "explain", **asked_for(direction=0)}, "INVALID_ARGUMENT"),
    ({"signature": "explain", **asked_for(rho=float("nan"))}, "INVALID_ARGUMENT"),
    ({"signature": "explain", **asked_for(rho=-0.1)}, "INVALID_ARGUMENT"),
    ({"images": np.zeros((400, 28, 28, 1), np.float32)}, "RESOURCE_EXHAUSTED"),
]


@pytest.mark.parametrize(("asked", "expected"), REFUSED)
def test_codes_are_those_of_tf_serving(ask, asked: dict, expected: str) -> None:
    with pytest.raises(grpc.RpcError) as error:
        ask(**asked)
    assert code(error) == expected, error.value.details()


def test_a_tensor_that_announces_more_than_it_holds_is_not_made(ask) -> None:
    huge = tf.make_tensor_proto(np.ones(1, np.float32))
    del huge.tensor_shape.dim[:]
    for size in (1 << 20, 28, 28, 1):
        huge.tensor_shape.dim.add(size=size)
    with pytest.raises(grpc.RpcError) as error:
        ask(images=huge)
    assert code(error) == "INVALID_ARGUMENT"
    huge.tensor_shape.dim[0].size = -5
    with pytest.raises(grpc.RpcError) as error:
        ask(images=huge)
    assert code(error) == "INVALID_ARGUMENT"
    assert ask(images=IMAGES).outputs  # it lives


def test_metadata_status_and_health(channel, server) -> None:
    with Client(f"127.0.0.1:{server.port}", model=NAME) as client:
        assert set(client.metadata()) >= {"serving_default", "explain", "robustness"}
        assert client.status() == {3: "AVAILABLE"}
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["nothing"])
    request.model_spec.name = NAME
    with pytest.raises(grpc.RpcError) as error:
        stub.GetModelMetadata(request)
    assert code(error) == "INVALID_ARGUMENT"
    status = get_model_status_pb2.GetModelStatusRequest()
    status.model_spec.name = "other"
    with pytest.raises(grpc.RpcError) as error:
        model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(status)
    assert code(error) == "NOT_FOUND"
    reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert reply.status == health_pb2.HealthCheckResponse.SERVING


def test_a_full_queue_is_unavailable(models_folder) -> None:
    with Server(models_folder, Settings(port=0, rest_port=None, workers=1, queue=0)) as server:
        server.engine._predictions.room.acquire()
        with Client(f"127.0.0.1:{server.port}", model=NAME, timeout=0.5) as client:
            with pytest.raises(ServerError) as error:
                client.predict(IMAGES)
            # The client asks again until its time is up.
            assert error.value.code in ("UNAVAILABLE", "DEADLINE_EXCEEDED")
            server.engine._predictions.room.release()
        with Client(f"127.0.0.1:{server.port}", model=NAME) as client:
            assert client.predict(IMAGES).logits.shape == (3, 10)


def test_the_list_of_checks(server, capsys) -> None:
    values = SimpleNamespace(server=f"127.0.0.1:{server.port}", model=NAME)
    check_server.check(values)
    said = capsys.readouterr().out
    assert "FAILED" not in said and said.count(": ok") >= 15
