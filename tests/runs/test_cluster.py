import json
import socket
import threading
import time
from collections.abc import Callable

import pytest

from tfrobust.errors import InputError
from tfrobust.runs.cluster import Cluster, MissingPeerError, meet, read


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def config(jobs: dict, job: str = "worker", index: object = 0) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": jobs, "task": {"type": job, "index": index}})}


@pytest.mark.parametrize(
    "environment",
    [{}, {"TF_CONFIG": ""}, {"TF_CONFIG": "{}"}, config({"worker": ["a:1"]})],
    ids=["none", "empty", "no cluster", "one worker"],
)
def test_one_process_is_no_cluster(environment: dict[str, str]) -> None:
    assert read(environment) is None


def test_the_chief_comes_first() -> None:
    jobs = {"worker": ["a:1", "b:2"], "chief": ["c:3"]}
    cluster = read(config(jobs, index="1"))
    assert cluster == Cluster(
        ("chief 0 at c:3", "worker 0 at a:1", "worker 1 at b:2"), ("c:3", "a:1", "b:2"), 2
    )


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"TF_CONFIG": "{worker"}, "JSON"),
        ({"TF_CONFIG": "[1]"}, "a JSON object"),
        (config({"worker": "a:1"}), "list"),
        (config({"worker": ["a", "b"]}), "host:port"),
        (config({"worker": ["a:1", "b:2"], "ps": ["c:3"]}), "parameter servers"),
        (config({"worker": ["a:1"], "chief": ["b:2", "c:3"]}), "one chief"),
        (config({"worker": ["a:1", "b:2"]}, index=2), "worker 0, worker 1"),
        (config({"worker": ["a:1", "b:2"]}, index=None), "worker 0, worker 1"),
        (config({"worker": ["a:1", "a:1"]}), "every address once"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused(
    environment: dict[str, str], said: str
) -> None:
    with pytest.raises(InputError, match=said) as refusal:
        read(environment)
    assert "TF_CONFIG" in str(refusal.value)


class Meeting:
    """Hosts in threads: what each came out with, and when."""

    def __init__(self, count: int) -> None:
        self.addresses = tuple(f"127.0.0.1:{port}" for port in free_ports(count))
        self.names = tuple(f"worker {i} at {one}" for i, one in enumerate(self.addresses))
        self.results: dict[int, Exception | None] = {}
        self.ended: dict[int, float] = {}
        self.threads: list[threading.Thread] = []

    def come(self, index: int, **arguments: object) -> None:
        cluster = Cluster(self.names, self.addresses, index)

        def run() -> None:
            try:
                meet(cluster, **{"timeout": 20.0, **arguments})
                self.results[index] = None
            except Exception as error:
                self.results[index] = error
            self.ended[index] = time.monotonic()

        self.threads.append(threading.Thread(target=run))
        self.threads[-1].start()

    def end(self) -> dict[int, Exception | None]:
        for thread in self.threads:
            thread.join(30)
        return self.results


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_all_go_on_together_and_leave_the_port_free(order: tuple[int, ...]) -> None:
    meeting = Meeting(3)
    for index in order:
        meeting.come(index)
        time.sleep(0.3)
    last = time.monotonic() - 0.3
    assert meeting.end() == {0: None, 1: None, 2: None}
    assert min(meeting.ended.values()) > last - 0.05
    socket.create_server(("", int(meeting.addresses[0].rpartition(":")[2]))).close()


def test_a_peer_that_never_comes_is_named_to_all() -> None:
    meeting = Meeting(3)
    meeting.come(1, timeout=10)
    meeting.come(0, timeout=1)
    results = meeting.end()
    for index in (0, 1):
        assert isinstance(results[index], MissingPeerError)
        assert f"worker 2 at {meeting.addresses[2]}" in str(results[index])
        assert "worker 1" not in str(results[index])


def test_a_chief_that_never_comes_is_named() -> None:
    meeting = Meeting(2)
    meeting.come(1, timeout=0.5)
    (result,) = meeting.end().values()
    assert isinstance(result, MissingPeerError)
    assert meeting.names[0] in str(result) and "refused" in str(result)


def test_something_else_on_the_chiefs_port_is_no_chief() -> None:
    meeting = Meeting(2)
    port = int(meeting.addresses[0].rpartition(":")[2])
    with socket.create_server(("", port)) as server:
        stop = threading.Event()
        server.settimeout(0.1)

        def hang_up() -> None:
            while not stop.is_set():
                try:
                    server.accept()[0].close()
                except TimeoutError:
                    continue

        thread = threading.Thread(target=hang_up)
        thread.start()
        meeting.come(1, timeout=0.7)
        assert isinstance(meeting.end()[1], MissingPeerError)
        meeting.come(0, timeout=0.7)
        assert "is an older training still there" in str(meeting.end()[0]).lower()
        stop.set()
        thread.join()


@pytest.mark.parametrize(
    ("come", "said"),
    [
        (lambda meeting: meeting.come(1, token="other"), "another configuration"),
        (lambda meeting: (meeting.come(1), time.sleep(0.2), meeting.come(1)), "two processes"),
    ],
)
def test_hosts_that_do_not_fit_together_are_refused_everywhere(
    come: Callable[[Meeting], object], said: str
) -> None:
    meeting = Meeting(3)
    meeting.come(0)
    come(meeting)
    for result in meeting.end().values():
        assert isinstance(result, InputError) and said in str(result)
