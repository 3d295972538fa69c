"""A network of several labels, served and asked."""

import keras
import numpy as np
import pytest

import tfrobust
from tfrobust.datasets.pictures import encode_png
from tfrobust.exporting import saved_model
from tfrobust.serving import Client, ServerError
from tfrobust.serving.answers import predicted_labels
from tfrobust.serving.local import Server
from tfrobust.serving.settings import Settings

LABELS = ["edema", "mass", "<b>nodule</b>"]
IMAGES = np.random.default_rng(0).random((3, 6, 6, 1), np.float32)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(1)
    layers = keras.layers
    model = keras.Sequential([keras.Input((6, 6, 1)), layers.Flatten(), layers.Dense(3)])
    made = tfrobust.as_labels(model, output="logits", thresholds=(0.5, 0.2, 0.7)).network
    assert made is not None
    return made


@pytest.fixture(scope="module")
def server(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "xray" / "1"
    folder.mkdir(parents=True)
    # Only the signatures are needed here. The gate has its own tests.
    saved_model._write_saved_model(network, folder, LABELS, bits=None)
    (folder / "assets.extra").mkdir()
    (folder / "assets.extra" / "labels.txt").write_text("\n".join(LABELS) + "\n")
    with Server(folder.parents[1], Settings(port=0, rest_port=0)) as server:
        yield server


@pytest.fixture(params=["grpc", "rest"])
def client(server, request):
    rest = f"http://127.0.0.1:{server.rest_port}"
    address = f"127.0.0.1:{server.port}" if request.param == "grpc" else rest
    with Client(address, model="xray", most_images=2) as client:
        yield client


def test_what_it_says_of_each_label(client, network) -> None:
    logits = network(IMAGES).numpy()
    found = client.predict_labels(IMAGES)
    shares = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(found.probabilities, shares, atol=1e-6)
    np.testing.assert_array_equal(found.predicted, shares > [0.5, 0.2, 0.7])
    np.testing.assert_allclose(found.thresholds, np.tile([0.5, 0.2, 0.7], (3, 1)), atol=1e-7)
    assert found.label_names == LABELS
    pixels = np.rint(IMAGES * 255).astype(np.uint8)
    of_files = client.predict_labels_of_files([encode_png(one) for one in pixels])
    np.testing.assert_allclose(of_files.logits, network(pixels / 255).numpy(), atol=1e-5)


def test_questions_about_one_label(client, network) -> None:
    shares = client.predict_labels(IMAGES).probabilities
    far = client.robustness(IMAGES, targets=1)
    assert far.found.all() and (far.class_id == (shares[:, 1] > 0.2)).all()
    explained = client.explain(IMAGES, targets=[0, 1, 2], rho=0.05)
    np.testing.assert_allclose(explained.confidence_before, shares[range(3), range(3)], atol=1e-5)
    assert (explained.confidence_after > explained.confidence_before).all()
    likeliest = client.explain(IMAGES[:1], rho=0.05)
    assert likeliest.target == shares[0].argmax()


def test_what_goes_with_the_other_task_says_so(client) -> None:
    with pytest.raises(ServerError, match=r"several labels.* Client\.predict_labels"):
        client.predict(IMAGES)
    with pytest.raises(ServerError, match="input target is missing"):
        client.robustness(IMAGES)


def test_the_page_shows_all_labels_with_their_thresholds(server, chromium, tmp_path) -> None:
    picture = tmp_path / "x.png"
    picture.write_bytes(encode_png(np.rint(IMAGES[0] * 255).astype(np.uint8)))
    with chromium(f"http://127.0.0.1:{server.rest_port}/", tmp_path / "profile") as page:
        page.wait("state.model")
        document = page.tell("DOM.getDocument")["root"]["nodeId"]
        found = page.tell("DOM.querySelector", nodeId=document, selector="#file")
        page.tell("DOM.setFileInputFiles", nodeId=found["nodeId"], files=[str(picture)])
        page.wait("!running && at('what').textContent.includes('RMSE 0.10')")
        rows = page.run("[...at('classes').rows].map((row) => row.textContent)")
        assert len(rows) == 3
        for label, threshold in zip(LABELS, ("50.0 %", "20.0 %", "70.0 %"), strict=True):
            (row,) = (one for one in rows if label in one)
            assert f"above {threshold}" in row
        assert page.run("at('kind').textContent") == "label"
        first = page.run("at('robust').textContent")
        assert "is enough to turn the decision to" in first
        page.run("at('target').selectedIndex = 2; at('target').dispatchEvent(new Event('change'))")
        page.wait(f"!running && at('robust').textContent !== {first!r}")
        assert not page.complaints


def test_of_no_images_nothing_is_said() -> None:
    none = np.zeros((0, 3), np.float32)
    names = np.zeros((0, 3), object)
    found = predicted_labels(
        {name: none for name in ("logits", "probabilities", "predicted", "thresholds")}
        | {"label_names": names}
    )
    assert found.label_names == [] and found.predicted.shape == (0, 3)
