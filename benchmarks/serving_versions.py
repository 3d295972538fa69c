"""The local servers of two checkouts under the same load, in turns: A B A B …

Both serve the same folder of models, each in a process of its own with its own checkout's code, and
are asked by the same client. Ratios are taken round by round; the result is their median.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from serving_load import asking, hammer

ROUNDS = 5
PARTS = [("serving_default", 1), ("serving_default", 8), ("serving_default", 16)]
PARTS += [("explain", 1), ("explain", 8)]
HERE = Path(__file__).resolve().parents[1]
# Prints where the package is and the port, and serves until its input ends.
HOST = """
import sys
from pathlib import Path
import tfrobust
from tfrobust.serving.local import Server
from tfrobust.serving.settings import Settings

with Server(Path(sys.argv[1]), Settings(port=0, rest_port=None, queue=64)) as server:
    print("serves", Path(tfrobust.__file__).parents[1], server.port, flush=True)
    sys.stdin.read()
"""


def compare(before: Path, model: Path, image: np.ndarray, seconds: float) -> dict[str, Any]:
    """Measures the server of an older checkout beside this one's.

    Args:
        before: the older checkout.
        model: a folder of versions.
        image: one image, float32 (1, H, W, C).
        seconds: that each part takes of each server, in all rounds.
    """
    checkouts = {"before": before.resolve(), "after": HERE}
    rows: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        models = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (models / model.name).symlink_to(model.resolve())
        hosts = {
            name: stack.enter_context(_hosted(path, models)) for name, path in checkouts.items()
        }
        channels = {
            name: stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{port}"))
            for name, (_, port) in hosts.items()
        }
        for signature, clients in PARTS:
            calls = {
                name: asking(channel, model.name, signature, image)
                for name, channel in channels.items()
            }
            rounds: dict[str, list[dict[str, float]]] = {name: [] for name in calls}
            for _ in range(ROUNDS):
                for name, call in calls.items():
                    rounds[name].append(hammer(call, clients, seconds / ROUNDS, 10**9))
            rows[f"{signature}, {clients} clients"] = {
                **{name: _median(told) for name, told in rounds.items()},
                "p50": _ratio(rounds, "p50_ms"),
                "rate": _ratio(rounds, "rate"),
            }
        peaks = {name: _peak_mib(pid) for name, (pid, _) in hosts.items()}
    return {
        "commits": {name: _commit(path) for name, path in checkouts.items()},
        "rounds": ROUNDS,
        "rows": rows,
        "peak_mib": peaks,
    }


def table(found: dict[str, Any]) -> str:
    """What `compare` found, for people."""
    lines = [
        "| after / before | p50 ms | p50 ratio | a second | rate ratio |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, row in found["rows"].items():
        new, old = row["after"], row["before"]
        lines.append(
            f"| {name} | {new['p50_ms']} / {old['p50_ms']} | {_told(row['p50'])} | "
            f"{new['rate']} / {old['rate']} | {_told(row['rate'])} |"
        )
    return "\n".join(lines)


@contextlib.contextmanager
def _hosted(checkout: Path, models: Path) -> Iterator[tuple[int, int]]:
    """A server of a checkout's code; gives its process and its port."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOST, models],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin and process.stdout
    try:
        told = next((line for line in process.stdout if line.startswith("serves ")), "")
        if told.split()[1:2] != [str(checkout)]:
            raise RuntimeError(f"expected a server of {checkout}, got: {told or 'none'}")
        yield process.pid, int(told.split()[2])
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


def _median(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Sums of the numbers of requests, medians of what was measured."""
    found = {name: round(statistics.median(one[name] for one in rounds), 2) for name in rounds[0]}
    sums = {name: sum(one[name] for one in rounds) for name in ("requests", "failed")}
    return {**found, **sums}


def _ratio(rounds: dict[str, list[dict[str, float]]], what: str) -> dict[str, float]:
    """After by before: median, least and most over the rounds."""
    ratios = [
        new[what] / old[what] for new, old in zip(rounds["after"], rounds["before"], strict=True)
    ]
    found = {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}
    return {name: round(value, 3) for name, value in found.items()}


def _told(ratio: dict[str, float]) -> str:
    return f"{ratio['median']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]"


def _peak_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (peak,) = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
    return round(peak / 2**10, 1)


def _commit(checkout: Path) -> str:
    command = ["git", "-C", checkout, "log", "-1", "--format=%h %as %s"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()
