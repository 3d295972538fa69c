"""The local servers of two checkouts under the same load, in turns: A B A B …

Both serve the same folder of models, each in a process of its own with its own checkout's code, and
are asked by the same client. Ratios are taken round by round; the result is their median.
"""

import contextlib
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import turns
from serving_load import asking, hammer

ROUNDS = 5
RATIOS = {"p50": "p50_ms", "rate": "rate"}
PARTS = [("serving_default", 1), ("serving_default", 8), ("serving_default", 16)]
PARTS += [("explain", 1), ("explain", 8)]
HERE = Path(__file__).resolve().parents[1]
# Tells where the package is and the port, and serves until its input ends.
HOST = """
import json
import sys
from pathlib import Path
import tfrobust
from tfrobust.serving.local import Server
from tfrobust.serving.settings import Settings

with Server(Path(sys.argv[1]), Settings(port=0, rest_port=None, queue=64)) as server:
    of = str(Path(tfrobust.__file__).parents[1])
    print(json.dumps({"checkout": of, "port": server.port}), flush=True)
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
            name: stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{host.facts['port']}"))
            for name, host in hosts.items()
        }
        for signature, clients in PARTS:
            calls = {}
            for name, channel in channels.items():
                with hosts[name].running():
                    calls[name] = asking(channel, model.name, signature, image)
            rounds: dict[str, list[dict[str, float]]] = {name: [] for name in calls}
            for _ in range(ROUNDS):
                for name, call in calls.items():
                    with hosts[name].running():
                        rounds[name].append(hammer(call, clients, seconds / ROUNDS, 10**9))
            rows[f"{signature}, {clients} clients"] = {
                **{name: _median(told) for name, told in rounds.items()},
                **{name: ratio(rounds, what) for name, what in RATIOS.items()},
            }
        peaks = {name: _peak_mib(host.pid) for name, host in hosts.items()}
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


def _hosted(checkout: Path, models: Path) -> turns.Worker:
    """A server of a checkout's code."""
    command = [sys.executable, "-c", HOST, str(models)]
    host = turns.Worker(command, {"PYTHONPATH": str(checkout)}, checkout)
    if host.facts["checkout"] != str(checkout):
        host.close()
        raise RuntimeError(f"expected a server of {checkout}, got one of {host.facts['checkout']}")
    return host


def ratio(rounds: dict[str, list[dict[str, float]]], what: str) -> dict[str, float]:
    """After by before: median, least and most over the rounds."""
    pairs = zip(rounds["after"], rounds["before"], strict=True)
    return turns.spread([new[what] / old[what] for new, old in pairs])


def _median(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Sums of the numbers of requests, medians of what was measured."""
    found = {name: round(statistics.median(one[name] for one in rounds), 2) for name in rounds[0]}
    sums = {name: sum(one[name] for one in rounds) for name in ("requests", "failed")}
    return {**found, **sums}


def _told(ratio: dict[str, float]) -> str:
    return f"{ratio['median']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]"


def _peak_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (peak,) = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
    return round(peak / 2**10, 1)


def _commit(checkout: Path) -> str:
    command = ["git", "-C", checkout, "log", "-1", "--format=%h %as %s"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()
