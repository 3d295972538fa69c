"""The client and what tells models apart: labels, and models that were exported elsewhere."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfrobust.serving import Client, ServerError
from tfrobust.serving.local import Server
from tfrobust.serving.policy import Policy
from tfrobust.serving.settings import Settings

IMAGES = np.random.default_rng(0).random((3, 28, 28, 1), np.float32)


def test_version_labels(server) -> None:
    server.engine.models.configure({"tiny": Policy(labels={"stable": 3})})
    for address in (f"127.0.0.1:{server.port}", f"http://127.0.0.1:{server.rest_port}"):
        with Client(address, model="tiny", version_label="stable") as client:
            assert client.predict(IMAGES).logits.shape == (3, 10)
            assert client.metadata() and client.status() == {3: "AVAILABLE"}
        with (
            Client(address, model="tiny", version_label="other") as client,
            pytest.raises(ServerError, match="Unrecognized servable version label: other"),
        ):
            client.predict(IMAGES)
    server.engine.models.configure({"tiny": Policy()})


class Plain(tf.Module):
    """A model that was exported elsewhere."""

    @tf.function(input_signature=[tf.TensorSpec((None, 28, 28, 1), tf.float32, "images")])
    def logits(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = tf.reduce_mean(images, [1, 2]) * tf.range(4.0)
        # That alone makes no network of several labels.
        return {"logits": logits, "predicted": tf.argmax(logits, axis=-1)}

    @tf.function(input_signature=[tf.TensorSpec((None, 28, 28, 1), tf.float32, "images")])
    def other(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"features": tf.reduce_mean(images, [1, 2])}


def test_models_of_others(tmp_path: Path) -> None:
    for name in ("logits", "other"):
        module = Plain()
        signatures = {"serving_default": getattr(module, name)}
        tf.saved_model.save(module, str(tmp_path / name / "1"), signatures=signatures)
    with Server(tmp_path, Settings(port=0, rest_port=0)) as server:
        for address in (f"127.0.0.1:{server.port}", f"http://127.0.0.1:{server.rest_port}"):
            with Client(address, model="logits") as client:
                found = client.predict(IMAGES)
                assert found.class_name == ["class 3"] * 3 and found.class_id.dtype == np.int32
                np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, rtol=1e-6)
                for ask in (client.explain, client.robustness):
                    with pytest.raises(ServerError, match=r"Client\.metadata\(\) lists what"):
                        ask(IMAGES)
            with Client(address, model="other") as client:
                with pytest.raises(ServerError, match="gives features, and neither logits"):
                    client.predict(IMAGES)
                assert client.ask("serving_default", images=IMAGES)["features"].shape == (3, 1)
