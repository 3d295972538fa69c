"""KServe's own server and clients over the small exported network, in one process."""

import asyncio
import base64
import json
import re
import threading
import time
import tracemalloc
import urllib.error
import urllib.request

import numpy as np
import pytest

kserve = pytest.importorskip("kserve", reason="needs the extra kserve")

import grpc  # noqa: E402
import tensorflow as tf  # noqa: E402
from kserve import InferInput, InferRequest, context, model_server  # noqa: E402
from kserve.errors import InvalidInput  # noqa: E402
from kserve.predictor_config import PredictorConfig  # noqa: E402
from kserve.protocol.infer_type import RequestedOutput  # noqa: E402

from tfrobust.errors import InputError  # noqa: E402
from tfrobust.serving.kserve.body_limit import BodyLimit  # noqa: E402
from tfrobust.serving.kserve.explainer import PredictorExplainer  # noqa: E402
from tfrobust.serving.kserve.model import Served, signature_models  # noqa: E402
from tfrobust.serving.kserve.tensors import announced  # noqa: E402
from tfrobust.serving.kserve.unavailable import Unavailable  # noqa: E402
from tfrobust.serving.settings import Settings  # noqa: E402

# The model on KServe's server, and the explainer there of the local server's model.
MODEL, EXPLAINED = "digits", "tiny"
SETTINGS = Settings(most_images=4, message_bytes=2**20)
IMAGES = np.random.default_rng(0).random((3, 28, 28, 1)).astype(np.float32)
WISHES = {
    "target": np.array([1, -1, 5], np.int32),
    "direction": np.array([1, -1, 1], np.int32),
    "rho": np.array([0.05, 0.1, 0.2], np.float32),
}
DEFAULTS = {
    "target": np.full(3, -1, np.int32),
    "direction": np.full(3, 1, np.int32),
    "rho": np.full(3, 0.1, np.float32),
}
DATATYPES = {"float32": "FP32", "int32": "INT32", "object": "BYTES"}


class Threaded(model_server.ModelServer):
    """KServe's server, which can listen to signals in the main thread only."""

    def register_signal_handler(self) -> None:
        pass


@pytest.fixture(scope="module")
def addresses(models_folder, server, free_port):
    """REST and gRPC addresses of KServe's server; it has one for each process."""
    http_port, grpc_port = free_port(), free_port()
    served = Served(MODEL, models_folder / "tiny", SETTINGS)
    failed: list[BaseException] = []

    def run() -> None:
        asyncio.set_event_loop(asyncio.new_event_loop())
        predictor = PredictorConfig(f"127.0.0.1:{server.rest_port}")
        models = [*signature_models(served), PredictorExplainer(EXPLAINED, SETTINGS.most_images)]
        try:
            model_server.app.add_middleware(BodyLimit, most=SETTINGS.message_bytes)
            made = Threaded(http_port=http_port, grpc_port=grpc_port, predictor_config=predictor)
            made.start(models)
        except BaseException as error:
            failed.append(error)
            raise

    threading.Thread(target=run, daemon=True).start()
    url, deadline = f"http://127.0.0.1:{http_port}", time.monotonic() + 60
    while time.monotonic() < deadline and not failed:
        try:
            ask(url, "/v2/health/ready")
            break
        except OSError:
            time.sleep(0.1)
    else:
        raise AssertionError(f"the server did not start: {failed}")
    yield url, f"127.0.0.1:{grpc_port}"
    served.close()


