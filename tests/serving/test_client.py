"""The client over gRPC, against a server with the exported signatures."""

import socket
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import programs
import pytest
import tensorflow as tf
from PIL import Image

import tfrobust
from tfrobust.errors import InputError
from tfrobust.serving import Client, ServerError
from tfrobust.serving.local import Server
from tfrobust.serving.settings import Settings

NAME = "tiny"
IMAGES = np.random.default_rng(0).random((3, 28, 28, 1), np.float32)


@pytest.fixture
def client(address: str):
    with Client(address, model=NAME) as client:
        yield client


def test_predictions_are_the_networks(client: Client, version) -> None:
    network, _ = version
    found = client.predict(IMAGES)
    # Two programs of the same network differ by the rounding of float32.
    np.testing.assert_allclose(found.logits, network(IMAGES), atol=1e-5)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(found.class_id, found.logits.argmax(axis=1))
    assert found.class_name == [f"class {number}" for number in found.class_id]


def test_explanations_are_the_packages(client: Client, version) -> None:
    network, _ = version
    found = client.explain(IMAGES, [1, 2, 3], rho=0.05)
    own = tfrobust.explain(network, IMAGES, [1, 2, 3], rho=0.05)
    np.testing.assert_allclose(found.explanation, own.explanations, atol=1e-3)
    np.testing.assert_array_equal(found.target, [1, 2, 3])
    np.testing.assert_allclose(found.difference, found.explanation - IMAGES, atol=1e-6)
    less = client.explain(IMAGES, direction=-1, rho=0.05)
    assert (less.confidence_after < less.confidence_before).all()


def test_how_far_decisions_are_from_changing(client: Client, version) -> None:
    network, _ = version
    found = client.robustness(IMAGES)
    predicted = np.argmax(network(IMAGES), axis=-1)
    np.testing.assert_array_equal(found.class_id, predicted)
    assert found.found.all() and (found.rmse > 0).all() and (found.rival != predicted).all()


def test_files_are_decoded_there(client: Client, tmp_path: Path) -> None:
    pixels = np.rint(IMAGES * 255).astype(np.uint8)
    files = []
    for number, image in enumerate(pixels):
        Image.fromarray(image[..., 0]).save(tmp_path / f"{number}.png")
        files.append((tmp_path / f"{number}.png").read_bytes())
    found = client.predict_files(files)
    own = client.predict(pixels.astype(np.float32) / 255)
    np.testing.assert_allclose(found.logits, own.logits, atol=1e-5)
    assert found.class_name == own.class_name


def test_metadata_and_status(client: Client) -> None:
    signatures = client.metadata()
    taken = signatures["explain"]["inputs"]
    assert taken["images"] == ("float32", (-1, 28, 28, 1)) and taken["rho"][0] == "float32"
    assert set(signatures["serving_default"]["outputs"]) == {
        "logits", "probabilities", "class_id", "class_name",
    }  # fmt: skip
    assert client.status() == {3: "AVAILABLE"}


def test_a_request_that_reached_the_server_is_not_sent_again(client: Client, service) -> None:
    service.unavailable, before = 2, service.asked
    with pytest.raises(ServerError, match="try again") as full:
        client.predict(IMAGES[:1])
    assert full.value.code == "UNAVAILABLE" and service.asked - before == 1
    service.unavailable, before = 0, service.asked
    with pytest.raises(ServerError) as refused:
        client.ask("no_such", images=IMAGES)
    assert refused.value.code == "FAILED_PRECONDITION" and service.asked - before == 1


