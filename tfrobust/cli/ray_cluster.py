"""Shares an evaluation among the machines of a Ray cluster (docs.ray.io), which need no disk of
ours: the network and the images go to them, and what the attacks found comes back.
"""

import dataclasses
import io
import sys
import tempfile
import zipfile
from collections import deque
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tfrobust.cli import workers
from tfrobust.cli.ray_connection import check_versions, connected
from tfrobust.core import shipped
from tfrobust.core.provenance import versions
from tfrobust.errors import InputError, ReportedError
from tfrobust.robustness.evaluation import Evaluation
from tfrobust.robustness.options import Options
from tfrobust.robustness.partials import Outcome

# A worker that is lost is started again somewhere, and its unit with it.
PERSISTENT = {"max_restarts": -1, "max_task_retries": -1}


class Worker:
    """One process of the cluster, which keeps the network and the images.

    Args:
        kept: what the cluster keeps for all processes: the network's file or folder, as `packed`
            makes it; images, float32 (N, H, W, C) in [0, 1]; and labels, int32 (N,).
        asked: how `load` is to read the network.
        options: those of the evaluation.
    """

    def __init__(self, kept: list[Any], asked: dict[str, Any], options: Options) -> None:
        import ray

        from tfrobust.core.loading import load

        archive, images, labels = ray.get(kept)
        with tempfile.TemporaryDirectory() as folder:
            with zipfile.ZipFile(io.BytesIO(archive)) as file:
                file.extractall(folder)
            network = load(next(Path(folder).iterdir()), **asked)
        self._evaluation = Evaluation(network, images, labels, options)

    def versions(self) -> dict[str, str]:
        """The packages that decide what this process finds."""
        return versions()

    def measure(self, number: int) -> list[Outcome]:
        """What all attacks find in one unit of the evaluation."""
        self._evaluation.run((number + 1, len(self._evaluation.units)))
        return self._evaluation.outcomes[self._evaluation.units[number]]


def packed(model: Path) -> bytes:
    """A network's file or folder as one archive.

    Args:
        model: a .keras, .h5 or .onnx file, or a SavedModel's folder.
    """
    files = [model] if model.is_file() else sorted(p for p in model.rglob("*") if p.is_file())
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for path in files:
            file.write(path, path.relative_to(model.parent))
    return archive.getvalue()


def run(
    evaluation: Evaluation,
    options: Options,
    *,
    address: str,
    model: str,
    asked: dict[str, Any],
    count: int | None,
) -> None:
    """Does what is still to be done of an evaluation on a Ray cluster.

    Each finished unit is kept at once, so that an interruption or a lost machine costs at most
    the units under way. The results are the same bytes, image by image, as one process finds on
    a machine of the same kind.

    Args:
        evaluation: the evaluation, which keeps what comes back.
        options: those that it was made with.
        address: a cluster's, as `ray.init` takes it, such as "auto"; or "here", a cluster of this
            machine alone, which ends with this program.
        model: the network's path or shipped name.
        asked: how `load` is to read it.
        count: how many processes; None: one for each GPU, or for each two CPU cores.

    Raises:
        InputError: there is no cluster at the address, or it has other versions of the packages.
        ReportedError: a worker failed.
    """
    with connected(address) as ray:
        try:
            _share(ray, evaluation, options, packed(Path(shipped.find(model))), asked, count)
        except ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None) or error
            kind = InputError if isinstance(cause, InputError) else ReportedError
            told = str(cause)[-workers.TOLD :]
            raise kind(f"a worker on the Ray cluster failed: {told}") from error


def _share(
    ray: Any,
    evaluation: Evaluation,
    options: Options,
    archive: bytes,
    asked: dict[str, Any],
    count: int | None,
) -> None:
    """Gives each worker a unit, and another one whenever it brings one back."""
    to_do = deque(
        number
        for number, unit in enumerate(evaluation.units)
        if len(evaluation.outcomes[unit]) < len(evaluation.attacks)
    )
    total = ray.cluster_resources()
    gpus, cpus = int(total.get("GPU", 0)), int(total.get("CPU", 1))
    count = min(count or gpus or max(1, cpus // 2), len(to_do))
    if not count:
        return
    needs = {"num_gpus": 1} if gpus else {"num_cpus": max(1, min(2, cpus // count))}
    # Kept by the cluster once, and not sent anew to each worker.
    kept = [ray.put(one) for one in (archive, evaluation.images, evaluation.labels)]
    settled = options.settled(evaluation.batch_size)
    plain = dataclasses.replace(settled, partial_dir=None, progress=False)
    kind = ray.remote(Worker).options(**PERSISTENT, **needs)
    made = [kind.remote(kept, asked, plain) for _ in range(count)]
    for there in ray.get([one.versions.remote() for one in made]):
        check_versions(there, versions())
    print(f"{count} workers on a Ray cluster of {len(ray.nodes())} nodes", file=sys.stderr)
    under_way = {}
    for worker in made:
        number = to_do.popleft()
        under_way[worker.measure.remote(number)] = worker, number
    with tqdm(
        total=len(evaluation.units),
        initial=len(evaluation.units) - len(to_do) - count,
        desc="attacking",
        unit="unit",
        file=sys.stderr,
        disable=not options.progress,
    ) as bar:
        while under_way:
            (done,), _ = ray.wait(list(under_way))
            worker, number = under_way.pop(done)
            evaluation.keep(evaluation.units[number], ray.get(done))
            bar.update()
            if to_do:
                number = to_do.popleft()
                under_way[worker.measure.remote(number)] = worker, number
