"""Networks at addresses: fetched once, held to their hash, bounded, and refused in words."""

import functools
import hashlib
import http.server
import json
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote

import fsspec
import numpy as np
import pytest

from tfrobust.core import remote
from tfrobust.core.door import as_classifier
from tfrobust.core.loading import load
from tfrobust.core.remote import fetch, hash_of
from tfrobust.errors import InputError

KERAS = b"what a .keras file holds"
HASH = hashlib.sha256(KERAS).hexdigest()
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("TFROBUST_CACHE", str(tmp_path / "cache"))
    fetch.cache_clear()
    yield tmp_path / "cache"
    fetch.cache_clear()
    fsspec.filesystem("memory").store.clear()


def put(path: str, content: bytes = KERAS) -> None:
    fsspec.filesystem("memory").pipe(path, content)


ASKED: list[str] = []


class Web(http.server.SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        ASKED.append(self.path)
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """A web server with x.keras."""
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "x.keras").write_bytes(KERAS)
    handler = functools.partial(Web, directory=str(tmp_path / "web"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/x.keras"
        server.shutdown()


def test_a_file_comes_as_it_is_and_under_its_name() -> None:
    put("/nets/robust.keras")
    found = fetch("memory://nets/robust.keras")
    assert found.read_bytes() == KERAS
    assert found.parts[-2:] == ("nets", "robust.keras")


def test_of_a_folder_of_versions_only_the_newest_is_fetched(cache: Path) -> None:
    for version in (2, 10):
        put(f"/nets/cifar10/{version}/network.keras", KERAS + bytes([version]))
        put(f"/nets/cifar10/{version}/assets/names.txt", b"cat")
    put("/nets/cifar10/11/model_card.json", b"no network was written here")
    found = fetch("memory://nets/cifar10")
    assert found.parts[-2:] == ("cifar10", "10")
    written = sorted(path.relative_to(found) for path in cache.rglob("*") if path.is_file())
    assert written == [Path("assets/names.txt"), Path("network.keras")]
    assert (found / "network.keras").read_bytes() == KERAS + bytes([10])


def test_what_has_the_hash_is_fetched_once(web: str) -> None:
    ASKED.clear()
    for _ in range(2):
        assert fetch(f"{web}#sha256={HASH}").read_bytes() == KERAS
        asked = len(ASKED)
        fetch.cache_clear()  # as in the next process
    assert asked == len(ASKED) > 0


def test_what_was_changed_in_the_cache_is_fetched_anew(web: str) -> None:
    found = fetch(f"{web}#sha256={HASH}")
    for spoil in (lambda: found.write_bytes(b"another"), found.unlink, beside(found)):
        spoil()
        fetch.cache_clear()
        assert fetch(f"{web}#sha256={HASH}").read_bytes() == KERAS


def beside(path: Path) -> Callable[[], None]:
    return lambda: (path.parent / ".DS_Store").touch()


def test_another_hash_is_refused_and_nothing_is_kept(web: str, cache: Path) -> None:
    with pytest.raises(InputError, match="what came has " + HASH):
        fetch(f"{web}#sha256={'0' * 64}")
    assert not cache.exists()


def test_a_web_server_is_not_believed_without_a_hash_which_is_told(web: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"{web}#sha256={HASH}")):
        fetch(web)


def test_a_saved_model_is_a_program_and_needs_the_hash() -> None:
    put("/net/saved_model.pb")
    put("/net/variables/variables.index", b"weights")
    with pytest.raises(InputError, match="a SavedModel is a program") as refused:
        fetch("memory://net")
    [told] = re.findall("sha256=[0-9a-f]{64}", str(refused.value))
    found = fetch(f"memory://net#{told}")
    assert (found / "variables" / "variables.index").read_bytes() == b"weights"


def test_a_folders_hash_is_that_of_the_shell(tmp_path: Path) -> None:
    for name in ("network.keras", "assets/names.txt", "assets/B.txt", "assets.txt", ".git keep"):
        (tmp_path / "net" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "net" / name).write_text(name)
    line = "find . -type f -printf '%P\\n' | LC_ALL=C sort | xargs -d '\\n' sha256sum | sha256sum"
    told = subprocess.check_output(line, shell=True, cwd=tmp_path / "net", text=True)
    assert told.split()[0] == hash_of(tmp_path / "net")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("memory://nothing.keras", "there is no network.keras"),
        ("memory://net.pt", "expected a .keras, .h5 or .onnx file or a folder"),
        ("gopher://host/x.keras", "cannot be read: Protocol not known: gopher"),
        ("zip://x.keras::memory://net.zip", "a chain of addresses"),
        ("http://127.0.0.1:9/x.keras", "http://127.0.0.1:9/x.keras, but it cannot be read"),
        ("memory://x.keras#sha256=ABC", "64 hexadecimal digits"),
        ("https://me:secret@host/x.keras", "without a user's name and password"),
        ("zip://nowhere.zip", "zip://nowhere.zip cannot be read"),
        ("reference://x", "reference://x cannot be read"),
        ("memory://x.keras#md5=0", "64 hexadecimal digits"),
    ],
)
def test_what_cannot_be_fetched_is_refused_in_words(address: str, words: str, cache: Path) -> None:
    put("/net.pt")
    with pytest.raises(InputError, match=re.escape(words)):
        fetch(address)
    assert not cache.exists()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec, "url_to_fs", missing)
    with pytest.raises(InputError, match="pip install fsspec s3fs"):
        fetch("s3://bucket/net.keras")


