"""Requests with anything wrong about them: they are refused, and leave the server as it was."""

import os
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tfrobust.serving.local import Server

NAME = "tiny"
DTYPES = [1, 2, 3, 7, 9, 10, 14, 0, 99]  # of types.proto: float, double, int32, string, …
SIZES = [
    [1, 28, 28, 1], [1], [0], [2**40], [-3, 28, 28, 1], [], [2], [20_000, 28, 28, 1], [20_000],
]  # fmt: skip
IMAGES = np.random.default_rng(0).random((3, 28, 28, 1), np.float32)
PNG = tf.io.encode_png((IMAGES[0] * 255).astype(np.uint8)).numpy()
# The same picture, which claims to have 60,000 × 60,000 pixels.
BOMB = PNG[:16] + 2 * (60_000).to_bytes(4, "big") + PNG[24:]


def resident_mib() -> float:
    """The memory of this process, in which server and clients run."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@st.composite
def hostile(draw) -> predict_pb2.PredictRequest:
    """A request in which anything may be wrong, or nothing."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = draw(st.sampled_from([NAME, NAME, NAME, "", "../tiny", "é\x00"]))
    names = ["serving_default", "explain", "robustness", "predict_bytes", "", "__init__", "x" * 99]
    request.model_spec.signature_name = draw(st.sampled_from(names))
    if draw(st.integers(0, 9)) == 0:
        request.model_spec.version.value = draw(st.integers(-(2**62), 2**62))
    elif draw(st.integers(0, 9)) == 0:
        request.model_spec.version_label = "stable"
    if draw(st.integers(0, 9)) == 0:
        request.output_filter.extend(draw(st.lists(st.sampled_from(["logits", "x"]), max_size=2)))
    for name in draw(
        st.lists(st.sampled_from(["images", "target", "direction", "rho", "encoded"]))
    ):
        tensor = request.inputs[name]
        tensor.dtype = draw(st.sampled_from(DTYPES))
        sizes = draw(st.sampled_from(SIZES))
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


def _told(server: Server, request: predict_pb2.PredictRequest) -> tuple[str, str | None]:
    """The status of the answer, and the error's text."""
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        try:
            stub.Predict(request, timeout=60)
        except grpc.RpcError as error:
            return error.code().name, error.details()
    return "OK", None


def _answered(server: Server, request: predict_pb2.PredictRequest) -> None:
    told = _told(server, request)
    assert told[0] in ("OK", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION"), told


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
    # The process also holds hypothesis' memory, the allocators' and that of a few requests. The
    # picture that claims to be large would take 10 GB.
    assert max(seen) < seen[0] + 500


def asking(signature: str, **inputs: object) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = NAME, signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


def announcing(images: int, **values: list[float] | bytes) -> predict_pb2.PredictRequest:
    """A request that announces more images than it carries, or carries more than it announces."""
    request = asking("serving_default")
    tensor = request.inputs["images"]
    tensor.dtype = tf.float32.as_datatype_enum
    for size in (images, 28, 28, 1):
        tensor.tensor_shape.dim.add(size=size)
    tensor.MergeFrom(type(tensor)(**values))
    return request


def twice() -> predict_pb2.PredictRequest:
    request = asking("serving_default", images=IMAGES)
    request.output_filter.extend(["logits", "logits"])
    return request


# Requests of a few bytes that ask for gigabytes, each with the answer it should get.
GREEDY = {
    "three large pictures": (lambda large: asking("predict_bytes", encoded=[large] * 3), "OK"),
    "more pixels than a batch may have": (
        lambda large: asking("predict_bytes", encoded=[large] * 5),
        "INVALID_ARGUMENT",
    ),
    "a large picture beside one that lies": (
        lambda large: asking("predict_bytes", encoded=[BOMB, large]),
        "INVALID_ARGUMENT",
    ),
    "a number for 20,000 images": (
        lambda large: announcing(20_000, float_val=[0.5]),
        "INVALID_ARGUMENT",
    ),
    "bytes for other images than announced": (
        lambda large: announcing(1, tensor_content=bytes(4 * 28 * 28 * 33)),
        "INVALID_ARGUMENT",
    ),
    "one image too many": (
        lambda large: asking("explain", images=np.resize(IMAGES, (33, 28, 28, 1))),
        "INVALID_ARGUMENT",
    ),
    "three hundred images": (
        lambda large: asking("robustness", images=np.resize(IMAGES, (300, 28, 28, 1))),
        "INVALID_ARGUMENT",
    ),
    "an output twice": (lambda large: twice(), "INVALID_ARGUMENT"),
}


@pytest.mark.slow
def test_two_hundred_greedy_requests_leave_the_server_as_it_was(server, ask) -> None:
    large = tf.io.encode_png(np.zeros((7000, 7000, 1), np.uint8)).numpy()
    assert len(large) < 100_000
    ask("predict_bytes", encoded=[PNG])
    rest, seen = resident_mib(), []
    for number in range(28):
        for kind, (made, status) in GREEDY.items():
            if status == "OK" and number % 7:
                continue  # what is answered takes seconds
            told = _told(server, made(large))
            assert told[0] == status, (kind, told)
            seen.append(resident_mib())
    assert len(seen) == 200
    assert ask(images=IMAGES).outputs
    # A picture of 49 megapixels takes 200 MB while it is made smaller; the fifteen of a round, or
    # 20,000 images from one number, would take gigabytes.
    assert max(seen) < rest + 1024
