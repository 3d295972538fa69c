"""Repeats every figure of the README and prints the old beside the new.

    python benchmarks/reproduce.py [--only serving] [--torch_python PATH]

Each file of benchmarks/results/ tells the command that made it; that is what runs here, one after
the other, and the file is written anew. In a clean clone everything is done from scratch, which
takes hours; finished work in runs/ would be used again, so that such a folder is refused.
"""

import argparse
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
# What a second run need not give again: when and on what, and lists of raw rounds.
ASIDE = ("machine", "date", "load_before", "recipe")


def numbers(value: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Every number of a result, by its place; of lists their length aside."""
    if isinstance(value, bool):
        return
    if isinstance(value, int | float):
        yield path, value
    if isinstance(value, dict):
        for key, one in value.items():
            if key not in ASIDE:
                yield from numbers(one, f"{path} / {key}" if path else str(key))


def side_by_side(old: Any, new: Any) -> str:
    """Markdown: place, old, new and their ratio."""
    before, after = dict(numbers(old)), dict(numbers(new))
    lines = ["| what | old | new | new / old |", "| --- | --- | --- | --- |"]
    for place in {**before, **after}:
        told = [f"{found[place]:.4g}" if place in found else "–" for found in (before, after)]
        known = place in before and place in after and before[place]
        ratio = f"{after[place] / before[place]:.3f}" if known else "–"
        lines.append(f"| {place} | {told[0]} | {told[1]} | {ratio} |")
    return "\n".join(lines)


def command_of(told: str, torch_python: str | None) -> list[str]:
    """A result's command, for this machine."""
    words = shlex.split(told)
    if "--torch_python" in words:
        place = words.index("--torch_python")
        words[place : place + 2] = ["--torch_python", torch_python] if torch_python else []
    return [sys.executable if word == "python" else word for word in words]


def main() -> None:
    """Runs and compares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="a part of the results' names")
    parser.add_argument("--torch_python", help="a Python that has PyTorch; without, no twin of it")
    parser.add_argument("--keep_runs", action="store_true", help="use finished work in runs/")
    flags = parser.parse_args()
    chosen = [path for path in sorted(RESULTS.glob("*.json")) if flags.only in path.stem]
    if not chosen:
        names = ", ".join(path.stem for path in sorted(RESULTS.glob("*.json")))
        parser.error(f"expected --only to be a part of one of {names}; got {flags.only}")
    if (ROOT / "runs").exists() and not flags.keep_runs:
        parser.error("runs/ holds finished work: rename it, or --keep_runs to use it")
    failed = []
    for number, path in enumerate(chosen, 1):
        old = json.loads(path.read_text())
        command = command_of(old["command"], flags.torch_python)
        print(f"{number} of {len(chosen)}: {shlex.join(command)}", file=sys.stderr, flush=True)
        began = time.monotonic()
        done = subprocess.run(command, cwd=ROOT)
        if done.returncode:
            failed.append(path.stem)
        print(f"\n## {path.stem}, {time.monotonic() - began:.0f} s\n")
        print(side_by_side(old, json.loads(path.read_text())), flush=True)
    if failed:
        sys.exit(f"ended with an error: {', '.join(failed)}")


if __name__ == "__main__":
    main()
