"""The page for marks: who is let in, what is kept, and how a person paints."""

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tfrobust.core.door import as_classifier
from tfrobust.datasets import annotations
from tfrobust.datasets.annotations import EVIDENCE, NO_EVIDENCE
from tfrobust.explanations import GradientsInputs, VanillaGradients
from tfrobust.serving.annotation_desk import Desk
from tfrobust.serving.annotation_server import AnnotationServer
from tfrobust.serving.settings import Settings

TOKEN = "a-token"
PHONE = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
NAMES = ["one.png", "<img src=x onerror=alert(1)>", "three.png"]
rng = np.random.default_rng(0)
IMAGES = rng.random((3, 8, 10, 1), np.float32)
MARKS = np.zeros((8, 10), np.uint8)
MARKS[2:4, 3:6], MARKS[7] = EVIDENCE, NO_EVIDENCE


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Flatten(), keras.layers.Dense(2)]
    network = as_classifier(keras.Sequential([keras.Input((8, 10, 1)), *layers]))
    network = network.at_temperature(2)
    methods = [GradientsInputs(), VanillaGradients()]
    told = {"name": "tiny", **network.config()}
    return Desk(network, IMAGES, NAMES, ["cat", "<b>dog"], methods, tmp_path / "marks", told)


@pytest.fixture
def server(desk: Desk) -> Iterator[AnnotationServer]:
    with AnnotationServer(desk, Settings(rest_port=0, token=TOKEN)) as opened:
        yield opened


def ask(server: AnnotationServer, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    """Status and JSON of an answer; a body is sent by POST."""
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}{path}",
        data,
        {
            "Authorization": f"Bearer {TOKEN}",
            **{k.replace("_", "-"): v for k, v in headers.items()},
        },
    )
    try:
        with urllib.request.urlopen(request) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def sent(marks: np.ndarray, who: str = "Zoë") -> dict[str, str]:
    return {"who": who, "marks": base64.b64encode(marks.tobytes()).decode()}


@pytest.mark.slow
def test_marks_are_kept_with_who_and_for_which_network(server, desk, tmp_path: Path) -> None:
    status, found = ask(server, "/pictures/1")
    assert status == 200 and found["name"] == NAMES[1] and found["marks"] is None
    assert [one["method"] for one in found["maps"]] == ["Gradients×Inputs", "Vanilla Gradients"]
    logits = np.asarray(desk._network(np.rint(255 * IMAGES[1:2]) / 255))[0]
    assert found["confidence"] == pytest.approx(1 / (1 + np.exp(-abs(np.ptp(logits)) / 2)))
    status, answer = ask(server, "/pictures/1", sent(MARKS, " Zoë \n M. "))
    assert status == 200, answer
    (kept,) = annotations.read_folder(tmp_path / "marks")
    np.testing.assert_array_equal(kept.marks, MARKS)
    np.testing.assert_array_equal(kept.image, np.rint(255 * IMAGES[1]).astype(np.uint8))
    assert kept.who == "Zoë M." and kept.when.endswith("+00:00") and kept.name == NAMES[1]
    assert kept.network["name"] == "tiny" and len(kept.network["network"]["weights"]) == 64
    assert kept.told["class"] == found["class"] and kept.told["methods"][0] == "Gradients×Inputs"
    assert [one["marked"] for one in ask(server, "/pictures")[1]["pictures"]] == [0, 1, 0]
    again = ask(server, "/pictures/1")[1]
    assert base64.b64decode(again["marks"]) == MARKS.tobytes() and again["who"] == "Zoë M."
    # Marks that are wiped off are taken away, whoever does it; of another picture there are none.
    assert ask(server, "/pictures/1", sent(0 * MARKS, "")) == (200, {"kept": None})
    assert not list((tmp_path / "marks").iterdir())
    status, answer = ask(server, "/pictures/1", sent(MARKS))
    # What is damaged is marked anew.
    (tmp_path / "marks" / answer["kept"]).write_text("{")
    assert ask(server, "/pictures/1")[1]["marks"] is None


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/pictures/3", None, 404, "nothing at"),
        ("/pictures/-1", None, 404, "nothing at"),
        ("/../setup.cfg", None, 404, "nothing at"),
        ("/annotate.css", {}, 404, "nothing at"),
        ("/pictures/0", {}, 400, 'JSON with "who" and "marks"'),
        ("/pictures/0", b"[" * 4000, 400, 'JSON with "who" and "marks"'),
        ("/pictures/0", {"who": "a", "marks": "?"}, 400, "in base64"),
        ("/pictures/0", {"who": "\ud800", "marks": ""}, 400, "in base64"),
        ("/pictures/0", {"who": "a", "marks": 3}, 400, "both are text"),
        ("/pictures/0", sent(MARKS, "  "), 400, "who marks the picture"),
        ("/pictures/0", sent(MARKS, 201 * "a"), 400, "who marks the picture"),
        ("/pictures/0", sent(MARKS[:-1]), 400, "marks of 80 bytes, got 70"),
        ("/pictures/0", sent(0 * MARKS, " "), 400, "who marks the picture"),
        ("/pictures/0", sent(MARKS + 1), 400, "marks of 255, 128 and 0"),
        ("/pictures/0", sent(0 * MARKS), 400, "nothing is marked"),
        ("/pictures/0", {"who": "a", "marks": 9000 * "A"}, 400, "at most 4256 bytes"),
    ],
)
def test_what_is_refused(server, tmp_path: Path, path, body, status: int, words: str) -> None:
    found, answer = ask(server, path, body)
    assert found == status and words in answer["error"]
    assert not (tmp_path / "marks").exists()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": "Bearer another"}, 401),
        ({"Authorization": ""}, 401),
        ({"Host": "evil.example"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
    ],
)
def test_who_is_not_let_in(server, tmp_path: Path, headers: dict[str, str], status: int) -> None:
    assert ask(server, "/pictures/0", sent(MARKS), **headers)[0] == status
    assert not (tmp_path / "marks").exists()