def ask(url: str, path: str, body: object = None) -> tuple[int, dict]:
    """The status and the JSON that answer a request without a client of KServe's."""
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.fixture(scope="module")
def expected(version):
    """What the SavedModel itself says: a function of the signature and its inputs."""
    loaded = tf.saved_model.load(str(version[1]))

    def numbers(signature: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        tensors = {name: tf.constant(value) for name, value in inputs.items()}
        return {key: one.numpy() for key, one in loaded.signatures[signature](**tensors).items()}

    return numbers


def assert_equal(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        got = np.asarray(found[name])
        assert got.shape == value.shape, name
        if value.dtype == object:
            texts = [one if isinstance(one, str) else one.decode() for one in got]
            assert texts == [one.decode() for one in value]
        else:
            np.testing.assert_allclose(got.astype(float), value.astype(float), atol=1e-6, rtol=0)


def columns(rows: list[dict]) -> dict[str, np.ndarray]:
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def v1(url: str, verb: str, model: str, body: dict) -> dict:
    """By KServe's REST client."""

    async def asked() -> dict:
        client = kserve.InferenceRESTClient(kserve.RESTConfig(protocol="v1"))
        async with client:
            return await getattr(client, verb)(url, data=body, model_name=model)

    return asyncio.run(asked())


def v2_request(model: str, inputs: dict[str, np.ndarray], *, binary=True, outputs=None):
    tensors = []
    for name, array in inputs.items():
        one = InferInput(name, list(array.shape), DATATYPES[str(array.dtype)])
        one.set_data_from_numpy(array, binary_data=binary)
        tensors.append(one)
    return InferRequest(model, tensors, request_id="7", request_outputs=outputs)


def v2(addresses: tuple[str, str], protocol: str, request: InferRequest):
    """By KServe's REST or gRPC client."""

    async def asked():
        if protocol == "grpc":
            async with kserve.InferenceGRPCClient(addresses[1], timeout=60) as client:
                return await client.infer(request)
        async with kserve.InferenceRESTClient(kserve.RESTConfig(protocol="v2")) as client:
            return await client.infer(addresses[0], request, model_name=request.model_name)

    return asyncio.run(asked())


def arrays(response) -> dict[str, np.ndarray]:
    return {one.name: one.as_numpy() for one in response.outputs}


def test_v1_predict(addresses, expected):
    found = v1(addresses[0], "infer", MODEL, {"instances": IMAGES.tolist()})
    assert_equal(columns(found["predictions"]), expected("serving_default", images=IMAGES))


def test_v1_predict_takes_the_signatures_name_as_tf_serving_does(addresses, expected):
    body = {"signature_name": "robustness", "instances": IMAGES.tolist()}
    found = v1(addresses[0], "infer", MODEL, body)
    assert_equal(columns(found["predictions"]), expected("robustness", images=IMAGES))


# The model itself, and the explainer that asks a predictor.
@pytest.mark.parametrize("model", [MODEL, EXPLAINED])
def test_v1_explain_takes_the_body_of_predict(addresses, expected, model):
    found = v1(addresses[0], "explain", model, {"instances": IMAGES.tolist()})
    assert_equal(columns(found["explanations"]), expected("explain", images=IMAGES, **DEFAULTS))


@pytest.mark.parametrize("model", [MODEL, EXPLAINED])
def test_v1_explain_takes_wishes(addresses, expected, model):
    inputs = {"images": IMAGES, **WISHES}
    rows = [{name: one[row].tolist() for name, one in inputs.items()} for row in range(3)]
    found = v1(addresses[0], "explain", model, {"instances": rows})
    assert_equal(columns(found["explanations"]), expected("explain", **inputs))


def test_the_explainer_passes_predictions_on(addresses, expected):
    found = v1(addresses[0], "infer", EXPLAINED, {"instances": IMAGES.tolist()})
    assert_equal(columns(found["predictions"]), expected("serving_default", images=IMAGES))


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize(
    ("signature", "inputs"),
    [
        ("serving_default", {}),
        ("robustness", {}),
        ("explain", WISHES),
    ],
)
def test_v2_infer(addresses, expected, protocol, binary, signature, inputs):
    model = MODEL if signature == "serving_default" else f"{MODEL}-{signature}"
    inputs = {"images": IMAGES, **inputs}
    response = v2(addresses, protocol, v2_request(model, inputs, binary=binary))
    assert (response.id, response.model_name) == ("7", model)
    # The SDK's REST client does not read the version.
    assert response.model_version == ("3" if protocol == "grpc" else None)
    assert_equal(arrays(response), expected(signature, **inputs))


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_v2_explain_needs_images_only(addresses, expected, protocol):
    response = v2(addresses, protocol, v2_request(f"{MODEL}-explain", {"images": IMAGES}))
    assert_equal(arrays(response), expected("explain", images=IMAGES, **DEFAULTS))


def test_files(addresses, expected):
    one = np.rint(IMAGES[0] * 255).astype(np.uint8)
    files = np.array([tf.io.encode_png(one).numpy()] * 2, object)
    wanted = expected("predict_bytes", encoded=files)
    request = v2_request(f"{MODEL}-predict_bytes", {"encoded": files})
    assert_equal(arrays(v2(addresses, "grpc", request)), wanted)
    rows = [{"b64": base64.b64encode(one).decode()} for one in files]
    found = v1(addresses[0], "infer", f"{MODEL}-predict_bytes", {"instances": rows})
    assert_equal(columns(found["predictions"]), wanted)


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_v2_gives_the_outputs_that_are_requested(addresses, protocol):
    outputs = [RequestedOutput("class_id"), RequestedOutput("logits")]
    response = v2(addresses, protocol, v2_request(MODEL, {"images": IMAGES}, outputs=outputs))
    assert set(arrays(response)) == {"class_id", "logits"}


def test_readiness_and_metadata(addresses):
    url = addresses[0]
    assert ask(url, f"/v1/models/{MODEL}") == (200, {"name": MODEL, "ready": True})
    assert ask(url, f"/v2/models/{MODEL}-explain/ready")[1]["ready"] is True
    assert ask(url, "/v2/models/nobody/ready")[0] == 404
    names = {f"{MODEL}-{key}" for key in ("explain", "robustness", "predict_bytes")}
    assert names | {MODEL, EXPLAINED} == set(ask(url, "/v2/models")[1]["models"])
    told = ask(url, f"/v2/models/{MODEL}-explain")[1]
    inputs = {one["name"]: (one["datatype"], one["shape"]) for one in told["inputs"]}
    assert inputs["images"] == ("FP32", [-1, 28, 28, 1]) and inputs["target"] == ("INT32", [-1])
    outputs = {one["name"] for one in ask(url, f"/v2/models/{MODEL}")[1]["outputs"]}
    assert outputs == {"logits", "probabilities", "class_id", "class_name"}

    async def asked() -> bool:
        async with kserve.InferenceGRPCClient(addresses[1]) as client:
            return await client.is_model_ready(MODEL) and await client.is_server_ready()

    assert asyncio.run(asked())


MANY = np.zeros((5, 28, 28, 1), np.float32)
TENSOR = {"name": "images", "shape": [1, 28, 28, 1], "datatype": "FP32", "data": [0.0] * 784}
V1, V2 = f"/v1/models/{MODEL}", f"/v2/models/{MODEL}"


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        (f"{V1}:predict", {"instances": MANY.tolist()}, "Task size 5 is larger than maximum"),
        (f"{V1}:explain", {"instances": MANY.tolist()}, "Task size 5 is larger than maximum"),
        (f"/v1/models/{EXPLAINED}:explain", {"instances": MANY.tolist()}, "at most 4 images"),
        (f"{V1}:predict", {"instances": [[1, 2]]}, r"expected shape \[None, 28, 28, 1\]"),
        (f"{V1}:predict", {"rows": []}, "Missing 'inputs' or 'instances'"),
        (f"{V1}:predict", [1], "expected a JSON object"),
        (f"{V1}:explain", {"inputs": []}, "expected an object with 'instances'"),
        (f"{V1}:explain", {"instances": []}, "a list that is not empty"),
        (f"/v1/models/{EXPLAINED}:explain", {"instances": [[1]]}, "images"),
        (f"{V1}:predict", {"signature_name": "x", "instances": [1]}, '"x" not found'),
        (f"{V1}:predict", b'{"instances": ', "Unrecognized request format"),
        (f"{V2}/infer", {"inputs": [TENSOR | {"data": [0.0]}]}, "cannot reshape"),
        (f"{V2}/infer", {"inputs": [TENSOR | {"data": ["0"] * 784}]}, "not of type FP32"),
        (f"{V2}/infer", {"inputs": [TENSOR | {"shape": [5, 28, 28, 1]}]}, "Task size 5"),
        (f"{V2}/infer", {"inputs": [TENSOR | {"shape": [10**18, 28, 28, 1]}]}, "no shape"),
        (f"{V2}/infer", {"inputs": [TENSOR | {"shape": [-1, 28, 28, 1]}]}, "there is no shape"),
        (f"{V2}/infer", {"inputs": [TENSOR | {"datatype": "FP64"}]}, "float32, got float64"),
        (f"{V2}/infer", {"inputs": [TENSOR | {"datatype": "FP8"}]}, "there is no datatype FP8"),
        (f"{V2}/infer", {"inputs": [TENSOR, TENSOR]}, "expected once, got it twice"),
        (f"{V2}/infer", {"inputs": []}, "input images is missing"),
        (f"{V2}/infer", {"inputs": [TENSOR], "outputs": [{"name": "x"}]}, r"output\(s\) x not in"),
        (
            f"{V2}-explain/infer",
            {
                "inputs": [
                    TENSOR,
                    {"name": "target", "shape": [1], "datatype": "INT32", "data": [1.5]},
                ]
            },
            "not of type INT32",
        ),
    ],
)
def test_refusals(addresses, path, body, words):
    status, told = ask(addresses[0], path, body)
    assert status == 400, told
    assert re.search(words, told["error"]), told


