"""The local server, asked by TF Serving's own stubs, by REST and by a browser."""

import json
import os
import shutil
import socket
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import grpc
import numpy as np
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tfrobust.cli import check_server
from tfrobust.errors import InputError, ReportedError
from tfrobust.serving import Client, ServerError
from tfrobust.serving.local import Server
from tfrobust.serving.settings import Settings

NAME = "tiny"
IMAGES = np.random.default_rng(0).random((3, 28, 28, 1), np.float32)
PNG = tf.io.encode_png((IMAGES[0] * 255).astype(np.uint8)).numpy()
# The same, but that it claims 60,000 × 60,000 pixels.
BOMB = PNG[:16] + 2 * (60_000).to_bytes(4, "big") + PNG[24:]


@pytest.fixture(scope="module")
def channel(server):
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(f"127.0.0.1:{server.port}", options) as channel:
        yield channel


@pytest.fixture(scope="module")
def ask(channel):
    """TF Serving's stub, not our client."""
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


def resident_mib() -> float:
    """Of this process, where server and clients are."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


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


def http(server: Server, path: str, body: object = None) -> tuple[int, dict]:
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.rest_port}{path}", data) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_rest(server, ask) -> None:
    expected = tf.make_ndarray(ask(images=IMAGES).outputs["logits"])
    images = IMAGES.tolist()
    for body in ({"instances": images}, {"instances": [{"images": image} for image in images]}):
        status, told = http(server, f"/v1/models/{NAME}:predict", body)
        assert status == 200
        np.testing.assert_allclose(
            [row["logits"] for row in told["predictions"]], expected, atol=1e-5
        )
    for path in (f"/v1/models/{NAME}:predict", f"/v1/models/{NAME}/versions/3:predict"):
        status, told = http(server, path, {"inputs": {"images": images}})
        np.testing.assert_allclose(told["outputs"]["logits"], expected, atol=1e-5)
    status, told = http(server, f"/v1/models/{NAME}")
    assert told["model_version_status"][0]["state"] == "AVAILABLE"
    status, told = http(server, f"/v1/models/{NAME}/metadata")
    taken = told["metadata"]["signature_def"]["signature_def"]["explain"]["inputs"]
    assert [taken[name]["dtype"] for name in ("images", "target")] == ["DT_FLOAT", "DT_INT32"]


def explain_of(target: float) -> dict[str, object]:
    wishes = {"target": [target], "direction": [1], "rho": [0.05]}
    return {"signature_name": "explain", "inputs": {"images": IMAGES[:1].tolist(), **wishes}}


def files_of(one: object) -> dict[str, object]:
    return {"signature_name": "predict_bytes", "instances": [one]}


def nested(depth: int) -> object:
    """More lists in each other than Python calls itself, and fewer than JSON may hold."""
    return [nested(depth - 1)] if depth else "x"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/models/other:predict", {"instances": [1]}, 404),
        (f"/v1/models/{NAME}/versions/7:predict", {"instances": [1]}, 404),
        (f"/v1/models/{NAME}:predict", b"{", 400),
        (f"/v1/models/{NAME}:predict", {}, 400),
        (f"/v1/models/{NAME}:predict", {"instances": []}, 400),
        (f"/v1/models/{NAME}:predict", {"instances": [[1], [1, 2]]}, 400),
        (f"/v1/models/{NAME}:predict", {"instances": ["text"]}, 400),
        (f"/v1/models/{NAME}:predict", {"signature_name": "x", "instances": [1]}, 412),
        (f"/v1/models/{NAME}:predict", b" " * (2**20 + 1), 400),
        (f"/v1/models/{NAME}:predict", explain_of(1.5), 400),
        (f"/v1/models/{NAME}:predict", explain_of(2**32), 400),
        (f"/v1/models/{NAME}:predict", explain_of(10), 400),
        (f"/v1/models/{NAME}:predict", files_of({"b64": 5}), 400),
        (f"/v1/models/{NAME}:predict", files_of(nested(700)), 400),
    ],
)
def test_rest_refuses(server, path: str, body: object, status: int) -> None:
    got, told = http(server, path, body)
    assert got == status and told["error"]


def test_a_full_queue_is_unavailable(models_folder) -> None:
    with Server(models_folder, Settings(port=0, rest_port=None, workers=1, queue=0)) as server:
        server.engine._room.acquire()
        with Client(f"127.0.0.1:{server.port}", model=NAME, timeout=0.5) as client:
            with pytest.raises(ServerError) as error:
                client.predict(IMAGES)
            # It asks again, until its time is up.
            assert error.value.code in ("UNAVAILABLE", "DEADLINE_EXCEEDED")
            server.engine._room.release()
        with Client(f"127.0.0.1:{server.port}", model=NAME) as client:
            assert client.predict(IMAGES).logits.shape == (3, 10)


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
        # One that cannot be loaded leaves the old one where it is.
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
    with pytest.raises(InputError, match="workers"):
        Settings(workers=0)
    # What was begun before the second port was found to be taken listens no longer.
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ReportedError, match="rest_port"):
        Server(models_folder, Settings(port=port, rest_port=server.rest_port))
    with Server(models_folder, Settings(port=port, rest_port=None)) as second:
        assert second.port == port


def test_the_page_in_a_browser(server, chromium, tmp_path: Path) -> None:
    picture = tmp_path / "x.png"
    Image.fromarray((IMAGES[0, ..., 0] * 255).astype(np.uint8)).save(picture)
    with chromium(f"http://127.0.0.1:{server.rest_port}/", tmp_path) as page:
        page.wait("at('model').options.length === 1")
        page.wait("state.shape.length === 3")
        document = page.tell("DOM.getDocument")["root"]["nodeId"]
        found = page.tell("DOM.querySelector", nodeId=document, selector="#file")
        page.tell("DOM.setFileInputFiles", nodeId=found["nodeId"], files=[str(picture)])
        page.wait("at('what').textContent.includes('RMSE 0.10')")
        assert page.run("at('classes').rows.length") == 5
        assert page.run("at('target').options.length") == 10
        assert "class 7" in page.run("at('target').textContent")
        assert "is enough to turn the decision" in page.run("at('robust').textContent")
        seen = np.array(page.run("state.image"))
        # The browser's own rounding of grey.
        np.testing.assert_allclose(seen, np.rint(IMAGES[0] * 255) / 255, atol=1.01 / 255)
        before = page.run("at('explanation').toDataURL()")
        page.run("at('rho').value = -15; at('rho').dispatchEvent(new Event('change'))")
        page.wait("at('what').textContent.includes('RMSE 0.15')")
        assert page.run("at('explanation').toDataURL()") != before
        # As TF Serving writes a distance that was not found, which JSON.parse refuses.
        page.run(
            "read(new Response('[Infinity, -Infinity, NaN, 1]')).then((all) => { told = all })"
        )
        page.wait("typeof told === 'object' && told[0] === null && told[3] === 1")
        assert not page.complaints
        own = f"http://127.0.0.1:{server.rest_port}/"
        assert all(url.startswith((own, "data:", "blob:")) for url in page.requests)


DTYPES = [1, 2, 3, 7, 9, 10, 14, 0, 99]  # of types.proto: float, double, int32, string, …


@st.composite
def hostile(draw) -> predict_pb2.PredictRequest:
    """A request with anything wrong about it, or nothing."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = draw(st.sampled_from([NAME, NAME, NAME, "", "../tiny", "é\x00"]))
    names = ["serving_default", "explain", "robustness", "predict_bytes", "", "__init__", "x" * 99]
    request.model_spec.signature_name = draw(st.sampled_from(names))
    if draw(st.integers(0, 9)) == 0:
        request.model_spec.version.value = draw(st.integers(-(2**62), 2**62))
    for name in draw(
        st.lists(st.sampled_from(["images", "target", "direction", "rho", "encoded"]))
    ):
        tensor = request.inputs[name]
        tensor.dtype = draw(st.sampled_from(DTYPES))
        sizes = draw(st.sampled_from([[1, 28, 28, 1], [1], [0], [2**40], [-3, 28, 28, 1], [], [2]]))
        del tensor.tensor_shape.dim[:]
        for size in sizes:
            tensor.tensor_shape.dim.add(size=size)
        number = draw(st.sampled_from([0.5, float("nan"), float("inf"), -1.0, 1e30]))
        kind = draw(st.sampled_from(["float_val", "int_val", "string_val", "content", "nothing"]))
        if kind == "content":
            tensor.tensor_content = draw(st.binary(max_size=64))
        elif kind == "string_val":
            tensor.string_val.append(draw(st.sampled_from([PNG[:40], PNG, BOMB, b"\xff\xd8\xff"])))
        elif kind == "int_val":
            tensor.int_val.append(draw(st.integers(-(2**31), 2**31 - 1)))
        elif kind == "float_val":
            tensor.float_val.append(number)
    return request


