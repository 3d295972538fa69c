"""Trains on a Ray cluster: the loop of every training runs in the workers of Ray Train.

Ray starts the workers and tells each of the others by TF_CONFIG. When one is lost, it starts all of
them again, and they go on from the last checkpoint.
"""

import functools
import os
import shutil
import sys
import threading
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfrobust.cli import workers
from tfrobust.cli.ray_connection import connected
from tfrobust.cli.ray_worker import Board, Order, may_go_well, work
from tfrobust.core.provenance import versions
from tfrobust.errors import InputError, ReportedError, reason_of
from tfrobust.runs import folder
from tfrobust.runs.config import Config

RESTARTS = 20  # how often lost workers are replaced before the program gives up
POLL = 0.5  # seconds between two looks at what the workers say


def run(config: Config, arguments: dict[str, Any], *, address: str, count: int | None) -> str:
    """Does a whole run in the workers of Ray Train.

    Args:
        config: of the run.
        arguments: the others of `stages.run`. Folders are seen by all machines of the cluster.
        address: as for `connected`.
        count: of workers; None: one for each GPU, or for each machine.

    Returns:
        What was found, in words.

    Raises:
        InputError: there is no such cluster, it has not so many GPUs or cores, or a worker
            refused its input.
        ReportedError: a worker failed, or workers were lost too often.
        KeyboardInterrupt: after Ctrl-C. The last checkpoint is kept.
    """
    arguments = lasting(config, arguments)
    meeting = Path(arguments["runs_dir"]).absolute() / f".ray-{uuid.uuid4().hex[:8]}"
    # `print` of a worker would go to Ray's log.
    os.environ["RAY_TRAIN_ENABLE_PRINT_PATCH"] = "0"
    with connected(address) as ray:
        needs = _needs(ray, count)
        meeting.mkdir(parents=True)
        try:
            here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
                ray.get_runtime_context().get_node_id(), soft=False
            )
            board = ray.remote(Board).options(num_cpus=0, scheduling_strategy=here).remote()
            order = Order(config, arguments, Path.cwd(), meeting, versions(), board)
            return _followed(ray, order, needs)
        except KeyboardInterrupt:
            every = config.training.checkpoint_every
            raise KeyboardInterrupt(
                f"The last checkpoint, one of every {every} steps, is kept."
            ) from None
        finally:
            shutil.rmtree(meeting, ignore_errors=True)


def lasting(config: Config, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments for every attempt: only the first one begins a new run.

    Raises:
        InputError: the folder that is to be new is there.
    """
    if not arguments["fresh"]:
        return arguments
    run_dir = arguments["run_dir"] or folder.new_folders(arguments["runs_dir"], config.name)[0]
    if run_dir.exists():
        raise InputError(f"{run_dir} exists; --fresh needs a new --run_dir, or none")
    return {**arguments, "fresh": False, "run_dir": run_dir}


def _needs(ray: Any, count: int | None) -> dict[str, Any]:
    """How many workers, and what each has.

    Raises:
        InputError: the cluster has too little.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    use_gpu = any(node.get("GPU", 0) >= 1 for node in nodes)
    gpus = [int(node.get("GPU", 0)) if use_gpu else sys.maxsize for node in nodes]
    cpus = [int(node.get("CPU", 0)) for node in nodes]
    count = count or (sum(gpus) if use_gpu else sum(map(bool, cpus)))
    each = {"CPU": cores(list(zip(cpus, gpus, strict=True)), count)}
    return {
        "num_workers": count,
        "use_gpu": use_gpu,
        "resources_per_worker": {**each, "GPU": 1} if use_gpu else each,
    }


def cores(machines: Sequence[tuple[int, int]], count: int) -> int:
    """The most CPU cores that every worker can have where all are to find room.

    Args:
        machines: how many cores each has, and how many workers at most.
        count: of workers.

    Raises:
        InputError: there is no room for so many workers.
    """
    for each in range(max(cpus for cpus, _ in machines), 0, -1):
        if sum(min(cpus // each, most) for cpus, most in machines) >= count:
            return each
    room = sum(min(cpus, most) for cpus, most in machines)
    raise InputError(
        f"expected --workers up to {room}, as the Ray cluster has cores and GPUs for so many; got "
        f"{count}"
    )


def _followed(ray: Any, order: Order, needs: dict[str, Any]) -> str:
    """Starts the workers, prints what the chief says, and waits for the end."""
    from ray import train
    from ray.train.tensorflow import TensorflowTrainer

    worked: Any = functools.partial(work, order)
    failures: Any = {"max_failures": RESTARTS, "controller_failure_limit": RESTARTS}
    trainer: Any = TensorflowTrainer(
        worked,
        scaling_config=train.ScalingConfig(**needs),
        run_config=train.RunConfig(
            name="train",
            storage_path=str(order.meeting),
            failure_config=train.FailureConfig(**failures),
            callbacks=[_announcer(order.board)],
        ),
    )
    came: list[Any] = []

    def fit() -> None:
        # Not in the main thread, where Ray would take Ctrl-C for itself.
        try:
            came.append(trainer.fit().return_value)
        except BaseException as error:
            came.append(error)

    thread = threading.Thread(target=fit, daemon=True)
    thread.start()
    print(f"{needs['num_workers']} workers of Ray Train", file=sys.stderr)
    while thread.is_alive():
        thread.join(POLL)
        said, ended = ray.get(order.board.read.remote())
        print(said, end="", file=sys.stderr, flush=True)
        if ended:
            raise ended
    (result,) = came
    if isinstance(result, BaseException):
        raise ReportedError(_reasons(result)) from result
    return str(result)


def _announcer(board: Any) -> Any:
    """Tells the board of workers that were lost. It lives where Ray's controller does."""
    from ray.train import UserCallback

    class Announcer(UserCallback):
        def after_exception(
            self, run_context: Any, worker_exceptions: dict[int, Exception]
        ) -> None:
            words = causes(worker_exceptions)
            board.write.remote(
                f"\n{words}; all workers start again and go on from the last checkpoint\n"
            )

    return Announcer()


def causes(failures: Mapping[int, BaseException]) -> str:
    """What happened to workers, in one line. Those who only miss another are left out."""
    own = {rank: error for rank, error in failures.items() if not may_go_well(error)}
    return "; ".join(
        f"worker {rank}: {reason_of(error)}" for rank, error in sorted((own or failures).items())
    )


def _reasons(error: BaseException) -> str:
    """Why Ray gave up, and how to go on."""
    failures = getattr(error, "worker_failures", None)
    told = causes(failures) if failures else reason_of(error)
    return (
        f"the workers on the Ray cluster failed {RESTARTS + 1} times, at last with: "
        f"{told[-workers.TOLD :]}. The last checkpoint is kept; the same command goes on"
    )
