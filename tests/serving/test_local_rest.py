"""The local server's REST routes and its page in a browser."""

import json
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfrobust.serving.local import Server

NAME = "tiny"
IMAGES = np.random.default_rng(0).random((3, 28, 28, 1), np.float32)


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
    """Nested lists, deeper than Python's recursion goes but not than JSON allows."""
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
        # Browsers round grey in their own way.
        np.testing.assert_allclose(seen, np.rint(IMAGES[0] * 255) / 255, atol=1.01 / 255)
        before = page.run("at('explanation').toDataURL()")
        page.run("at('rho').value = -15; at('rho').dispatchEvent(new Event('change'))")
        page.wait("at('what').textContent.includes('RMSE 0.15')")
        assert page.run("at('explanation').toDataURL()") != before
        # TF Serving writes Infinity for a distance that was not found. JSON.parse refuses that.
        page.run(
            "read(new Response('[Infinity, -Infinity, NaN, 1]')).then((all) => { told = all })"
        )
        page.wait("typeof told === 'object' && told[0] === null && told[3] === 1")
        assert not page.complaints
        own = f"http://127.0.0.1:{server.rest_port}/"
        assert all(url.startswith((own, "data:", "blob:")) for url in page.requests)