def _answered(server: Server, request: predict_pb2.PredictRequest) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        try:
            stub.Predict(request, timeout=60)
        except grpc.RpcError as error:
            told = error.code().name, error.details()
            assert told[0] in ("INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION"), told


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(request=hostile())
def test_hostile_requests_are_refused(server, request) -> None:
    _answered(server, request)


@pytest.mark.slow
def test_a_thousand_hostile_requests_leave_the_server_as_it_was(server, ask) -> None:
    seen: list[float] = []

    @settings(max_examples=1000, deadline=None)
    @given(request=hostile())
    def asked(request: predict_pb2.PredictRequest) -> None:
        _answered(server, request)
        seen.append(resident_mib())

    for signature in ("serving_default", "robustness"):  # what they take once, they keep
        ask(signature, images=IMAGES)
    asked()
    assert ask(images=IMAGES).outputs
    # Memory of the whole process: hypothesis' own, allocators' and a few requests at a time, but
    # not the 10 GB of the picture that claims to be large.
    assert max(seen) < seen[0] + 500


def test_the_list_of_checks(server, capsys) -> None:
    values = SimpleNamespace(server=f"127.0.0.1:{server.port}", model=NAME)
    check_server.check(values)
    said = capsys.readouterr().out
    assert "FAILED" not in said and said.count(": ok") >= 15
