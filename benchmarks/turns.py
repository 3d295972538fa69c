"""Measures several processes that take turns, so that all are disturbed alike by other programs.

Each configuration is a process of its own, whose peak of memory is its own. It compiles and warms
up once, and is stopped until its turn comes: A B C A B C … Ratios are taken round by round, and the
result is their median.

This module needs the standard library only, as the PyTorch twin's interpreter has nothing of ours.
"""

import argparse
import contextlib
import json
import os
import platform
import resource
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self


def parser(description: str | None) -> argparse.ArgumentParser:
    """The flags that all programs have whose steps are measured."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--depth", type=int, default=44)
    made.add_argument("--batch_size", type=int, default=128)
    made.add_argument("--threads", type=int, default=cores())
    made.add_argument("--warmup", type=int, default=2)
    return made


def serve(run: Callable[[int], list[float]], facts: dict[str, Any]) -> None:
    """The process' side: says that it is ready, then runs as many steps as each line asks for.

    Args:
        run: takes a number of steps and gives the seconds of each. It is compiled and warm.
        facts: what the process tells about itself, in JSON's own types.
    """
    peak = peak_mib()
    print(json.dumps({**facts, "process_peak_mib": peak}), flush=True)
    forget_peak()
    for line in sys.stdin:
        began = time.process_time()
        seconds = run(int(line))
        cpu = (time.process_time() - began) / len(seconds)
        peak = peak_mib()
        print(json.dumps({"seconds": seconds, "cpu_s": cpu, "peak_mib": peak}), flush=True)


def timed(step: Callable[[], object]) -> Callable[[int], list[float]]:
    """Makes of one step, which returns when it is done, what `serve` wants."""

    def run(steps: int) -> list[float]:
        seconds = []
        for _ in range(steps):
            began = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - began)
        return seconds

    return run


class Worker:
    """The driver's side of one process. Leaving the context ends the process.

    Args:
        command: what to start, which calls `serve`, or tells its facts and does as it likes while
            it is `running`.
        environment: variables added to our own.
        folder: that it is started in; None for ours.

    Attributes:
        pid: the process' number.
        facts: what the process told when it was ready, and prepare_s, the seconds until then.
        rounds: what it answered, turn by turn.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: dict[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        began = time.perf_counter()
        self.rounds: list[dict[str, Any]] = []
        # Any: Popen's types do not know that its pipes are there.
        self._process: Any = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **(environment or {})},
            cwd=folder,
        )
        self.pid: int = self._process.pid
        try:
            self.facts = self._answer()
        except BaseException:
            self.close()
            raise
        self._stop()
        self.facts["prepare_s"] = round(time.perf_counter() - began, 2)

    def turn(self, steps: int) -> None:
        """Runs some steps and keeps their times."""
        with self.running():
            self._process.stdin.write(f"{steps}\n")
            self._process.stdin.flush()
            self.rounds.append(self._answer())

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Within it the process runs."""
        self._process.send_signal(signal.SIGCONT)
        yield
        self._stop()

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _stop(self) -> None:
        """Between turns nothing runs: an input pipeline would read ahead, on nobody's clock."""
        self._process.send_signal(signal.SIGSTOP)

    def _answer(self) -> dict[str, Any]:
        for line in self._process.stdout:
            # Libraries may print lines of their own.
            if line.startswith("{"):
                return json.loads(line)
        raise RuntimeError(
            f"the process ended with {self._process.wait()}: {' '.join(self._process.args)}"
        )


def summary(worker: Worker) -> dict[str, Any]:
    """Medians over all turns: seconds and CPU seconds a step; and the peaks of memory, MiB."""
    seconds = [second for answer in worker.rounds for second in answer["seconds"]]
    return {
        "step_s": statistics.median(seconds),
        "cpu_s": statistics.median(answer["cpu_s"] for answer in worker.rounds),
        "steps": len(seconds),
        "steps_peak_mib": max(answer["peak_mib"] for answer in worker.rounds),
        **worker.facts,
    }


def ratio(worker: Worker, base: Worker, *, cpu: bool = False) -> dict[str, float]:
    """How many times the base's step takes: median, least and most over the rounds.

    Args:
        worker: measured in the same rounds as the base.
        base: what it is compared with.
        cpu: compare CPU seconds in place of seconds.
    """
    of_rounds = [
        one["cpu_s"] / other["cpu_s"]
        if cpu
        else statistics.median(one["seconds"]) / statistics.median(other["seconds"])
        for one, other in zip(worker.rounds, base.rounds, strict=True)
    ]
    return spread(of_rounds)


def spread(ratios: Sequence[float]) -> dict[str, float]:
    """Median, least and most of the rounds' ratios."""
    found = {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}
    return {name: round(value, 3) for name, value in found.items()}


def machine() -> dict[str, Any]:
    """Where and when this is measured."""
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.split(": ")[1] for line in lines if line.startswith("model name")), cpu)
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": cpu,
        "cores": cores(),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
    }


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def has_module(python: str, module: str) -> bool:
    """Whether an interpreter can import a module."""
    try:
        return not subprocess.run(
            [python, "-c", f"import {module}"], capture_output=True
        ).returncode
    except OSError:
        return False


def save(network: Any, path: Path) -> None:
    """Saves a Keras network beside its place and moves it there, so that no half of one is kept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"unfinished_{path.name}")
    network.save(beside)
    beside.replace(path)


def write(path: Path, results: Any) -> None:
    """Writes the JSON beside its place and renames it into it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".tmp")
    beside.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    beside.replace(path)


def into_page(page: Path, name: str, text: str) -> None:
    """Replaces what a page of the docs has between <!-- name --> and <!-- end of name -->."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, _, rest = page.read_text().partition(begin)
    _, mark, after = rest.partition(end)
    if not mark:
        raise ValueError(f"expected {page} to have {begin.strip()} and {end}")
    page.write_text(f"{before}{begin}{text}\n{end}{after}")


def measured_on(results: dict[str, Any]) -> str:
    """A sentence on the machine of results, for a page."""
    told = results["machine"]
    return (
        f"{told['date']}, {told['cpu']}, {told['cores']} cores, load {told['load_before']} at the "
        "beginning."
    )


def peak_mib() -> int:
    """The most memory that this process has held, MiB."""
    # Linux counts kibibytes, macOS bytes.
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit


def forget_peak() -> None:
    """From here on the peak is of the steps, without the compiler's (on Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        print("this system cannot reset the peak of memory: it includes compiling", file=sys.stderr)
