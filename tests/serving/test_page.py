"""The local server's page in a browser."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tfrobust.serving.local import Server
from tfrobust.serving.settings import Settings

IMAGE = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
PHONE = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}


def choose(page: Any, path: Path) -> None:
    """Chooses a file as a person does."""
    document = page.tell("DOM.getDocument")["root"]["nodeId"]
    found = page.tell("DOM.querySelector", nodeId=document, selector="#file")
    page.tell("DOM.setFileInputFiles", nodeId=found["nodeId"], files=[str(path)])


def set_to(page: Any, identity: str, value: object, event: str) -> None:
    page.run(
        f"at('{identity}').value = {value!r}; at('{identity}').dispatchEvent(new Event('{event}'))"
    )


def test_a_person_looks_at_a_model(server, chromium, tmp_path: Path) -> None:
    Image.fromarray(IMAGE).save(tmp_path / "x.png")
    (tmp_path / "bad.png").write_text("no picture")
    own = f"http://127.0.0.1:{server.rest_port}/"
    with chromium(own, tmp_path) as page:
        # It begins with a sample picture.
        page.wait("at('what').textContent.includes('RMSE 0.10')")
        assert page.run("at('samples').children.length") == 1
        sample = np.arange(784).reshape(28, 28) % 256
        np.testing.assert_allclose(
            np.reshape(page.run("Array.from(state.image)"), (28, 28)) * 255, sample, atol=1.01
        )
        assert page.run("at('classes').rows.length") == 5
        assert page.run("at('target').options.length") == 10
        assert "class 7" in page.run("at('target').textContent")
        assert "is enough to turn the decision" in page.run("at('robust').textContent")
        small, share = (
            page.run(
                "state.model.ask('robustness', state.image).then(({ rmse }) => rmse < INVISIBLE)"
            ),
            page.run("parseFloat(at('classes').rows[0].cells[1].textContent)"),
        )
        assert page.run("at('unsure').textContent").startswith("Uncertain") == (small or share < 50)

        choose(page, tmp_path / "bad.png")
        page.wait(
            "at('note').textContent === "
            "'expected a picture that this browser can read, bad.png is none'"
        )
        assert page.run("at('found').hidden && at('found').offsetHeight === 0")
        choose(page, tmp_path / "x.png")
        page.wait("!running && !at('found').hidden && !at('note').textContent")
        seen = np.reshape(page.run("Array.from(state.image)"), (28, 28))
        # Browsers round grey in their own way.
        np.testing.assert_allclose(seen, IMAGE / 255, atol=1.01 / 255)

        before = page.run("at('explanation').toDataURL()")
        asked = sum(":predict" in url for url in page.requests)
        page.run(
            "for (let place = -1; place >= -15; place--) "
            "{ at('rho').value = place; at('rho').dispatchEvent(new Event('input')); }"
        )
        page.wait("!running && at('what').textContent.includes('RMSE 0.15')")
        assert page.run("at('explanation').toDataURL()") != before
        assert page.run("at('rho').getAttribute('aria-valuetext')") == "less sure, RMSE 0.15"
        # The first of the fifteen places, and the last.
        assert sum(":predict" in url for url in page.requests) - asked <= 2

        set_to(page, "model", "tiny", "change")
        page.wait("!running")
        np.testing.assert_array_equal(
            np.reshape(page.run("Array.from(state.image)"), (28, 28)), seen
        )
        page.run(
            "dragged = new DragEvent('dragover', { bubbles: true, cancelable: true }); "
            "document.body.dispatchEvent(dragged)"
        )
        assert page.run("dragged.defaultPrevented && document.body.classList.contains('over')")

        # TF Serving writes Infinity for a distance that was not found. JSON.parse refuses that.
        told = "read(new Response('[Infinity, -Infinity, NaN, 1]'))"
        assert page.run(told) == [None, None, None, 1]
        assert not page.complaints
        assert all(url.startswith((own, "data:", "blob:")) for url in page.requests)

        page.run("window.fetch = () => Promise.reject(new TypeError('Failed to fetch'))")
        set_to(page, "rho", 5, "input")
        page.wait("at('note').textContent.includes('The server does not answer')")

        page.tell("Emulation.setDeviceMetricsOverride", **PHONE)
        assert page.run("document.documentElement.scrollWidth") == PHONE["width"]


def test_names_are_text(version, chromium, tmp_path: Path) -> None:
    evil, model = "<img src=x onerror=alert(1)>", '<b>&"x'
    extra = tmp_path / "models" / model / "1" / "assets.extra"
    shutil.copytree(version[1], extra.parent)
    extra.mkdir()
    (extra / "labels.txt").write_text(10 * f"{evil}\n")
    picture = tmp_path / "<img src=y>.png"
    Image.fromarray(IMAGE).save(picture)
    (tmp_path / "<img src=z>.png").write_text("no picture")
    with (
        Server(tmp_path / "models", Settings(port=0, rest_port=0)) as server,
        chromium(f"http://127.0.0.1:{server.rest_port}/", tmp_path) as page,
    ):
        page.wait("state.model && !running")
        choose(page, picture)
        page.wait("!running && at('what').textContent.includes('RMSE 0.10')")
        assert page.run("at('model').textContent") == model
        for place, count in (("classes", 5), ("target", 10), ("robust", 1), ("what", 1)):
            assert page.run(f"at('{place}').textContent").count(evil) == count
        choose(page, tmp_path / "<img src=z>.png")
        page.wait("at('note').textContent.includes('<img src=z>.png is none')")
        assert page.run("document.querySelectorAll('img, b').length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(server, chromium, axe, tmp_path: Path, scheme: str) -> None:
    with chromium(f"http://127.0.0.1:{server.rest_port}/", tmp_path) as page:
        page.wait("at('what').textContent.includes('RMSE 0.10')")
        colours = {"name": "prefers-color-scheme", "value": scheme}
        page.tell("Emulation.setEmulatedMedia", features=[colours])
        assert axe(page) == []
