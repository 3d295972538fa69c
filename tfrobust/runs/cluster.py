"""The hosts that train together, which TF_CONFIG names, and their meeting before they begin.

TensorFlow waits for an absent host without end and without naming it. So the hosts meet here
first: every worker calls at the chief's address, and when all have called, the chief lets them go
on together. This module does not import TensorFlow.
"""

import json
import os
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tfrobust.errors import InputError, ReportedError

PEER_TIMEOUT = 300.0  # seconds
EXAMPLE = (
    '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'
)
_RETRY = 0.2  # seconds between calls at a chief that is not there yet
_LONGEST_LINE = 4096  # bytes


class MissingPeerError(ReportedError, TimeoutError):
    """A host that TF_CONFIG names did not come."""


@dataclass(frozen=True)
class Cluster:
    """The hosts of one training.

    Args:
        names: of each process, such as "worker 1 at host1:2222". The chief is the first.
        addresses: of each process, "host:port", in the same order.
        index: the place of this process among them; 0 is the chief.
    """

    names: tuple[str, ...]
    addresses: tuple[str, ...]
    index: int


def read(environment: Mapping[str, str] = os.environ) -> Cluster | None:
    """Reads TF_CONFIG.

    Args:
        environment: the environment variables.

    Returns:
        The hosts; None if there is no TF_CONFIG, or if it names only one process.

    Raises:
        InputError: TF_CONFIG is not JSON, or not of the form that TensorFlow asks for.
    """
    text = environment.get("TF_CONFIG", "").strip()
    if not text:
        return None
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        raise _wrong(f"JSON, got {text[:60]!r} ({error})") from None
    if not isinstance(config, dict):
        raise _wrong(f"a JSON object, got {text[:60]!r}")
    jobs = config.get("cluster") or {}
    if not isinstance(jobs, dict) or not all(map(_is_addresses, jobs.values())):
        raise _wrong(f'a "cluster" that gives each job a list of "host:port", got {jobs!r}')
    if sum(map(len, jobs.values())) < 2:
        return None
    if other := sorted(set(jobs) - {"chief", "worker"}):
        raise _wrong(
            f"the jobs chief and worker only, got also {', '.join(other)}: parameter servers and "
            "evaluators have no part in this training"
        )
    if len(jobs.get("chief", [])) > 1:
        raise _wrong(f"one chief, got {len(jobs['chief'])}")
    tasks = [(job, index) for job in ("chief", "worker") for index in range(len(jobs.get(job, [])))]
    task = config.get("task")
    own = (task.get("type"), _whole(task.get("index"))) if isinstance(task, dict) else None
    if own not in tasks:
        known = ", ".join(f"{job} {index}" for job, index in tasks)
        raise _wrong(f'a "task" that names one of {known} by "type" and "index", got {task!r}')
    addresses = tuple(jobs[job][index] for job, index in tasks)
    if len(set(addresses)) < len(addresses):
        raise _wrong(f"every address once, got {', '.join(addresses)}")
    names = tuple(
        f"{job} {index} at {address}"
        for (job, index), address in zip(tasks, addresses, strict=True)
    )
    return Cluster(names, addresses, tasks.index(own))


def meet(cluster: Cluster, *, token: str = "", timeout: float = PEER_TIMEOUT) -> None:
    """Waits until every host is there. All hosts return at the same moment.

    Args:
        cluster: from `read`. The chief listens on its own port, which is free again afterwards.
        token: a short line that must be the same on all hosts, such as a hash of the
            configuration.
        timeout: how long to wait, in seconds.

    Raises:
        MissingPeerError: a host did not come in time. All hosts that did come name it.
        InputError: a host has another token, two hosts have one name, or the port is taken.
    """
    deadline = time.monotonic() + timeout
    if cluster.index == 0:
        _receive(cluster, token, timeout, deadline)
    else:
        _call(cluster, token, timeout, deadline)


