"""The demo page: it computes in the browser what onnxruntime computes here, and asks nobody."""

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from .pages import ROOT

DEMO = ROOT / "docs" / "demo"
NAMES = sorted(path.name for path in (ROOT / "saved_models").iterdir() if path.is_dir())


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and logs nothing."""

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    handler = functools.partial(Quiet, directory=DEMO)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_the_files_of_the_demo_are_those_that_are_shipped() -> None:
    offered = (DEMO / "model.js").read_text()
    for name in NAMES:
        assert f'"{name}"' in offered
        for path in (DEMO / name).iterdir():
            shipped = path.resolve()
            assert shipped.exists() and shipped.is_relative_to(ROOT / "saved_models" / name / "1")
    page = ROOT / "tfrobust" / "serving" / "page"
    assert {path.name for path in page.iterdir()} <= {path.name for path in DEMO.iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_browser_computes_what_onnxruntime_computes(
    name: str, address: str, chromium, tmp_path: Path
) -> None:
    if not (DEMO / "onnxruntime").is_dir():
        pytest.skip(f"there is no {DEMO / 'onnxruntime'}: run `make demo`")
    explainer = onnxruntime.InferenceSession(str(DEMO / name / "explainer.onnx"))
    classifier = onnxruntime.InferenceSession(str(DEMO / name / "classifier.onnx"))
    shape = classifier.get_inputs()[0].shape[1:]
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    Image.fromarray(np.squeeze(pixels)).save(tmp_path / "x.png")
    with chromium(address, tmp_path) as page:
        page.wait("state.model")
        page.run(f"at('model').value = {name!r}; at('model').dispatchEvent(new Event('change'))")
        document = page.tell("DOM.getDocument")["root"]["nodeId"]
        found = page.tell("DOM.querySelector", nodeId=document, selector="#file")
        files = [str(tmp_path / "x.png")]
        page.tell("DOM.setFileInputFiles", nodeId=found["nodeId"], files=files)
        page.wait("!running && state.file.name === 'x.png'")
        image = np.reshape(page.run("Array.from(state.image)"), (1, *shape)).astype(np.float32)
        np.testing.assert_allclose(image[0], pixels / 255, atol=1.01 / 255)

        (shares,) = classifier.run(["probabilities"], {"images": image})
        asked = "state.model.ask('serving_default', state.image)"
        told = page.run(f"{asked}.then(({{ probabilities }}) => Array.from(probabilities))")
        np.testing.assert_allclose(told, shares[0], atol=1e-4)
        wishes = {"target": 3, "direction": -1, "rho": 0.05}
        inputs = {
            "target": np.array([3], np.int32),
            "direction": np.array([-1], np.int32),
            "rho": np.array([0.05], np.float32),
        }
        (explanation,) = explainer.run(["explanation"], {"images": image, **inputs})
        asked = f"state.model.ask('explain', state.image, {json.dumps(wishes)})"
        told = page.run(f"{asked}.then(({{ explanation }}) => Array.from(explanation))")
        # WebAssembly sums in an order of its own, and the walk carries the rounding on.
        np.testing.assert_allclose(told, explanation.ravel(), atol=5e-3)
        assert "%" in page.run("at('what').textContent")
        assert all(url.startswith((address, "data:", "blob:")) for url in page.requests)


def test_without_onnxruntime_web_the_page_says_what_to_do(
    address: str, chromium, tmp_path: Path, monkeypatch
) -> None:
    send_error = Quiet.send_head

    def without(handler: Quiet) -> object:
        if handler.path.startswith("/onnxruntime"):
            handler.send_error(404)
            return None
        return send_error(handler)

    monkeypatch.setattr(Quiet, "send_head", without)
    with chromium(address, tmp_path) as page:
        page.wait("at('note').textContent.includes('run `make demo`')")
