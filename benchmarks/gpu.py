"""Measures all that only a GPU can show, in one command and within a quarter of an hour.

    python benchmarks/gpu.py                      # --on CPU tries it, smaller, where there is none

Its parts are processes of their own, each with a limit of time, so that one that fails or hangs
costs no other:

- tests: what `make test-gpu` runs;
- steps: seconds of the plain, the penalty's and the adversarial step of ResNet-44, batch 128, in
  float32, TF32 and bfloat16, compiled by XLA and not;
- two: one GPU against its two halves (MirroredStrategy), the penalty's step;
- presets: seconds of evaluate's presets on the shipped network;
- imagenet: the penalty's step of ResNet-50 at 224 × 224, and what the input pipeline gives it.

Prints a table and writes benchmarks/results/gpu.json as the parts end: the card, the versions, the
rows, and the whole output. Without a GPU it measures nothing, says so, and ends with status 3.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import turns

HERE = Path(__file__).resolve().parent
NO_GPU = 3  # exit status
PRECISIONS = ("float32", "tf32", "bfloat16")
MINUTES = 14.0
LEAST = 10.0  # seconds, in which nothing would be found
# Seconds of a part where all have MINUTES; of steps, of each of its six processes. A part that is
# stopped keeps the rows that it gave.
LIMITS = {"tests": 150, "steps": 100, "two": 60, "presets": 120, "imagenet": 120}


def about(on: str) -> dict[str, Any]:
    """The card and the versions; asked in a process that then ends and frees its memory."""
    code = (
        "import json, tensorflow as tf, keras; from tfrobust.core.provenance import machine;"
        f"print(json.dumps({{'devices': len(tf.config.list_physical_devices({on!r})), 'name': "
        "machine(), 'tensorflow': tf.__version__, 'keras': keras.__version__, "
        "'built for': dict(tf.sysconfig.get_build_info())}, default=str))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"TensorFlow does not start: {done.stderr[-1500:]}")
    return json.loads(done.stdout.splitlines()[-1])


def commands(flags: argparse.Namespace) -> list[tuple[str, list[str]]]:
    """What to run, in order: the part, and its command."""
    own = [sys.executable, str(HERE / "gpu_parts.py"), f"--on={flags.on}"]
    all_of = []
    for part in flags.parts.split(","):
        if part == "tests":
            path = str(HERE.parent / "tests" / "runs" / "test_gpu.py")
            arguments = ["-m", "pytest", "-m", "gpu", "-rs", "-s", "-p", "no:cacheprovider", path]
            all_of.append((part, [sys.executable, *arguments]))
        elif part == "steps":
            # TF32 is a way of GPUs alone.
            for precision in PRECISIONS if flags.on == "GPU" else ("float32",):
                for compiled in ("compiled", "uncompiled"):
                    all_of.append((part, [*own, part, precision, compiled]))
        else:
            all_of.append((part, [*own, part]))
    return all_of


def table(rows: list[dict[str, Any]]) -> str:
    """The steps' images per second, as Markdown."""
    lines = ["| step | precision | compiled | images/s |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {one['kind']} | {one['precision']} | {one['compiled']} | {one['images_per_s']} |"
        for one in rows
        if one.get("part") == "steps"
    ]
    return "\n".join(lines)


def main() -> None:
    """Runs the parts, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--on", choices=["GPU", "CPU"], default="GPU")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="for all parts together")
    parser.add_argument("--parts", default=",".join(LIMITS), help="by comma")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "gpu.json")
    flags = parser.parse_args()
    if unknown := set(flags.parts.split(",")) - set(LIMITS):
        parser.error(f"expected --parts out of {', '.join(LIMITS)}; got {', '.join(unknown)}")
    began, card = time.monotonic(), about(flags.on)
    if not card["devices"]:
        print("no GPU here: nothing was measured. --on CPU tries the script", file=sys.stderr)
        sys.exit(NO_GPU)
    results: dict[str, Any] = {
        "command": f"python benchmarks/gpu.py --on {flags.on} --parts {flags.parts}",
        "on": flags.on,
        "small": flags.on == "CPU",
        "machine": {**turns.machine(), **card},
        "rows": [],
        "runs": [],
    }
    environment = {
        **os.environ,
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "TF_CPP_MIN_LOG_LEVEL": "1",
        "TFROBUST_GPU_TESTS_ON": flags.on,
    }
    for part, command in commands(flags):
        left = 60 * flags.minutes - (time.monotonic() - began)
        limit = min(left, LIMITS[part] * flags.minutes / MINUTES)
        told = {"part": part, "command": command[1:], **run(command, limit, environment)}
        results["runs"].append(told)
        for line in told["output"].splitlines():
            if line.startswith("{"):
                results["rows"].append({"part": part, **json.loads(line)})
        turns.write(flags.output, results)
        print(f"{part} {' '.join(command[3:])}: {told['ended']}", file=sys.stderr)
    print(table(results["rows"]))
    print(f"written: {flags.output}")
    sys.exit(any(told["ended"] != "well" for told in results["runs"]))


def run(command: list[str], limit: float, environment: dict[str, str]) -> dict[str, Any]:
    """One process: how it ended, its seconds, and its whole output."""
    if limit < LEAST:
        return {"ended": "left out, as there was no time", "seconds": 0, "output": ""}
    began = time.monotonic()
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        output, _ = process.communicate(timeout=limit)
        ended = "well" if process.returncode == 0 else f"with status {process.returncode}"
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        ended = f"stopped after {limit:.0f} s"
    return {"ended": ended, "seconds": round(time.monotonic() - began, 1), "output": output}


if __name__ == "__main__":
    main()
