"""Joins a Ray cluster (docs.ray.io), or begins one on this machine."""

import contextlib
import logging
import os
import signal
import socket
from collections.abc import Iterator
from typing import Any

from tfrobust.cli import workers
from tfrobust.errors import InputError

REACHED = 10.0  # seconds in which an address must answer


@contextlib.contextmanager
def connected(address: str) -> Iterator[Any]:
    """Within it, this program is a Ray cluster's. What it began there ends with the block.

    Args:
        address: a cluster's, as `ray.init` takes it, such as "auto"; or "here", a cluster of this
            machine alone, which ends with the block.

    Yields:
        The module ray.

    Raises:
        InputError: there is no cluster at the address.
    """
    import ray

    # It would warn that a worker cannot be restarted once nobody holds what it begins with.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    ends = signal.getsignal(signal.SIGTERM)
    try:
        host, _, port = address.rpartition(":")
        if port.isdecimal() and "/" not in host:
            # Ray itself would go on trying for minutes.
            socket.create_connection((host.strip("[]"), int(port)), REACHED).close()
        # None would join a cluster that RAY_ADDRESS or an earlier `ray start` names.
        cluster = "local" if address == workers.HERE else address
        ray.init(cluster, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, OSError) as error:
        raise InputError(
            f"expected a Ray cluster at {address}: {error}. `ray start --head` starts one; "
            f"--ray {workers.HERE} needs none"
        ) from None
    finally:
        # Ray's own handler exits without a word; a program of ours says how to go on.
        signal.signal(signal.SIGTERM, ends)
    try:
        yield ray
    finally:
        ray.shutdown()


def check_versions(there: dict[str, str], here: dict[str, str]) -> None:
    """Refuses a process whose results would not be those of the program's machine.

    Args:
        there: the packages of a process of the cluster, from `provenance.versions`.
        here: those of the machine that the program was called on.

    Raises:
        InputError: names the packages.
    """
    other = [
        f"{name} {there.get(name, 'not installed')} there, {here[name]} here"
        for name in here
        if there.get(name) != here[name]
    ]
    if other:
        raise InputError(
            f"expected the same packages on the Ray cluster as here, got {'; '.join(other)}"
        )