def _receive(cluster: Cluster, token: str, timeout: float, deadline: float) -> None:
    port = int(cluster.addresses[0].rpartition(":")[2])
    missing = set(range(1, len(cluster.names)))
    callers: list[socket.socket] = []
    try:
        listener = socket.create_server(("", port))
    except OSError as error:
        raise InputError(
            f"expected port {port} of this host to be free, as TF_CONFIG names it for "
            f"{cluster.names[0]}; {error.strerror}. Is an older training still there?"
        ) from None
    with listener:
        try:
            while missing:
                listener.settimeout(max(0.01, deadline - time.monotonic()))
                try:
                    caller, _ = listener.accept()
                except TimeoutError:
                    names = " and ".join(cluster.names[index] for index in sorted(missing))
                    raise MissingPeerError(
                        f"waited {timeout:.0f} s for {names}, in vain; start the same command "
                        "there, or take it out of TF_CONFIG"
                    ) from None
                said = _read_line(caller)
                if said is None or said.get("index") not in range(1, len(cluster.names)):
                    caller.close()  # a port scanner, or a host that gave up
                    continue
                callers.append(caller)
                name = cluster.names[said["index"]]
                if said.get("addresses") != list(cluster.addresses) or said.get("token") != token:
                    what = "configuration" if said.get("token") != token else "cluster in TF_CONFIG"
                    raise InputError(f"{name} was started with another {what} than the chief")
                if said["index"] not in missing:
                    raise InputError(f"two processes say that they are {name}")
                missing.remove(said["index"])
        except ReportedError as error:
            _answer(callers, {"error": str(error), "input": isinstance(error, InputError)})
            raise
        _answer(callers, {})


def _call(cluster: Cluster, token: str, timeout: float, deadline: float) -> None:
    host, _, port = cluster.addresses[0].rpartition(":")
    hello = {"index": cluster.index, "addresses": list(cluster.addresses), "token": token}
    reason, announced = "no answer", False
    while (left := deadline - time.monotonic()) > 0:
        try:
            with socket.create_connection((host.strip("[]"), int(port)), left) as connection:
                connection.sendall(json.dumps(hello).encode() + b"\n")
                connection.settimeout(max(0.01, deadline - time.monotonic()))
                answer = _read_line(connection)
        except OSError as error:
            reason, answer = str(error), None
        else:
            reason = "something else listens there"
        if answer is not None:
            if answer.get("error"):
                raise (InputError if answer.get("input") else MissingPeerError)(answer["error"])
            return
        if not announced:
            print(f"waiting for {cluster.names[0]}", file=sys.stderr)
            announced = True
        time.sleep(_RETRY)
    raise MissingPeerError(
        f"waited {timeout:.0f} s for {cluster.names[0]}, in vain ({reason}); start the same "
        "command there, or correct TF_CONFIG"
    )


def _answer(callers: list[socket.socket], words: dict[str, Any]) -> None:
    for caller in callers:
        try:
            caller.sendall(json.dumps(words).encode() + b"\n")
            # The caller hangs up first, so that this port is not kept busy afterwards.
            caller.settimeout(2)
            caller.recv(1)
        except OSError:
            pass
        finally:
            caller.close()


def _read_line(connection: socket.socket) -> dict[str, Any] | None:
    """One line of JSON that is an object; None for anything else."""
    if connection.gettimeout() is None:
        connection.settimeout(5)
    try:
        with connection.makefile("rb") as file:
            said = json.loads(file.readline(_LONGEST_LINE))
    except (OSError, ValueError):
        return None
    return said if isinstance(said, dict) else None


def _is_addresses(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(address, str)
        and address.rpartition(":")[0]
        and address.rpartition(":")[2].isdecimal()
        for address in value
    )


def _whole(value: Any) -> int | None:
    """The index in TF_CONFIG, which some launchers write as text."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def _wrong(what: str) -> InputError:
    return InputError(f"expected in TF_CONFIG {what}. For instance: {EXAMPLE}")
