"""Repeats every figure of the documentation, and prints the old ones beside the new ones.

    python benchmarks/reproduce.py [--only serving] [--torch_python PATH]

Each file of benchmarks/results/ holds the command that made it. These commands are run, one after
the other, and write their files anew. In a fresh clone everything is done from scratch, which takes
hours. Finished work in runs/ would be used again, so such a folder is refused.
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
WITH_TORCH = ("training_speed", "explanation_speed")  # take --torch_python
# A second run need not give these again: when and on which machine it ran.
ASIDE = ("machine", "date", "load_before", "recipe")


def numbers(value: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Every number of a result, by its path. Lists are left out."""
    if isinstance(value, bool):
        return
    if isinstance(value, int | float):
        yield path, value
    if isinstance(value, dict):
        for key, one in value.items():
            if key not in ASIDE:
                yield from numbers(one, f"{path} / {key}" if path else str(key))


def side_by_side(old: Any, new: Any) -> str:
    """A Markdown table of each number: its path, the old one, the new one and their ratio."""
    before, after = dict(numbers(old)), dict(numbers(new))
    lines = ["| what | old | new | new / old |", "| --- | --- | --- | --- |"]
    for place in {**before, **after}:
        told = [f"{found[place]:.4g}" if place in found else "–" for found in (before, after)]
        known = place in before and place in after and before[place]
        ratio = f"{after[place] / before[place]:.3f}" if known else "–"
        lines.append(f"| {place} | {told[0]} | {told[1]} | {ratio} |")
    return "\n".join(lines)


def command_of(told: str, torch_python: str | None, before: str | None = None) -> list[str]:
    """The command that made a result, for this machine and an older checkout of its own."""
    words = shlex.split(told)
    if "--torch_python" in words:
        place = words.index("--torch_python")
        del words[place : place + 2]
    if "--before" in words:
        place = words.index("--before")
        words[place : place + 2] = ["--before", before] if before else []
    if torch_python and Path(words[1]).stem in WITH_TORCH:
        words += ["--torch_python", torch_python]
    return [sys.executable if word == "python" else word for word in words]


def again(path: Path, torch_python: str | None, older: str | None = None) -> bool:
    """Makes a result anew, and prints it beside the old one. If that fails, the old one stays."""
    before = path.read_text()
    command = command_of(json.loads(before)["command"], torch_python, older)
    print(shlex.join(command), file=sys.stderr, flush=True)
    # A benchmark may take an existing result for its own finished work.
    path.unlink()
    began = time.monotonic()
    try:
        done = subprocess.run(command, cwd=ROOT).returncode == 0 and path.exists()
    finally:
        if not path.exists():
            path.write_text(before)
    print(f"\n## {path.stem}, {time.monotonic() - began:.0f} s\n")
    print(side_by_side(json.loads(before), json.loads(path.read_text())), flush=True)
    return done


def main() -> None:
    """Runs and compares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="a part of the results' names")
    parser.add_argument("--torch_python", help="a Python that has PyTorch; without, no twin of it")
    parser.add_argument("--before", help="an older checkout; without, nothing is timed beside one")
    parser.add_argument("--keep_runs", action="store_true", help="use finished work in runs/")
    flags = parser.parse_args()
    # The networks that explanations.py asks for are those of measure.py.
    paths = sorted(RESULTS.glob("*.json"), key=lambda path: (path.stem != "measure", path))
    chosen = [path for path in paths if flags.only in path.stem]
    if not chosen:
        names = ", ".join(path.stem for path in paths)
        parser.error(f"expected --only to be a part of one of {names}; got {flags.only}")
    if (ROOT / "runs").exists() and not flags.keep_runs:
        parser.error("runs/ holds finished work: rename it, or --keep_runs to use it")
    failed = []
    for number, path in enumerate(chosen, 1):
        print(f"{number} of {len(chosen)}: ", end="", file=sys.stderr)
        if not again(path, flags.torch_python, flags.before):
            failed.append(path.stem)
    if failed:
        sys.exit(f"ended with an error: {', '.join(failed)}")


if __name__ == "__main__":
    main()