def test_a_long_string_among_numbers_takes_no_memory():
    tensor = InferInput("images", [1, 28, 28, 1], "FP32", [0.0] * 783 + ["x" * 100_000])
    unpack = announced(InferRequest(MODEL, [tensor]), "serving_default")["images"].unpack
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="not of type FP32"):
            unpack()
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_pixels_out_of_range_are_what_the_model_refuses(addresses):
    broken = np.full((1, 28, 28, 1), np.nan, np.float32)
    with pytest.raises(grpc.RpcError) as raised:
        v2(addresses, "grpc", v2_request(f"{MODEL}-explain", {"images": broken}))
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_grpc_refuses_what_announces_more_than_it_carries(addresses):
    request = v2_request(MODEL, {"images": IMAGES})
    request.inputs[0].shape = [4, 28, 28, 1]
    with pytest.raises(grpc.RpcError, match="cannot reshape") as raised:
        v2(addresses, "grpc", request)
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_large_bodies_are_refused_before_they_are_parsed(addresses):
    status, told = ask(addresses[0], f"{V1}:predict", b" " * (2**20 + 1))
    assert status == 413 and "more than 1048576 bytes" in told["error"]


def test_a_full_queue_is_unavailable(addresses, models_folder):
    served = Served("busy", models_folder / "tiny", Settings(workers=1, queue=0))
    (model,) = [one for one in signature_models(served) if one.name == "busy"]

    async def asked():
        body = {"instances": IMAGES.tolist()}
        return await asyncio.gather(
            *(model.explain(body) for _ in range(8)), return_exceptions=True
        )

    found = asyncio.run(asked())
    served.close()
    refused = [one for one in found if isinstance(one, Unavailable)]
    assert refused and "The queue is full" in refused[0].reason
    assert any(isinstance(one, dict) for one in found)


def test_the_explainer_says_that_its_predictor_is_away(free_port):
    context.set_predictor_config(PredictorConfig(f"127.0.0.1:{free_port()}"))
    explainer = PredictorExplainer(EXPLAINED, 4)
    with pytest.raises(Unavailable, match="The predictor does not answer"):
        asyncio.run(explainer.explain({"instances": IMAGES.tolist()}))
    with pytest.raises(InvalidInput, match="takes requests of V1"):
        asyncio.run(explainer.predict(v2_request(EXPLAINED, {"images": IMAGES})))


def test_a_folder_without_versions_is_refused(models_folder, tmp_path):
    for folder in (tmp_path, models_folder / "tiny" / "3"):
        with pytest.raises(InputError, match="expected a folder of versions"):
            Served(MODEL, folder, SETTINGS)