PRESS = (
    "for (const key of {keys!r}) at('paper').dispatchEvent("
    "new KeyboardEvent('keydown', {{ key, bubbles: true, cancelable: true }}))"
)
DRAG = """(() => {
  const box = at('paper').getBoundingClientRect();
  const point = (column, row) => ({
    pointerId: 1, button: 0, bubbles: true,
    clientX: box.left + (column + .5) * box.width / 10,
    clientY: box.top + (row + .5) * box.height / 8,
  });
  at('paper').setPointerCapture = () => {};
  at('paper').hasPointerCapture = () => true;
  for (const [kind, ...to] of [['down', 1, 1], ['move', 5, 1], ['up', 5, 1]])
    at('paper').dispatchEvent(new PointerEvent('pointer' + kind, point(...to)));
})()"""  # fmt: skip


@pytest.mark.slow
def test_a_person_marks_by_hand_and_by_keys(server, chromium, axe, tmp_path: Path) -> None:
    own = f"http://127.0.0.1:{server.port}/"

    def marks(page: Any) -> np.ndarray:
        return np.reshape(page.run("Array.from(state.marks.values)"), (8, 10))

    with chromium(f"{own}#token={TOKEN}&who=Zo%C3%AB", tmp_path) as page:
        page.wait("state.marks && !at('note').textContent")
        assert page.run("at('who').value") == "Zoë"
        assert "The network says" in page.run("at('said').textContent")
        assert page.run("at('paper').width") == 560 and not axe(page)
        page.run("at('size').value = 1; " + DRAG)
        expected = np.zeros((8, 10), np.uint8)
        expected[1, 1:6] = EVIDENCE
        np.testing.assert_array_equal(marks(page), expected)

        # By keys: no evidence, a pixel to the left and down, the brush held down for two more.
        page.run("at('paper').focus()")
        page.run(PRESS.format(keys=["n", "ArrowLeft", "ArrowDown", "Enter", "ArrowDown", "Enter"]))
        expected[2:4, 4] = NO_EVIDENCE
        np.testing.assert_array_equal(marks(page), expected)
        assert page.run("at('place').textContent") == "column 5, row 4: no evidence"
        page.run(PRESS.format(keys=["x", "ArrowUp", " "]))
        np.testing.assert_array_equal(marks(page)[2], np.zeros(10))
        page.run(PRESS.format(keys=["z"]))
        np.testing.assert_array_equal(marks(page), expected)
        page.run("at('undo').click(); at('undo').click()")
        assert not marks(page).any()
        page.run("at('undo').click()")
        assert page.run("at('note').textContent") == "There is nothing to undo."
        page.run("at('redo').click(); at('redo').click()")
        np.testing.assert_array_equal(marks(page), expected)

        # Going on saves; a name is asked for.
        page.run("at('who').value = ' '; at('after').click()")
        page.wait("at('note').textContent.startsWith('Say your name')")
        assert page.run("state.number") == 0 and not (tmp_path / "marks").exists()
        page.run("at('who').value = 'Zoë'; at('after').click()")
        page.wait("state.number === 1 && !at('note').textContent")
        (kept,) = annotations.read_folder(tmp_path / "marks")
        np.testing.assert_array_equal(kept.marks, expected)
        assert kept.who == "Zoë" and kept.name == "one.png"
        assert page.run("at('progress').textContent") == "1 of 3 are marked"
        # Names are text.
        assert page.run("at('picture').selectedOptions[0].textContent") == NAMES[1]
        assert page.run("document.querySelectorAll('main img, main b').length") == 0
        page.run("at('before').click()")
        page.wait("state.number === 0 && !at('note').textContent")
        np.testing.assert_array_equal(marks(page), expected)
        assert "Marked by Zoë" in page.run("at('said').textContent") and not axe(page)
        # What is wiped off is gone, also when the person goes on at once; and while the next
        # picture is asked for, nothing can be painted that would be lost.
        page.run("at('clear').click(); at('after').click()")
        page.wait("state.marks === null")
        page.run(DRAG)
        page.wait("state.number === 1 && state.marks && !at('note').textContent")
        assert not marks(page).any() and not list((tmp_path / "marks").iterdir())
        assert page.run("at('progress').textContent") == "0 of 3 are marked"
        before = page.run("at('paper').toDataURL()")
        page.run("at('method').value = -1; at('method').dispatchEvent(new Event('input'))")
        assert page.run("at('paper').toDataURL()") != before

        assert not page.complaints
        assert all(url.startswith((own, "data:", "blob:")) for url in page.requests)
        page.tell("Emulation.setDeviceMetricsOverride", **PHONE)
        assert page.run("document.documentElement.scrollWidth") == PHONE["width"]
