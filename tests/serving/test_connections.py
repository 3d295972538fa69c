"""Connections that send nothing, or not all: they shut nobody out and are closed."""

import contextlib
import json
import select
import socket
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import uvicorn

from tfrobust.serving import connections, local_grpc
from tfrobust.serving.local import Server
from tfrobust.serving.settings import Settings

IMAGES = np.random.default_rng(0).random((3, 28, 28, 1), np.float32)
HALF_A_HEADER = b"POST /v1/models/tiny:predict HTTP/1.1\r\nHost: localhost\r\n"
ANSWER_BYTES = 2**25
HALF_A_BODY = HALF_A_HEADER + b"Content-Length: 100000\r\n\r\n{"


@pytest.fixture(scope="module")
def impatient(models_folder) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connections, "SECONDS", 1.0)
        patch.setattr(connections, "MOST_CONNECTIONS", 40)
        patch.setattr(local_grpc, "HANDSHAKE_MS", 1000)
        with Server(models_folder, Settings(port=0, rest_port=0)) as server:
            yield server


def opened(server: Server, said: bytes, count: int) -> list[socket.socket]:
    found = []
    for _ in range(count):
        found.append(socket.create_connection(("127.0.0.1", server.rest_port)))
        found[-1].sendall(said)
    return found


def answered(server: Server, seconds: float = 5) -> bool:
    with socket.create_connection(("127.0.0.1", server.rest_port), timeout=seconds) as client:
        client.sendall(b"GET /v1/models/tiny HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return client.recv(100).startswith(b"HTTP/1.1 200")


def still_open(clients: list[socket.socket]) -> int:
    count = 0
    for client in clients:
        client.settimeout(0.01)
        try:
            count += client.recv(65_536) != b""
        except TimeoutError:
            count += 1
        except OSError:
            pass
    return count


@pytest.mark.parametrize("said", [b"", HALF_A_HEADER, HALF_A_BODY])
def test_half_open_connections_shut_nobody_out_and_are_closed(
    impatient: Server, said: bytes
) -> None:
    clients = opened(impatient, said, 100)
    assert answered(impatient)
    time.sleep(0.2)
    assert still_open(clients) <= 40
    deadline = time.monotonic() + 10
    while still_open(clients):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert answered(impatient)


def test_two_connections_too_many_close_the_two_oldest(impatient: Server) -> None:
    clients = opened(impatient, HALF_A_BODY, 42)
    time.sleep(0.3)
    closed, _, _ = select.select(clients, [], [], 0)
    assert closed == clients[:2]
    for client in clients:
        client.close()


def test_grpc_connections_that_send_nothing_are_closed(impatient: Server) -> None:
    clients = [socket.create_connection(("127.0.0.1", impatient.port)) for _ in range(20)]
    deadline = time.monotonic() + 10
    # gRPC says its settings first, so what it sent is read before the end is seen.
    while still_open(clients):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_request_that_drips_is_closed(impatient: Server) -> None:
    (client,) = opened(impatient, HALF_A_BODY, 1)
    began = time.monotonic()
    with pytest.raises(OSError):
        while time.monotonic() < began + 10:
            client.sendall(b" ")
            time.sleep(0.05)
    assert time.monotonic() - began < 5


def test_a_request_that_comes_slowly_but_well_is_answered(impatient: Server) -> None:
    body = json.dumps({"instances": IMAGES.tolist()}).encode().ljust(120_000)
    (client,) = opened(
        impatient, HALF_A_HEADER + f"Content-Length: {len(body)}\r\n\r\n".encode(), 1
    )
    client.settimeout(30)
    for part in range(0, len(body), 10_000):  # twice as long as a silent client gets
        client.sendall(body[part : part + 10_000])
        time.sleep(0.2)
    assert client.recv(100).startswith(b"HTTP/1.1 200")


def test_what_follows_a_refused_request_is_not_read_for_ever(impatient: Server) -> None:
    head = b"POST /v1/models/tiny:predict HTTP/1.1\r\nHost: evil.example\r\n"
    (client,) = opened(impatient, head + b"Content-Length: 1000000000\r\n\r\n", 1)
    client.settimeout(10)
    assert client.recv(100).startswith(b"HTTP/1.1 403")
    began = time.monotonic()
    with pytest.raises(OSError):
        while time.monotonic() < began + 10:
            client.sendall(bytes(10_000))
            time.sleep(0.05)
    assert time.monotonic() - began < 5


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port of a server that answers everything by 32 MB in one piece."""
    monkeypatch.setattr(connections, "SECONDS", 0.5)

    async def app(scope, receive, send) -> None:
        length = (b"content-length", str(ANSWER_BYTES).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": bytes(ANSWER_BYTES)})

    config = uvicorn.Config(app, http=connections.impatient_protocol(), lifespan="off")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join()


@pytest.mark.parametrize(("pause", "whole"), [(0.02, True), (None, False)])
def test_an_answer_may_be_read_slowly_but_not_left(
    answering: int, pause: float | None, whole: bool
) -> None:
    with socket.create_connection(("127.0.0.1", answering), timeout=10) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        if pause is None:
            time.sleep(1.5)
        got = 0
        with contextlib.suppress(ConnectionError):
            while got < ANSWER_BYTES and (part := client.recv(2**18)):
                got += len(part)
                time.sleep(pause or 0)
        assert (got >= ANSWER_BYTES) == whole


def test_a_keep_alive_connection_is_used_again(impatient: Server) -> None:
    with socket.create_connection(("127.0.0.1", impatient.rest_port), timeout=5) as client:
        for _ in range(3):
            client.sendall(b"GET /v1/models/tiny HTTP/1.1\r\nHost: localhost\r\n\r\n")
            told = b""
            while not told.endswith(b"}"):
                told += client.recv(10_000)
            assert told.startswith(b"HTTP/1.1 200")
            time.sleep(0.3)