@pytest.mark.parametrize("scheme", ["", "http://"])
def test_a_server_that_comes_late_is_reached(models_folder, scheme: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ports = {"port": 0, "rest_port": port} if scheme else {"port": port, "rest_port": None}
    found: list[dict[int, str]] = []

    def ask() -> None:
        with Client(f"{scheme}127.0.0.1:{port}", model=NAME, timeout=30) as late:
            found.append(late.status())

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(1)
    with Server(models_folder, Settings(**ports)):
        asking.join()
    assert found == [{3: "AVAILABLE"}]


@pytest.mark.parametrize("scheme", ["", "http://"])
def test_a_server_that_is_not_there_is_told_when_the_time_is_over(scheme: str) -> None:
    began = time.monotonic()
    with (
        Client(f"{scheme}127.0.0.1:9", model=NAME, timeout=1) as nobody,
        pytest.raises(ServerError, match="is it running") as error,
    ):
        nobody.predict(IMAGES)
    assert error.value.code == "UNAVAILABLE" and not error.value.reached
    assert time.monotonic() - began < 3


def test_large_batches_are_split_and_put_together(client: Client, service) -> None:
    images = np.random.default_rng(1).random((70, 28, 28, 1), np.float32)
    before = service.asked
    found = client.predict(images)
    assert service.asked - before == 3 and found.logits.shape == (70, 10)
    own = client.predict(images[40:50])
    np.testing.assert_allclose(found.logits[40:50], own.logits, atol=1e-5)
    assert found.class_name[40:50] == own.class_name
    targets = np.arange(33) % 10
    explained = client.explain(images[:33], targets, rho=0.05)
    np.testing.assert_array_equal(explained.target, targets)
    assert explained.explanation.shape == (33, 28, 28, 1)
    files = [tf.io.encode_png((image * 255).astype(np.uint8)).numpy() for image in images[:34]]
    assert client.predict_files(files).logits.shape == (34, 10)


def test_errors_say_what_to_do(address: str, client: Client) -> None:
    with (
        Client(address, model="other") as other,
        pytest.raises(ServerError, match="is other its name"),
    ):
        other.predict(IMAGES)
    slow = Client(address, model="slow", timeout=0.2)
    began = time.monotonic()
    with slow, pytest.raises(ServerError, match=r"nothing came within 0\.2 s"):
        slow.predict(IMAGES)
    assert time.monotonic() - began < 5
    small = Client(address, model=NAME, message_bytes=2000)
    with small, pytest.raises(ServerError, match="raise message_bytes"):
        small.predict(IMAGES)


@pytest.mark.parametrize(
    ("images", "message"), [(IMAGES[0], "shape"), (IMAGES * 255, "divide"), (IMAGES - 1, "0 to 1")]
)
def test_images_are_checked_before_they_are_sent(client, service, images, message) -> None:
    before = service.asked
    with pytest.raises(InputError, match=message):
        client.predict(images)
    with pytest.raises(InputError, match="direction"):
        client.explain(IMAGES, direction=2)
    with pytest.raises(InputError, match="expected one target, or 3"):
        client.explain(IMAGES, [1, 2])
    assert service.asked == before


def test_arguments_are_checked(address: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="above 0"):
        Client(address, model=NAME, timeout=0)
    with pytest.raises(InputError, match="a version or a version_label, got 1 and 'stable'"):
        Client(address, model=NAME, version=1, version_label="stable")
    with pytest.raises(InputError, match="a client_certificate and its client_key, got one"):
        Client(address, model=NAME, client_key=tmp_path / "x.key")
    with pytest.raises(InputError, match="got grpc://localhost:8500"):
        Client("grpc://localhost:8500", model=NAME)
    with pytest.raises(InputError, match="most_images of at least 1"):
        Client(address, model=NAME, most_images=0)
    with pytest.raises(InputError, match="printable ASCII"):
        Client(address, model=NAME, token="a\nb")
    with pytest.raises(InputError, match="certificate"):
        Client(address, model=NAME, certificate=tmp_path / "none.pem")
    (tmp_path / "text.pem").write_text("no certificate")
    for server in ("https://localhost:1", "localhost:1"):
        with pytest.raises(InputError, match="PEM"):
            Client(server, model=NAME, certificate=tmp_path / "text.pem")


def test_the_program(root: Path, address: str, server, tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    Image.fromarray((IMAGES[0, ..., 0] * 255).astype(np.uint8)).resize((40, 30)).save(path)

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return programs.run([root / "tools" / "predict.py", *arguments])

    done = run("--server", address, "--model", NAME, "--image", f"{path},{path}")
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count(": class ") == 2 and "network's 28 × 28" in done.stderr
    by_rest = run(
        "--server", f"http://127.0.0.1:{server.rest_port}", "--model", NAME, "--image", path
    )
    assert by_rest.stdout.strip() == done.stdout.splitlines()[0], by_rest.stderr[-2000:]
    done = run("--server", address, "--model", "other", "--image", path)
    assert done.returncode == 1 and "NOT_FOUND" in done.stderr and "Traceback" not in done.stderr
    done = run("--model", NAME, "--image", tmp_path / "no.png")
    assert done.returncode == 2 and "no.png is not" in done.stderr
