"""The client over REST: the same answers as over gRPC, and which requests are sent again."""

import configparser
import contextlib
import http.server
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import tensorflow as tf

from tfrobust.errors import InputError
from tfrobust.serving import AsyncClient, Client, ServerError
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
        # TF Serving's REST port says so of an unknown signature.
        by_rest = client is clients[1]
        assert unknown.value.code == ("INVALID_ARGUMENT" if by_rest else "FAILED_PRECONDITION")
        with pytest.raises(ServerError) as wrong:
            client.ask("serving_default", images=IMAGES[..., 0])
        assert wrong.value.code == "INVALID_ARGUMENT"
    address = f"http://127.0.0.1:{server.rest_port}"
    other = Client(address, model="../tiny?x")
    with other, pytest.raises(ServerError, match="its name there") as unknown:
        other.predict(IMAGES)
    assert unknown.value.code == "NOT_FOUND"
    small = Client(address, model="tiny", message_bytes=10_000)
    with small, pytest.raises(ServerError, match="raise message_bytes") as large:
        small.predict(IMAGES)
    assert large.value.code == "RESOURCE_EXHAUSTED"


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers 503 for the model "full", no JSON for "page", a redirect, or a byte now and then."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if "moved" in self.path:
            self.send_response(302)
            self.send_header("Location", "/v1/models/page")
            self.end_headers()
            return
        self.send_response(503 if "full" in self.path else 200)
        self.end_headers()
        if "drips" in self.path:
            with contextlib.suppress(OSError):
                for _ in range(100):
                    self.wfile.write(b" ")
                    time.sleep(0.1)
        told = {"full": b'{"error": "full"}', "odd": b'{"else": 1}'}
        self.wfile.write(told.get(self.path.rpartition("/")[2], b"<html>"))

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def odd_server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        Answers.asked.clear()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("model", "code", "said"),
    [
        ("full", "UNAVAILABLE", "full"),
        ("page", "UNKNOWN", "no JSON"),
        ("odd", "UNKNOWN", "no 'model_version_status'"),
        ("moved", "UNKNOWN", "it redirects to /v1/models/page, which is not followed"),
        ("drips", "DEADLINE_EXCEEDED", "nothing came within 0.5 s"),
    ],
)
def test_a_request_is_sent_once_and_holds_its_deadline(
    odd_server: str, model: str, code: str, said: str
) -> None:
    began = time.monotonic()
    with pytest.raises(ServerError, match=said) as error:
        Client(odd_server, model=model, timeout=0.5).status()
    assert error.value.code == code and Answers.asked == [f"/v1/models/{model}"]
    assert time.monotonic() - began < 2


def test_headers_that_drip() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip() -> None:
            with contextlib.suppress(OSError):
                connection, _ = listening.accept()
                for letter in b"HTTP/1.1 200 OK\r\n" + 100 * b"X: y\r\n":
                    connection.sendall(bytes([letter]))
                    time.sleep(0.1)

        threading.Thread(target=drip, daemon=True).start()
        began = time.monotonic()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with pytest.raises(ServerError) as error:
            Client(address, model="x", timeout=0.5).status()
        assert error.value.code == "DEADLINE_EXCEEDED" and time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("scheme", "port", "others"),
    [("http://", "rest_port", {"grpc", "google"}), ("", "port", set())],
)
def test_a_client_needs_no_tensorflow(
    server: Server, root: Path, tmp_path: Path, scheme: str, port: str, others: set[str]
) -> None:
    np.save(tmp_path / "images.npy", IMAGES)
    program = f"""
import sys
import numpy as np
from tfrobust.serving import Client
with Client("{scheme}127.0.0.1:{getattr(server, port)}", model="tiny") as client:
    print(client.predict(np.load({str(tmp_path / "images.npy")!r})).class_name)
    client.metadata()
print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    classes, imported = done.stdout.splitlines()
    assert classes.count("class ") == 3
    modules = set(imported.split())
    assert not modules & {"tensorflow", "tensorflow_serving", "keras", *others}
    # What serving/client installs holds all of them.
    config = configparser.ConfigParser()
    config.read(root / "serving" / "client" / "setup.cfg")
    folders = config["options"]["packages"].split(", ")
    for name in (name for name in modules if name.startswith("tfrobust.")):
        assert name in folders or name.rpartition(".")[0] in folders, name


@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_without_grpc_rest_is_named(client: type, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "grpc", None)
    monkeypatch.delitem(sys.modules, "tfrobust.serving.grpc_channel", raising=False)
    with pytest.raises(InputError, match=r"expected grpc, by which .* ask by REST"):
        client("localhost:8500", model="tiny")


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


def test_unix_sockets(models_folder, tmp_path: Path) -> None:
    path = tmp_path / "grpc.sock"
    settings = Settings(port=0, rest_port=None, socket_path=str(path))
    with Server(models_folder, settings), Client(f"unix:{path}", model="tiny") as client:
        assert client.predict(IMAGES).logits.shape == (3, 10)


@pytest.mark.parametrize(("scheme", "port"), [("https://", "rest_port"), ("", "port")])
def test_mutual_tls(secure: Server, tls: Path, scheme: str, port: str) -> None:
    address = f"{scheme}localhost:{getattr(secure, port)}"
    ca = tls / "ca.crt"
    known = {"client_certificate": tls / "client.crt", "client_key": tls / "client.key"}
    with Client(address, model="tiny", certificate=ca, **known) as client:
        assert client.predict(IMAGES).logits.shape == (3, 10)
    for certificate, shown in (
        (ca, {}),
        (tls / "stranger.crt", known),
        (
            ca,
            {
                "client_certificate": tls / "stranger.crt",
                "client_key": tls / "stranger.key",
            },
        ),
    ):
        with (
            Client(address, model="tiny", certificate=certificate, timeout=3, **shown) as stranger,
            pytest.raises(ServerError) as error,
        ):
            stranger.status()
        assert error.value.code in ("UNAVAILABLE", "UNKNOWN")


@pytest.mark.parametrize(("scheme", "port"), [("http://", "rest_port"), ("", "port")])
def test_tokens_and_metadata(models_folder, scheme: str, port: str) -> None:
    with Server(models_folder, Settings(port=0, rest_port=0, token="secret")) as server:
        address = f"{scheme}127.0.0.1:{getattr(server, port)}"
        with Client(address, model="tiny", token="secret", metadata=[("X-Id", "7")]) as client:
            assert client.predict(IMAGES).logits.shape == (3, 10)
        shown = [("Authorization", "Bearer secret")]
        with Client(address, model="tiny", metadata=shown) as client:
            assert client.status() == {3: "AVAILABLE"}
        for token in (None, "other"):
            with (
                Client(address, model="tiny", token=token) as stranger,
                pytest.raises(ServerError, match="give the server's token") as error,
            ):
                stranger.status()
            assert error.value.code == "UNAUTHENTICATED"
            assert "secret" not in str(error.value) and "other" not in str(error.value)
