"""The local server's REST routes and its page in a browser."""

import gzip
import json
import tracemalloc
import urllib.error
import urllib.request

import numpy as np
import pytest
import tensorflow as tf

from tfrobust.serving import rest_json
from tfrobust.serving.local import Server
from tfrobust.serving.refused import Refused

NAME = "tiny"
IMAGES = np.random.default_rng(0).random((3, 28, 28, 1), np.float32)


def url_of(server: Server, path: str) -> str:
    return f"http://127.0.0.1:{server.rest_port}{path}"


def http(server: Server, path: str, body: object = None) -> tuple[int, dict]:
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(url_of(server, path), data) as reply:
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
    """Nested lists, deeper than Python's recursion goes but not than JSON allows."""
    return [nested(depth - 1)] if depth else "x"


ASK = f"/v1/models/{NAME}:predict"
IMAGE = IMAGES[0].tolist()
HALF = np.full((28, 28, 1), 0.5).tolist()


def with_one(value: object) -> list:
    """An image in which one pixel is something else."""
    changed = json.loads(json.dumps(HALF))
    changed[3][4] = [value]
    return changed


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/v1/models/other:predict", {"instances": [1]}, 404, "Servable not found"),
        (f"/v1/models/{NAME}/versions/7:predict", {"instances": [1]}, 404, "Specific(tiny, 7)"),
        (f"/v1/models/{NAME}/versions/7", None, 404, "Could not find any versions"),
        (f"/v1/models/{NAME}/versions/{10**30}", None, 400, "Failed to convert version"),
        (f"/v1/models/{NAME}/labels/stable:predict", {"instances": [1]}, 400, "version label"),
        (f"/v1/models/{NAME}/labels/stable", None, 400, "Unrecognized servable version label"),
        (f"/v1/models/{NAME}:classify", {"examples": [{"x": 1}]}, 400, "Was: tensorflow/serving"),
        (f"/v1/models/{NAME}:regress", {"examples": [{"x": 1}]}, 400, "regression signature"),
        (f"/v1/models/{NAME}:other", {}, 400, "Malformed request: POST"),
        (ASK, None, 400, "Malformed request: GET"),
        (f"/v1/models/{NAME}/", None, 400, "Malformed request"),
        ("/v1/models/..%2f..%2fetc", None, 404, "Could not find any versions"),
        ("/elsewhere", None, 404, "nothing at /elsewhere"),
        (ASK, b"{", 400, "JSON Parse error"),
        (ASK, b"", 400, "JSON Parse error"),
        (ASK, b"[" * 200_000, 400, "JSON Parse error"),
        (ASK, [], 400, "Is not object"),
        (ASK, {}, 400, "Missing 'inputs' or 'instances'"),
        (ASK, {"instances": [IMAGE], "inputs": [IMAGE]}, 400, "only one of"),
        (ASK, {"instances": []}, 400, "a list that is not empty"),
        (ASK, {"inputs": None}, 400, "not of expected type: float32"),
        (ASK, {"inputs": [IMAGE], "signature_name": 3}, 400, "must be a string"),
        (ASK, {"instances": [[1], [1, 2]]}, 400, "inhomogeneous"),
        (ASK, {"instances": ["text"]}, 400, "not of expected type: float32"),
        (ASK, {"instances": [with_one(True)]}, 400, "not of expected type: float32"),
        (ASK, {"instances": [with_one("1")]}, 400, "not of expected type: float32"),
        (ASK, {"instances": [with_one(1e39)]}, 400, "without loss of precision"),
        (ASK, {"instances": [with_one(float("nan"))]}, 400, "finite numbers"),
        (ASK, {"instances": 33 * [IMAGE]}, 400, "Task size 33 is larger than maximum"),
        (ASK, {"signature_name": "x", "instances": [1]}, 400, 'name: "x" not found'),
        (ASK, {"signature_name": "explain", "inputs": [IMAGE]}, 400, "got a plain list"),
        (ASK, b" " * (2**20 + 1), 400, "more than 1048576 bytes"),
        (ASK, explain_of(1.5), 400, "not of expected type: int32"),
        (ASK, explain_of(1.0), 400, "not of expected type: int32"),
        (ASK, explain_of(2**32), 400, "without loss of precision"),
        (ASK, explain_of(10), 400, "expected target"),
        (ASK, files_of({"b64": 5}), 400, "input encoded"),
        (ASK, files_of({"b64": "$$$"}), 400, "input encoded"),
        (ASK, files_of(nested(700)), 400, "input encoded"),
    ],
)
def test_rest_refuses_as_tf_serving_does(
    server, path: str, body: object, status: int, said: str
) -> None:
    got, told = http(server, path, body)
    assert got == status and said in told["error"]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_malformed(server, method: str) -> None:
    asked = urllib.request.Request(url_of(server, ASK), method=method)
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(asked)
    assert error.value.code == 400 and "Malformed" in json.load(error.value)["error"]


def test_the_path_in_capitals_and_numbers_without_fraction(server) -> None:
    status, told = http(server, f"/V1/Models/{NAME}:PREDICT", {"instances": [with_one(0)]})
    assert status == 200 and len(told["predictions"]) == 1


def test_bodies_in_gzip(server) -> None:
    body = json.dumps({"instances": [HALF]}).encode()
    headers = {"Content-Encoding": "gzip"}

    def ask(content: bytes) -> tuple[int, dict]:
        try:
            asked = urllib.request.Request(url_of(server, ASK), content, headers)
            with urllib.request.urlopen(asked) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    assert ask(gzip.compress(body))[0] == 200
    for content, said in (
        (body, "expected a body in gzip"),
        (gzip.compress(body)[:-20], "cut off"),
        (gzip.compress(b" " * 2**24), "unpacks to more than 1048576 bytes"),
    ):
        status, told = ask(content)
        assert status == 400 and said in told["error"]


def test_metadata_is_tf_servings(server) -> None:
    _, told = http(server, f"/v1/models/{NAME}/metadata")
    assert told["model_spec"] == {"name": NAME, "signature_name": "", "version": "3"}
    one = told["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert one["method_name"] == "tensorflow/serving/predict"
    images = one["inputs"]["images"]
    assert images["name"].endswith(":0") and images["dtype"] == "DT_FLOAT"
    assert images["tensor_shape"]["unknown_rank"] is False
    assert images["tensor_shape"]["dim"][0] == {"size": "-1", "name": ""}


def test_lists_that_would_take_gigabytes_are_not_read(server, version) -> None:
    body = b'{"instances":[' + b"[]," * 2**23 + b"[]]}"
    with pytest.raises(Refused, match="too many numbers and lists"):
        rest_json.read(body, server.engine.find(NAME))


def test_a_long_string_among_numbers_takes_no_memory(server) -> None:
    body = json.dumps({"inputs": [[0] * 2000 + ['\\"' * 50_000]]}).encode()
    tracemalloc.start()
    try:
        with pytest.raises(Refused, match="not of expected type: float32"):
            rest_json.read(body, server.engine.find(NAME))
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()
