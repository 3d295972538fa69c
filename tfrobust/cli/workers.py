"""Runs an evaluation in several processes, each with a shard and a GPU of its own."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from tfrobust.core import shipped
from tfrobust.errors import InputError, ReportedError

TOLD = 1500  # how many characters of a failed worker's log are shown
POLL = 0.5  # seconds
HERE = "here"  # the address of a Ray cluster that is this machine, as long as the program runs


def check_ray(address: str, model: str = "") -> None:
    """Refuses, before the long work, what Ray cannot do. This does not import it.

    Args:
        address: --ray.
        model: --model, where there is one.

    Raises:
        InputError: Ray is not installed, or the network is a function of this machine.
    """
    if importlib.util.find_spec("ray") is None:
        raise InputError(
            f"expected Ray for --ray {address}, but it is not installed: pip install tfrobust[ray]"
        )
    if model.startswith(shipped.PREFIX):
        raise InputError(
            f"expected a network in a file or folder, which can be sent to other machines, for "
            f"--ray {address}; got {model}"
        )


def gpus() -> int:
    """How many GPUs this process may use. To ask takes none of their memory."""
    import tensorflow as tf

    return len(tf.config.list_physical_devices("GPU"))


def run(command: Sequence[str], count: int, folder: Path, images: int) -> None:
    """Starts a command once for each shard, and waits until all are done.

    Args:
        command: --shard=i/n is added to it.
        count: the number of processes.
        folder: the evaluation's folder. Each worker's output goes to worker-N.log in it.
        images: the number of images in the evaluation, for the progress bar.

    Raises:
        InputError: a worker refused its input.
        ReportedError: a worker failed otherwise. The others are ended; what they finished is kept.
    """
    allowed = [one for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
    devices = allowed or [str(number) for number in range(gpus())] or [""]
    logs = [folder / f"worker-{number}.log" for number in range(1, count + 1)]
    processes: list[subprocess.Popen[bytes]] = []
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{count} workers; their output: {folder}/worker-N.log", file=sys.stderr)
    try:
        for number, log in enumerate(logs):
            with log.open("wb") as output:
                device = {"CUDA_VISIBLE_DEVICES": devices[number % len(devices)]}
                processes.append(
                    subprocess.Popen(
                        [*command, f"--shard={number + 1}/{count}"],
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        env={**os.environ, **device},
                    )
                )
        _wait(processes, folder / "evaluation", images)
    finally:
        # After Ctrl-C, or when a worker failed, the others are ended. What they finished is kept.
        for process in processes:
            process.terminate()
        codes = [process.wait() for process in processes]
    # A worker that was ended because another one failed is not the reason.
    failed = [number for number, code in enumerate(codes) if code > 0 and code != 130]
    for number in failed or [number for number, code in enumerate(codes) if code]:
        told = logs[number].read_text(errors="replace").strip()[-TOLD:]
        kind = InputError if codes[number] == 2 else ReportedError
        raise kind(f"a worker ended with status {codes[number]}; {logs[number]} ends:\n{told}")


def _wait(processes: Sequence[subprocess.Popen], partials: Path, images: int) -> None:
    """Shows the progress until all have ended or one has failed."""
    with tqdm(desc="attacking", unit="block", file=sys.stderr) as bar:
        while any(process.poll() is None for process in processes):
            time.sleep(POLL)
            if any(process.returncode for process in processes):
                return
            bar.total = bar.total or _units(partials, images)
            bar.update(len(list(partials.glob("*.npz"))) - bar.n)


def _units(partials: Path, images: int) -> int | None:
    """How many results there will be. None as long as no worker has said so."""
    try:
        manifest = json.loads((partials / "evaluation.json").read_text())
    except (OSError, ValueError):
        return None
    blocks = -(-images // manifest["images of a unit"])
    return 2 * blocks * len(manifest["attacks"])
