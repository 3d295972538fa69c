"""Two hundred hostile requests by REST: what lies, drips, is packed, or comes from a stranger."""

import base64
import contextlib
import gzip
import io
import json
import socket
from collections.abc import Iterator

import numpy as np
import pytest
from peak_memory import peak_mib
from PIL import Image

from tfrobust.serving import connections
from tfrobust.serving.local import Server
from tfrobust.serving.settings import Settings

PREDICT, LARGEST = "/v1/models/tiny:predict", 2**20
IMAGE = np.full((28, 28, 1), 0.5).tolist()
PREFACE = f"POST {PREDICT} HTTP/1.1\r\nHost: localhost\r\n".encode()
CLOSED = 0  # in the place of a status


def bomb() -> str:
    """A picture of 30 KB that unpacks to 144 megapixels."""
    buffer = io.BytesIO()
    Image.new("1", (12_000, 12_000)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def posted(body: object, path: str = PREDICT, **headers: str) -> bytes:
    """A whole request."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    told = {"Host": "localhost", "Content-Length": str(len(data)), "Connection": "close"}
    told |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items())]
    return "\r\n".join([*lines, "", ""]).encode() + data


ASKED = {"instances": [IMAGE]}
FILES = {"signature_name": "predict_bytes"}
KINDS: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", CLOSED),
    "half a header": (PREFACE, CLOSED),
    "half a body": (PREFACE + b"Content-Length: 100000\r\n\r\n{", CLOSED),
    "chunks without an end": (
        PREFACE + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
        CLOSED,
    ),
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "a negative length": (posted(ASKED, Content_Length="-1"), 400),
    "another host": (posted(ASKED, Host="evil.example"), 403),
    "another page": (posted(ASKED, Origin="http://evil.example"), 403),
    "another site": (posted(ASKED, Sec_Fetch_Site="cross-site"), 403),
    "no JSON": (posted(b'{"instances": [1'), 400),
    "lists in lists": (posted(b"[" * 200_000), 400),
    "more lists than memory": (posted(b'{"instances":[' + b"[]," * 300_000 + b"[]]}"), 400),
    "no gzip": (posted(ASKED, Content_Encoding="gzip"), 400),
    "a bomb in gzip": (posted(gzip.compress(b" " * 2**28), Content_Encoding="gzip"), 400),
    "a bomb of pixels": (posted({**FILES, "instances": [{"b64": bomb()}] * 3}), 400),
    "a long body": (posted(b" " * (LARGEST + 1)), 400),
    "33 images": (posted({"instances": [[[[0]] * 28] * 28] * 33}), 400),
    "an image of another size": (posted({"instances": [[[0.5]]]}), 400),
    "an unknown signature": (posted({"signature_name": "x", "instances": [1]}), 400),
    "another model": (posted(ASKED, "/v1/models/..%2ftiny:predict"), 404),
}


@pytest.fixture
def server_of_its_own(models_folder, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(connections, "SECONDS", 1.0)
    with Server(models_folder, Settings(port=0, rest_port=0, message_bytes=LARGEST)) as server:
        yield server


def status_of(server: Server, request: bytes) -> int:
    with socket.create_connection(("127.0.0.1", server.rest_port), timeout=60) as client:
        told = b""
        # A body that is refused half-way is not read to its end.
        with contextlib.suppress(ConnectionError):
            client.sendall(request)
        with contextlib.suppress(ConnectionError):
            while b"\r\n" not in told and (part := client.recv(1000)):
                told += part
    return int(told.split()[1]) if told else CLOSED


@pytest.mark.slow
def test_each_is_refused_and_the_server_stays_as_it_was(server_of_its_own: Server) -> None:
    server, seen = server_of_its_own, []
    assert status_of(server, posted(ASKED)) == 200
    peak_mib(anew=True)
    rest = peak_mib()
    for _ in range(10):
        for kind, (request, status) in KINDS.items():
            assert status_of(server, request) == status, kind
            seen.append((peak_mib(anew=True) - rest, kind))
    assert len(seen) == 200 and status_of(server, posted(ASKED)) == 200
    # The bombs would take 430 MB of pixels and 256 MB of text.
    assert max(seen) < (200, ""), sorted(seen)[-5:]
