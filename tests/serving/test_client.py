"""The client over gRPC, against a server with the exported signatures."""

import subprocess
import time
from pathlib import Path

import numpy as np
import programs
import pytest
from PIL import Image

import tfrobust
from tfrobust.errors import InputError
from tfrobust.serving import Client, ServerError

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


def test_only_what_is_unavailable_is_asked_again(client: Client, service) -> None:
    service.unavailable, before = 2, service.asked
    assert client.predict(IMAGES[:1]).logits.shape == (1, 10)
    assert service.asked - before == 3
    before = service.asked
    with pytest.raises(ServerError) as refused:
        client.ask("no_such", images=IMAGES)
    assert refused.value.code == "FAILED_PRECONDITION" and service.asked - before == 1


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
    nobody = Client("127.0.0.1:9", model=NAME, timeout=2)
    with nobody, pytest.raises(ServerError, match=r"is it running|nothing came"):
        nobody.predict(IMAGES)


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
    with pytest.raises(InputError, match="certificate"):
        Client(address, model=NAME, certificate=tmp_path / "none.pem")
    (tmp_path / "text.pem").write_text("no certificate")
    with pytest.raises(InputError, match="PEM"):
        Client("https://localhost:1", model=NAME, certificate=tmp_path / "text.pem")


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