def test_too_much_is_refused_by_what_is_announced_and_by_what_comes(
    web: str, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setattr(remote, "MOST_BYTES", len(KERAS) - 1)
    put("/net.keras")
    for address in ("memory://net.keras", f"{web}#sha256={HASH}"):
        with pytest.raises(InputError, match="expected a network of at most"):
            fetch(address)
    # A file that says it is empty.
    memory = fsspec.filesystem("memory")
    told = memory.info("/net.keras")
    monkeypatch.setattr(memory, "info", lambda *_, **__: {**told, "size": 0})
    with pytest.raises(InputError, match="expected a network of at most"):
        fetch("memory://net.keras")
    assert not cache.exists()


def test_names_that_lead_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    put("/net/network.keras")
    put("/net/../../outside.txt")
    with pytest.raises(InputError, match="expected files within the folder"):
        fetch("memory://net")
    assert not list(tmp_path.rglob("outside.txt"))


def test_a_shipped_network_at_an_address_is_the_same(root: Path) -> None:
    put("/nets/mini.keras", (root / "saved_models/fashion_mnist_mini/1/network.keras").read_bytes())
    there, here = (
        as_classifier(load(one)) for one in ("memory://nets/mini.keras", "fashion_mnist_mini")
    )
    images = np.random.default_rng(0).random((2, 28, 28, 1), np.float32)
    assert np.array_equal(there(images), here(images))


ON_THE_HUB = {"network.keras": KERAS, "model_card.json": b"{}"}


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of Hugging Face's hub as reading a repository asks for."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        asked = unquote(self.rfile.read(length).decode())
        self._json([self._told(name) for name in ON_THE_HUB if name in asked])

    def do_GET(self) -> None:
        path = unquote(self.path.partition("?")[0])
        if "/resolve/" in path:
            content = ON_THE_HUB[path.rpartition("/")[2]]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", hashlib.sha1(content).hexdigest())
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)
        elif "/tree/" in path:
            self._json([self._told(name) for name in ON_THE_HUB])
        else:
            self._json({"_id": "1", "id": "clinic/net", "sha": COMMIT, "siblings": []})

    def _told(self, name: str) -> dict[str, object]:
        content = ON_THE_HUB[name]
        return {
            **{"type": "file", "path": name, "size": len(content)},
            "oid": hashlib.sha1(content).hexdigest(),
        }

    def _json(self, value: object) -> None:
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def test_a_repository_of_the_hub_is_read_without_a_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="the extra remote brings it")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        made = hub.HfFileSystem(endpoint=endpoint, skip_instance_cache=True)
        monkeypatch.setattr(fsspec, "url_to_fs", lambda place: (made, made._strip_protocol(place)))
        for address in ("hf://clinic/net", f"hf://clinic/net@{COMMIT}"):
            found = fetch(address)
            assert (found / "network.keras").read_bytes() == KERAS
        server.shutdown()
