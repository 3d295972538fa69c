"""The client over REST: the same answers as over gRPC, and which requests are sent again."""

import http.server
import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfrobust.errors import InputError
from tfrobust.serving import Client, ServerError
from tfrobust.serving.local import Server
from tfrobust.serving.settings import Settings

IMAGES = np.random.default_rng(0).random((3, 28, 28, 1), np.float32)


@pytest.fixture
def clients(server):
    """One client over gRPC and one over REST."""
    with (
        Client(f"127.0.0.1:{server.port}", model="tiny") as by_grpc,
        Client(f"http://127.0.0.1:{server.rest_port}", model="tiny", version=3) as by_rest,
    ):
        yield by_grpc, by_rest


def test_rest_gives_what_grpc_gives(clients) -> None:
    by_grpc, by_rest = clients
    files = [tf.io.encode_png((image * 255).astype(np.uint8)).numpy() for image in IMAGES]
    for ask in (
        lambda client: client.predict(IMAGES),
        lambda client: client.explain(IMAGES, [0, 1, 2], direction=-1, rho=0.05),
        lambda client: client.robustness(IMAGES),
        lambda client: client.predict_files(files),
    ):
        for expected, got in zip(ask(by_grpc), ask(by_rest), strict=True):
            if isinstance(expected, list):
                assert got == expected
                continue
            assert got.dtype == expected.dtype and got.shape == expected.shape
            # Decimal text holds float32 exactly. The numbers are computed twice, by the same graph
            # in batches of the same size, which may round differently.
            np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-7)
    assert by_rest.metadata() == by_grpc.metadata()
    assert by_rest.status() == by_grpc.status() == {3: "AVAILABLE"}


def test_rest_tells_the_same_errors(server, clients) -> None:
    for client in clients:
        with pytest.raises(ServerError) as unknown:
            client.ask("no such", images=IMAGES)
        assert unknown.value.code == "FAILED_PRECONDITION"
        with pytest.raises(ServerError) as wrong:
            client.ask("serving_default", images=IMAGES[..., 0])
        assert wrong.value.code == "INVALID_ARGUMENT"
    address = f"http://127.0.0.1:{server.rest_port}"
    other = Client(address, model="../tiny?x")
    with other, pytest.raises(ServerError, match="its name there") as unknown:
        other.predict(IMAGES)
    assert unknown.value.code == "NOT_FOUND"
    small = Client(address, model="tiny", message_bytes=20_000)
    with small, pytest.raises(ServerError, match="raise message_bytes") as large:
        small.predict(IMAGES)
    assert large.value.code == "RESOURCE_EXHAUSTED"
    nobody = Client("http://127.0.0.1:9", model="tiny", timeout=5)
    with nobody, pytest.raises(ServerError, match="is it running"):
        nobody.predict(IMAGES)


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers 503 as often as told, then the status. Addresses with "slow" take a second."""

    busy = asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        if "slow" in self.path:
            time.sleep(1)
        if "page" in self.path:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")
            return
        full = Answers.asked <= Answers.busy
        self.send_response(503 if full else 200)
        self.end_headers()
        told = {"model_version_status": [{"version": "1", "state": "AVAILABLE"}]}
        self.wfile.write(json.dumps({"error": "full"} if full else told).encode())

    def log_message(self, *_: object) -> None:
        pass


def test_only_what_is_unavailable_is_asked_again_until_the_time_is_over() -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        Answers.busy, Answers.asked = 2, 0
        assert Client(address, model="x").status() == {1: "AVAILABLE"} and Answers.asked == 3
        Answers.busy, Answers.asked = 100, 0
        with pytest.raises(ServerError, match="full") as error:
            Client(address, model="x").status()
        assert error.value.code == "UNAVAILABLE" and Answers.asked == 4
        Answers.busy, Answers.asked = 0, 0
        with pytest.raises(ServerError) as late:
            Client(address, model="slow", timeout=0.3).status()
        assert late.value.code == "DEADLINE_EXCEEDED" and Answers.asked == 1
        with pytest.raises(ServerError, match="no JSON"):
            Client(address, model="page").status()
        server.shutdown()


def test_rest_needs_no_tensorflow(server, tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", IMAGES)
    program = f"""
import sys
import numpy as np
from tfrobust.serving import Client
with Client("http://127.0.0.1:{server.rest_port}", model="tiny") as client:
    print(client.predict(np.load({str(tmp_path / "images.npy")!r})).class_name)
assert not {{"tensorflow", "keras", "grpc"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("class ") == 3


class Refusing(http.server.BaseHTTPRequestHandler):
    """A proxy that lets nobody through."""

    def do_POST(self) -> None:
        self.send_error(403)

    do_GET = do_CONNECT = do_POST

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def proxy():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(("scheme", "port"), [("http://", "rest_port"), ("", "port")])
def test_a_proxy_that_stands_between_is_named(
    server, proxy: str, scheme: str, port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://me:secret@{proxy}")
    monkeypatch.setenv("no_proxy", "")
    address = f"{scheme}127.0.0.1:{getattr(server, port)}"
    between = Client(address, model="tiny", timeout=3)
    with between, pytest.raises(ServerError) as failed:
        between.predict(IMAGES)
    assert f"proxy {proxy}, which http_proxy names" in str(failed.value)
    assert "no_proxy=127.0.0.1" in str(failed.value) and "secret" not in str(failed.value)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Client(address, model="tiny") as past:
        assert past.predict(IMAGES).logits.shape[0] == 3


def test_a_failed_check_is_told_by_its_words(clients) -> None:
    for client in clients:
        with pytest.raises(ServerError, match=r"INVALID_ARGUMENT: expected .*target.*, got 99\.$"):
            client.explain(IMAGES[:1], 99)
        with pytest.raises(ServerError, match=r"expected a PNG or JPEG file .* 5\.$"):
            client.predict_files([b"hello"])


@pytest.mark.parametrize("host", ["::1", "[::1]", "::"])
def test_ipv6(models_folder, host: str) -> None:
    if not socket.has_ipv6 or not _has_loopback_6():
        pytest.skip("needs IPv6")
    with Server(models_folder, Settings(host=host, port=0, rest_port=0)) as server:
        for address in (f"[::1]:{server.port}", f"http://[::1]:{server.rest_port}"):
            with Client(address, model="tiny") as client:
                assert client.status() == {3: "AVAILABLE"}


def _has_loopback_6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def test_an_ipv6_address_without_brackets_is_refused() -> None:
    with pytest.raises(InputError, match=r"in brackets, as \[::1\]:8500, got ::1:8500"):
        Client("::1:8500", model="tiny")
