"""Who is let in: browsers from the server's own page, and clients with a token or a certificate."""

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

from tfrobust.errors import InputError, ReportedError
from tfrobust.serving.local import Server
from tfrobust.serving.settings import Settings

IMAGES = np.random.default_rng(0).random((3, 28, 28, 1), np.float32)
PREDICT = "/v1/models/tiny:predict"
BODY = json.dumps({"instances": IMAGES.tolist()}).encode()


def status_of(server: Server, path: str, headers: dict[str, str], body: bytes | None = None) -> int:
    url = f"http://127.0.0.1:{server.rest_port}{path}"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        assert json.load(error)["error"]
        return error.code


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8501", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8501", 200),
        ("192.168.1.2", 200),
        ("a.localhost", 200),
        ("evil.example", 403),
        ("evil.example:8501", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example", 403),
        ("localhost@evil.example", 403),
        ("[::1", 403),
    ],
)
def test_a_name_that_is_not_the_servers_is_refused(server, host: str, status: int) -> None:
    for path in ("/", "/v1/models", "/v1/models/tiny"):
        assert status_of(server, path, {"Host": host}) == status
    assert status_of(server, PREDICT, {"Host": host}, BODY) == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "localhost:1", "Origin": "http://localhost:1"}, 200),
        ({"Host": "127.0.0.1:1", "Origin": "https://127.0.0.1:1"}, 200),
        ({"Host": "localhost:1", "Origin": "http://localhost:2"}, 403),
        ({"Host": "localhost:1", "Origin": "http://evil.example"}, 403),
        ({"Host": "localhost:1", "Origin": "null"}, 403),
        ({"Host": "localhost:1", "Origin": "http://[localhost:1"}, 403),
        ({"Host": "localhost:1", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": "localhost:1", "Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
def test_pages_of_others_may_not_write(server, headers: dict[str, str], status: int) -> None:
    plain = {"Content-Type": "text/plain", **headers}
    assert status_of(server, PREDICT, plain, BODY) == status


def test_further_names(models_folder) -> None:
    settings = Settings(port=0, rest_port=0, allowed_hosts=("Models.example",))
    with Server(models_folder, settings) as server:
        assert status_of(server, "/v1/models/tiny", {"Host": "models.example:80"}) == 200
        assert status_of(server, "/v1/models/tiny", {"Host": "other.example"}) == 403


@pytest.fixture(scope="module")
def guarded(models_folder) -> Iterator[Server]:
    with Server(models_folder, Settings(port=0, rest_port=0, token="secret")) as server:
        yield server


def grpc_status(channel: grpc.Channel, *metadata: tuple[str, str]) -> str:
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "tiny"
    try:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        stub.GetModelStatus(request, metadata=metadata, timeout=10)
    except grpc.RpcError as error:
        return error.code().name
    return "OK"


def test_a_token_is_asked_for_on_both_ports(guarded: Server) -> None:
    right, wrong = {"Authorization": "Bearer secret"}, {"Authorization": "Bearer secre"}
    for path, body in (("/v1/models", None), ("/v1/models/tiny", None), (PREDICT, BODY)):
        assert status_of(guarded, path, {}, body) == 401
        assert status_of(guarded, path, wrong, body) == 401
        assert status_of(guarded, path, right, body) == 200
    assert status_of(guarded, "/", {}) == 200  # It holds nothing, and asks with the token.
    with grpc.insecure_channel(f"127.0.0.1:{guarded.port}") as channel:
        assert grpc_status(channel) == "UNAUTHENTICATED"
        assert grpc_status(channel, ("authorization", "Bearer no")) == "UNAUTHENTICATED"
        assert grpc_status(channel, ("authorization", "Bearer secret")) == "OK"
        reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert reply.status == health_pb2.HealthCheckResponse.SERVING
    assert "secret" not in repr(Settings(token="secret"))


def test_the_page_asks_with_the_token(guarded: Server, chromium, tmp_path: Path) -> None:
    own = f"http://127.0.0.1:{guarded.rest_port}/"
    with chromium(own + "#token=secret", tmp_path) as page:
        page.wait("at('model').options.length === 1")
        page.wait("state.model && state.model.shape.length === 3")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"token": ""}, "an empty one"),
        ({"token": "a\nb"}, "printable ASCII"),
        ({"certificate": Path("x.crt")}, "a certificate and its key, got one"),
        ({"client_ca": Path("x.crt")}, "beside client_ca"),
        ({"certificate": Path("x.crt"), "key": Path("x.key")}, "a PEM file at x.crt"),
    ],
)
def test_settings_are_checked(settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Settings(**settings)


def test_a_file_that_is_no_certificate(models_folder, tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("no certificate")
    settings = Settings(
        port=0, rest_port=0, certificate=tmp_path / "no.pem", key=tmp_path / "no.pem"
    )
    with pytest.raises(ReportedError, match=r"cannot use the certificates .*no\.pem"):
        Server(models_folder, settings)


def test_only_clients_with_a_certificate_get_in(secure: Server, tls: Path) -> None:
    read = {path.name: path.read_bytes() for path in tls.iterdir()}
    for shown, codes in (
        ((read["client.key"], read["client.crt"]), ("OK",)),
        ((None, None), ("UNAVAILABLE", "DEADLINE_EXCEEDED")),
        ((read["stranger.key"], read["stranger.crt"]), ("UNAVAILABLE", "DEADLINE_EXCEEDED")),
    ):
        credentials = grpc.ssl_channel_credentials(read["ca.crt"], *shown)
        with grpc.secure_channel(f"localhost:{secure.port}", credentials) as channel:
            assert grpc_status(channel) in codes
    url = f"https://localhost:{secure.rest_port}/v1/models/tiny"
    context = ssl.create_default_context(cafile=tls / "ca.crt")
    with pytest.raises((urllib.error.URLError, OSError)):
        urllib.request.urlopen(url, context=context)
    context.load_cert_chain(tls / "client.crt", tls / "client.key")
    with urllib.request.urlopen(url, context=context) as reply:
        assert reply.status == 200
