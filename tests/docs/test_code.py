"""The code blocks of README and docs run, from top to bottom of a page, and print what they say."""

import contextlib
import io
import itertools
import math
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from .pages import PAGES, ROOT, blocks, name_of

# Pages that train, export, or evaluate more than once: a minute or more.
SLOW = {
    "docs/get_started.md",
    "docs/guides/coming_from.md",
    "docs/guides/contest.md",
    "docs/guides/dissect.md",
    "docs/guides/evidence.md",
    "docs/guides/explain.md",
    "docs/guides/export.md",
    "docs/guides/gallery.md",
    "docs/guides/judge.md",
    "docs/guides/labels.md",
    "docs/guides/own_data.md",
    "docs/guides/own_networks.md",
    "docs/guides/predict.md",
    "docs/guides/radiographs.md",
    "docs/guides/read_a_report.md",
    "docs/guides/serve.md",
    "docs/guides/train.md",
}
RUNNABLE = {"python", "sh"}
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
# Numbers with a decimal point are measurements. Attacks walk along float32 gradients, which other
# processors round otherwise, and small changes grow on the way.
RELATIVE = 0.05
WITH_CODE = [page for page in PAGES if any(block.kind in RUNNABLE for block in blocks(page))]


def fits(printed: str, said: str) -> bool:
    """Whether output is what a page says, but for white space and the last digits of measurements.

    A number with a decimal point may differ by a twentieth, or by one in its last digit.
    """
    here, there = " ".join(printed.split()), " ".join(said.split())
    if NUMBER.sub("0", here) != NUMBER.sub("0", there):
        return False
    pairs = zip(NUMBER.findall(here), NUMBER.findall(there), strict=True)
    return all(one == other or _close(one, other) for one, other in pairs)


def _close(printed: str, said: str) -> bool:
    if "." not in printed or "." not in said:
        return False
    last_digit = 10.0 ** -len(said.split(".")[1].split("e")[0])
    return math.isclose(float(printed), float(said), rel_tol=RELATIVE, abs_tol=1.001 * last_digit)


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("a  b\n", "a b"),
        ("8 images, 0.0339 [0.03, 0.04]", "8 images, 0.0345 [0.03, 0.04]"),
        ("accuracy 0.8", "accuracy 0.9"),
        ("-1.20", "-1.23"),
    ],
)
def test_fits(printed: str, said: str) -> None:
    assert fits(printed, said)


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("a b c", "a b"),
        ("8 images", "9 images"),
        ("0.0339", "0.0378"),
        ("0.80", "0.90"),
        ("1", "1.0"),
        ("1.2 3.4", "1.2"),
        ("-1.20", "1.20"),
        ("x.y", "xzy"),
    ],
)
def test_does_not_fit(printed: str, said: str) -> None:
    assert not fits(printed, said)


def cases() -> list[object]:
    """Every page with code; the long ones are marked slow."""
    return [
        pytest.param(
            page,
            id=name_of(page),
            marks=[pytest.mark.slow] if name_of(page) in SLOW else [],
        )
        for page in WITH_CODE
    ]


@pytest.mark.parametrize("page", cases())
def test_a_page_prints_what_it_says(page: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = tmp_path / "saved_models"
    shown.mkdir()
    for model in ("cifar10", "fashion_mnist_mini"):
        # The version that is shipped alone: `make train` adds others.
        (shown / model).mkdir()
        (shown / model / "1").symlink_to(ROOT / "saved_models" / model / "1")
    for folder in ("examples", "serving", "tools"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": programs, "PYTHONPATH": str(ROOT)}
    ports = {port: str(_free_port()) for port in ("8500", "8501")}
    names: dict[str, object] = {"__name__": "__main__"}
    with contextlib.ExitStack() as servers:
        for block in blocks(page):
            if block.kind not in RUNNABLE or block.not_run:
                continue
            code = re.sub("8500|8501", lambda found: ports[found[0]], block.code)
            if block.kind == "python":
                printed = _run_python(code, name_of(page), names)
            elif code.strip().endswith("&"):
                servers.enter_context(_server(code, environment))
                continue
            else:
                printed = _run_shell(code, environment)
            assert block.said is None or fits(printed, block.said), (
                f"{block.code}\nprinted\n{printed}\nnot\n{block.said}"
            )


def _run_python(code: str, name: str, names: dict[str, object]) -> str:
    caught = io.StringIO()
    with contextlib.redirect_stdout(caught):
        exec(compile(code, name, "exec"), names)
    return caught.getvalue()


def _run_shell(code: str, environment: dict[str, str]) -> str:
    done = subprocess.run(["bash", "-ec", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{code}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def _server(code: str, environment: dict[str, str]):
    """A server in the background, from when it says where its page is."""
    command = shlex.split(code.strip().removesuffix("&"))
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert any(line.startswith("page ") for line in process.stdout), f"ended: {code}"
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@pytest.mark.parametrize("page", [pytest.param(page, id=name_of(page)) for page in WITH_CODE])
def test_blocks_that_cannot_run_are_right_as_far_as_can_be_seen(page: Path) -> None:
    """Their syntax is right, and the programs know their flags."""
    for block in blocks(page):
        if block.kind == "python":
            compile(block.code, name_of(page), "exec")
        elif block.kind == "sh":
            done = subprocess.run(["bash", "-n"], input=block.code, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            for command in re.sub(r"\\\n\s*", " ", block.code).splitlines():
                _check_flags(shlex.split(command, comments=True))


def _check_flags(words: list[str]) -> None:
    programs = [word for word in words if re.fullmatch(r"tfrobust-[a-z-]+", word)]
    if not programs:
        return
    module = programs[0].removeprefix("tfrobust-").replace("-", "_")
    known = _flags(module)
    for word in words[words.index(programs[0]) :]:
        if word.startswith("--"):
            name = word[2:].split("=")[0]
            assert name in known or name.removeprefix("no") in known, f"{programs[0]} {word}"


def _flags(module: str) -> set[str]:
    """The flags of a program, as its --help lists them."""
    if module not in _FLAGS:
        code = f"from tfrobust.cli.{module} import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", code, "--help"],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        _FLAGS[module] = set(re.findall(r"--(?:\[no\])?(\w+)", done.stdout))
    return _FLAGS[module]


_FLAGS: dict[str, set[str]] = {}


@pytest.mark.parametrize("page", [pytest.param(page, id=name_of(page)) for page in PAGES])
def test_every_block_is_of_a_kind_that_is_checked(page: Path) -> None:
    """`text` is what the block above printed; what is only to be looked at has no kind."""
    found = blocks(page)
    for above, block in itertools.pairwise([None, *found]):
        assert block.kind in {*RUNNABLE, "text", "bibtex", ""}, f"{block.kind!r}: {block.code}"
        if block.kind == "text":
            assert above is not None and above.said == block.code and not above.not_run, block.code
