r"""Measures the local server under load on this machine, beside direct calls of the same model.

    python benchmarks/serving.py --model saved_models/fashion_mnist_mini [--requests 20000] \
        [--before PATH]

The clients run in a process of their own and share the cores with the server. Measured are requests
of one image from one client and from eight, beside direct calls of the SavedModel from one thread
and from eight; explanations likewise; sixteen clients that predict, of which none may fail;
explainer.onnx beside the SavedModel; and the server's memory after a tenth of the requests and at
the end. Each part takes at most --seconds. With --before the server of an older checkout, as `git
worktree add` makes one, is measured beside this one's, in turns.

Prints a table, and writes benchmarks/results/serving.json.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import turns
from serving_load import asking, hammer, inputs_of

HERE = Path(__file__).resolve().parent
CLIENTS, CROWD = 8, 16
# How many milliseconds one client's p50 may be above a direct call; the share of direct calls from
# eight threads that eight clients must reach; the memory at the end over that at a tenth; how many
# requests may fail, of all.
MARKS = {"added_ms": 2.1, "share": 0.4, "memory": 1.05, "failed": 0}


def clients(flags: argparse.Namespace) -> None:
    """The clients' process: sends requests, and prints what it measured."""
    import grpc

    with grpc.insecure_channel(flags.server) as channel:
        call = asking(channel, flags.name, flags.signature, np.load(flags.image))
        print(json.dumps(hammer(call, flags.threads, flags.seconds, flags.requests)))


def resident_mib() -> float:
    """The memory of this process, now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="a folder of versions")
    parser.add_argument("--requests", type=int, default=20_000, help="in the test of memory")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each part")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "serving.json")
    parser.add_argument("--before", type=Path, help="an older checkout, to compare its server with")
    for name in ("server", "name", "signature", "image"):
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.server:
        clients(flags)
        return
    if flags.model is None or not flags.model.is_dir():
        sys.exit(f"expected --model to be a folder of versions, got {flags.model}")
    if flags.before is not None and not (flags.before / "tfrobust" / "serving").is_dir():
        sys.exit(f"expected --before to be a checkout with a server, got {flags.before}")
    machine = turns.machine()
    import onnxruntime
    import tensorflow as tf

    from tfrobust.core.loading import version_folder
    from tfrobust.serving.local import Server
    from tfrobust.serving.settings import Settings

    version = version_folder(flags.model)
    signatures = tf.saved_model.load(str(version)).signatures
    shape = signatures["serving_default"].structured_input_signature[1]["images"].shape
    image = np.random.default_rng(0).random((1, *shape[1:]), np.float32)
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/image.npy", image)

        def ask(port: int, signature: str, threads: int, seconds: float, most: int) -> Any:
            command = [sys.executable, __file__, f"--server=127.0.0.1:{port}"]
            command += [f"--name={flags.model.name}", f"--signature={signature}"]
            command += [f"--image={folder}/image.npy", f"--threads={threads}"]
            command += [f"--seconds={seconds}", f"--requests={most}"]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            return json.loads(done.stdout.splitlines()[-1])

        settings = Settings(port=0, rest_port=None, queue=64)
        with Server(flags.model.parent, settings) as server:
            for signature in ("serving_default", "explain"):
                given = {k: tf.constant(v) for k, v in inputs_of(signature, image).items()}
                call = signatures[signature]
                call(**given)
                for threads in (1, CLIENTS):
                    rows[f"{signature}, direct, {threads} threads"] = hammer(
                        lambda call=call, given=given: call(**given),
                        threads,
                        flags.seconds,
                        10**9,
                    )
                    rows[f"{signature}, gRPC, {threads} clients"] = ask(
                        server.port, signature, threads, flags.seconds, 10**9
                    )
            rows[f"serving_default, gRPC, {CROWD} clients"] = ask(
                server.port, "serving_default", CROWD, flags.seconds, 10**9
            )
            tenth = flags.requests // 10
            begun = ask(server.port, "serving_default", CLIENTS, 600, tenth)
            early = resident_mib()
            ended = ask(server.port, "serving_default", CLIENTS, 600, flags.requests - tenth)
            late = resident_mib()
        if (version / "explainer.onnx").exists():
            running = onnxruntime.InferenceSession(str(version / "explainer.onnx"))
            given = inputs_of("explain", image)
            rows["explainer.onnx, onnxruntime, 1 thread"] = hammer(
                lambda: running.run(None, given), 1, flags.seconds, 10**9
            )
    direct, served = (
        rows[f"serving_default, {way}"] for way in ("direct, 1 threads", "gRPC, 1 clients")
    )
    many = rows[f"serving_default, gRPC, {CLIENTS} clients"]["rate"]
    marks = {
        "added_ms": round(served["p50_ms"] - direct["p50_ms"], 2),
        "share": round(many / rows[f"serving_default, direct, {CLIENTS} threads"]["rate"], 3),
        "memory": round(late / early, 4),
        "failed": sum(row["failed"] for row in (*rows.values(), begun, ended)),
    }
    met = {
        "added_ms": marks["added_ms"] <= MARKS["added_ms"],
        "share": marks["share"] >= MARKS["share"],
        "memory": marks["memory"] <= MARKS["memory"],
        "failed": marks["failed"] <= MARKS["failed"],
    }
    print("| what | requests | a second | p50 ms | p99 ms |\n| --- | --- | --- | --- | --- |")
    for name, row in rows.items():
        print(f"| {name} | {row['requests']} | {row['rate']} | {row['p50_ms']} | {row['p99_ms']} |")
    for name, value in marks.items():
        print(f"{name}: {value}, mark {MARKS[name]}: {'met' if met[name] else 'MISSED'}")
    compared = {}
    if flags.before is not None:
        from serving_versions import compare, table

        compared = {"before_and_after": compare(flags.before, flags.model, image, flags.seconds)}
        print(table(compared["before_and_after"]))
    turns.write(
        flags.output,
        {
            "command": f"python benchmarks/serving.py --model {flags.model} "
            f"--requests {flags.requests} --seconds {flags.seconds:g}"
            + (" --before PATH" if flags.before else ""),
            "machine": {**machine, "tensorflow": tf.__version__},
            "rows": rows,
            **compared,
            "resident_mib": {"at a tenth": round(early, 1), "at the end": round(late, 1)},
            "marks": {k: {"value": v, "mark": MARKS[k], "met": met[k]} for k, v in marks.items()},
        },
    )
    print(f"written: {flags.output}")


if __name__ == "__main__":
    main()
