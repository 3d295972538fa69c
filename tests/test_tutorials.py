"""The pages of docs/, from start to end: what they print is what they say."""

import contextlib
import io
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```(python|sh|text)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PAGES = [path for path in sorted((ROOT / "docs").glob("*.md")) if BLOCK.search(path.read_text())]


def blocks(page: str) -> Iterator[tuple[str, str, str | None]]:
    """Kind, code and what it should print, if the page says."""
    found = BLOCK.findall(page)
    for (kind, code), following in zip(found, [*found[1:], ("", "")], strict=True):
        if kind != "text":
            yield kind, code, following[1] if following[0] == "text" else None


def fits(printed: str, said: str) -> bool:
    """Whether output is as a page says; … stands for anything, white space for white space."""
    parts = [re.escape(" ".join(part.split())) for part in said.split("…")]
    return re.fullmatch(r".*?".join(parts), " ".join(printed.split()), re.DOTALL) is not None


def test_fits() -> None:
    assert fits("a  b\n", "a b") and fits("x 1 y", "x … y") and not fits("a b c", "a b")
    assert not fits("x.y", "xzy")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def started(code: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    """A server in the background, once it says where its page is."""
    process = subprocess.Popen(
        shlex.split(code.strip().removesuffix("&")),
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("page "):
            return process
    raise AssertionError(f"ended: {code}")


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_prints_what_it_says(path: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tools").symlink_to(ROOT / "tools")
    if path.stem == "serve_and_explain":
        (tmp_path / "saved_models").symlink_to(ROOT / "saved_models")
    page = path.read_text()
    for port in ("8500", "8501"):
        page = page.replace(port, str(free_port()))
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    names: dict[str, object] = {"__name__": "__main__"}
    servers = []
    try:
        for kind, code, said in blocks(page):
            if kind == "python":
                caught = io.StringIO()
                with contextlib.redirect_stdout(caught):
                    exec(compile(code, f"{path.name}", "exec"), names)
                printed = caught.getvalue()
            elif code.strip().endswith("&"):
                servers.append(started(code, environment))
                continue
            else:
                done = subprocess.run(
                    ["bash", "-ec", code], env=environment, capture_output=True, text=True
                )
                assert done.returncode == 0, done.stderr[-3000:]
                printed = done.stdout
            assert said is None or fits(printed, said), f"{code}\nprinted\n{printed}\nnot\n{said}"
    finally:
        for server in servers:
            server.send_signal(signal.SIGTERM)
            server.wait(60)
