"""Fixtures that several folders of tests share."""

import contextlib
import gc
import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Before anything imports TensorFlow: its notices would hide pytest's own lines.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# On processors without AVX-512 it is off by default, and channels cannot come first.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import pytest
from filelock import FileLock
from longest_first import pytest_collection_modifyitems  # noqa: F401
from uncompiled import uncompiled  # noqa: F401

if TYPE_CHECKING:
    from tfrobust.robustness import AraReport

ROOT = Path(__file__).resolve().parents[1]

# Whole collections look at the million objects of all graphs so far, and free next to none.
gc.set_threshold(50_000, 20, 1000)


@pytest.fixture(scope="session")
def root() -> Path:
    """The clone."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Data and reference weights that are not part of the project."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"needs the data of {folder}, which is absent")
    return folder


@pytest.fixture(scope="session")
def made_once(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Callable[[str, Callable[[Path], None]], Path]:
    """Makes a folder for all of pytest's workers: made_once(name, make) → the folder.

    Only the first worker that asks for it calls make(folder). No test may change the folder.
    """
    base = tmp_path_factory.getbasetemp()
    if hasattr(pytestconfig, "workerinput"):  # one of pytest-xdist's workers
        base = base.parent

    def folder(name: str, make: Callable[[Path], None]) -> Path:
        path, done = base / name, base / f"{name}.done"
        with FileLock(base / f"{name}.lock"):
            if not done.exists():
                path.mkdir()
                make(path)
                done.touch()
        return path

    return folder


@pytest.fixture
def make_report() -> Callable[..., "AraReport"]:
    """Builds a report of 20 images whose fields the test may override."""
    import numpy as np

    from tfrobust.robustness import (
        AraReport,
        AttackRecord,
        Predictions,
        accuracy_robustness_area,
    )

    def make(
        scale: float = 1.0, unfound: int = 1, warnings: tuple[str, ...] = (), **fields: Any
    ) -> AraReport:
        rng = np.random.default_rng(0)
        rmse = np.append(scale * rng.gamma(2.0, 0.02, 20 - unfound), np.full(unfound, np.inf))
        ara = accuracy_robustness_area(rmse, 10)
        labels = np.arange(20) % 10
        predictions = Predictions.of(
            rng.normal(0, 2, (20, 10)) + 4 * np.eye(10)[labels],
            labels,
            np.where(np.isinf(rmse), -1, (labels + 1) % 10),
            files=tuple(f"снимок {number}.png" for number in range(20)),
            groups=tuple(f"group {1 + number // 4}" for number in range(20)),
        )
        records = [
            AttackRecord(
                name=name,
                goal=goal,
                ara=ara,
                rmse=rmse,
                won=10,
                late=0,
                seconds=1.5,
                gradients=60,
                queries=None,
            )
            for goal in ("attack", "btr")
            for name in ("L2,min (450 steps)", "linearized margin (40 steps)")
        ]
        return AraReport(
            **{
                "name": "robust",
                "data": "20 test images",
                "num_classes": 10,
                "image_shape": (4, 4, 1),
                "bounds": None,
                "clean_accuracy": 0.95,
                "attack_ara": ara,
                "btr_ara": ara,
                "attack_rmse": rmse,
                "btr_rmse": rmse,
                "attack_linf": 2 * rmse,
                "attacks": tuple(records),
                "checks": {"good": (), "bad": warnings},
                "unchecked": {"left out": "there was no time"},
                "image_hash": "ab" * 32,
                "smoke": False,
                "seed": 0,
                "command": "evaluate.py --model robust",
                "versions": {"tensorflow": "2.21.0"},
                "seconds": 6.0,
                "predictions": predictions,
                **fields,
            }
        )

    return make


@pytest.fixture
def full_report(make_report: Callable[..., "AraReport"]) -> "AraReport":
    """A report with both certificates, an estimate, and three examples."""
    import dataclasses

    import numpy as np

    from tfrobust.certification.lipschitz_certificate import LipschitzCertificate
    from tfrobust.robustness import Certificate, Clever, accuracy_robustness_area
    from tfrobust.robustness.examples import Example

    radii = np.array([0.0, 0.3, 0.5])
    certificate = Certificate(
        ara=accuracy_robustness_area(radii / 4, 10), l2=radii, rmse=radii / 4,
        accuracy=2 / 3, abstained=1, predicted=np.array([-1, 2, 3]), votes=np.array([40, 90, 99]),
        sigma=0.25, n0=10, n=100, alpha=0.001, num_classes=10, seed=0, seconds=1.5,
    )  # fmt: skip
    scores = np.array([0.0, 0.5, 0.7])
    clever = Clever(
        ara=accuracy_robustness_area(scores / 4, 10), l2=scores, rmse=scores / 4,
        rival=np.array([1, 2, 0]), fit=np.array([1.0, 0.6, 0.04]), capped=0, poor=1, unsettled=0,
        radius=5.0, batches=50, samples=100, rivals=9, seed=0, seconds=2.0,
    )  # fmt: skip
    image = np.full((4, 4, 1), 0.25, np.float32)
    examples = [Example(row, 3, 5, image, image + np.float32(0.05), 0.05) for row in range(3)]
    report = make_report()
    below = 0.8 * np.minimum(report.attack_rmse, 0.1)
    lipschitz = LipschitzCertificate(
        ara=accuracy_robustness_area(below, 10), accuracy=0.9, l2=4 * below, rmse=below, slope=1.5,
        rounding=1e-3, seconds=0.5, seed=0,
    )  # fmt: skip
    return dataclasses.replace(
        report,
        certificate=certificate,
        clever=clever,
        lipschitz=lipschitz,
        examples=tuple(examples),
    )


@pytest.fixture(scope="session")
def chromium() -> Callable[[str, Path], contextlib.AbstractContextManager["Page"]]:
    """Opens an address in headless Chromium: chromium(url, folder for its profile)."""
    return _opened


@pytest.fixture(scope="session")
def axe() -> Callable[["Page"], list[str]]:
    """Looks for what keeps people from using a page: axe(page) → the rules that it breaks."""
    program = ROOT / "node_modules" / "axe-core" / "axe.min.js"
    if not program.is_file():
        pytest.skip(f"there is no {program}: run `make demo`")

    def broken(page: "Page") -> list[str]:
        page.run(program.read_text() + "; 0")
        told = "({ id, nodes }) => id + ': ' + nodes.map(({ html }) => html).join(' ')"
        return page.run(f"axe.run().then(({{ violations }}) => violations.map({told}))")

    return broken


CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 60  # seconds for the browser


class Page:
    """An open page, driven over DevTools.

    Attributes:
        requests: addresses that it asked for, its own and data: among them.
        complaints: what it wrote to the console as a warning or error, and uncaught exceptions.
    """

    def __init__(self, connection: Any) -> None:
        self._connection, self._number = connection, 0
        self.requests: list[str] = []
        self.complaints: list[str] = []

    def tell(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One DevTools command; → its answer. What happens meanwhile is noted."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        self._connection.send(json.dumps(message))
        while True:
            answer = json.loads(self._connection.recv())
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            self._note(answer)

    def run(self, script: str) -> Any:
        """The value of an expression in the page; promises are waited for."""
        result = self.tell(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait(self, script: str) -> Any:
        """Asks until the expression is true; → its value."""
        deadline = time.monotonic() + PATIENCE
        while not (value := self.run(script)):
            assert time.monotonic() < deadline, f"never true: {script}; {self.complaints}"
            time.sleep(0.05)
        return value

    def _note(self, event: dict[str, Any]) -> None:
        parameters = event.get("params", {})
        if event.get("method") == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif event.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(str(parameters["exceptionDetails"]))
        elif event.get("method") == "Log.entryAdded":
            self.complaints.append(parameters["entry"]["text"])
        elif parameters.get("type") in ("error", "warning", "assert"):  # of the console
            self.complaints.append(str(parameters["args"]))


@contextlib.contextmanager
def _opened(url: str, folder: Path) -> Iterator[Page]:
    """Opens a page; skips the test where no Chromium is installed.

    Args:
        url: file:// or http://.
        folder: for Chromium's profile.
    """
    program = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"none of {', '.join(CHROMIUM)} is installed")
    websocket = pytest.importorskip("websocket")
    command = [
        program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--no-first-run", "--remote-debugging-port=0", "--remote-allow-origins=*",
        f"--user-data-dir={folder / 'profile'}", "--window-size=1000,1100", "about:blank",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        told = folder / "profile" / "DevToolsActivePort"
        deadline = time.monotonic() + PATIENCE
        while not (told.exists() and "\n" in told.read_text()):
            assert process.poll() is None, "Chromium ended"
            assert time.monotonic() < deadline, "Chromium does not answer"
            time.sleep(0.05)
        port = told.read_text().splitlines()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as answer:
            (target,) = [one for one in json.load(answer) if one["type"] == "page"]
        connection = websocket.create_connection(target["webSocketDebuggerUrl"], timeout=PATIENCE)
        page = Page(connection)
        for domain in ("Page", "Runtime", "Network", "Log"):
            page.tell(f"{domain}.enable")
        page.tell("Page.navigate", url=url)
        page.wait(f"location.href.startsWith({url[:20]!r}) && document.readyState === 'complete'")
        yield page
        connection.close()
    finally:
        process.kill()
        process.wait()
