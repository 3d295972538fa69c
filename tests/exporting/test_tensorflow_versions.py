"""SavedModels in the Sessions of older TensorFlows, as TF Serving of those versions runs them."""

import os
import subprocess
import sys
from pathlib import Path

import environments
import numpy as np
import pytest

pytestmark = pytest.mark.slow

# The version that exports comes first. TF Serving's C++ loads as a Session does.
RELEASES = ("2.18.1", "2.19.1", "2.20.0")
MODELS = ("fashion_mnist_mini", "fashion_mnist_lipschitz", "cifar10")
PROGRAM = """
import sys
import numpy as np
import tensorflow as tf

folder, given, into = sys.argv[1:]
images = np.load(given)
count = len(images)
wishes = {
    "target": np.full(count, -1, np.int32),
    "direction": np.array([1, -1, 1], np.int32),
    "rho": np.array([0.1, 0.05, 0.02], np.float32),
}
pixels = np.rint(images * 255).astype(np.uint8)
files = np.array([tf.io.encode_png(one).numpy() for one in pixels], object)
asked = {
    "serving_default": {"images": images},
    "explain": {"images": images, **wishes},
    "robustness": {"images": images},
    "predict_bytes": {"encoded": files},
}
found = {}
with tf.compat.v1.Session(graph=tf.Graph()) as session:
    model = tf.compat.v1.saved_model.load(session, ["serve"], folder)
    for name, inputs in asked.items():
        one = model.signature_def[name]
        feed = {one.inputs[key].name: value for key, value in inputs.items()}
        fetched = session.run({key: value.name for key, value in one.outputs.items()}, feed)
        for key, value in fetched.items():
            found[f"{name} {key}"] = value.astype("S") if value.dtype == object else value
np.savez(into, **found)
"""


def answers(python: str | Path, version: Path, folder: Path) -> dict[str, np.ndarray]:
    """What a Session of that Python's TensorFlow answers to every signature.

    One thread: sums over images are then of one order. Whether oneDNN computes is left to
    TensorFlow, whose choice differs between processors, not between these versions. Forced where
    TensorFlow leaves it off, as without AVX-512, the oneDNN of 2.18 and 2.19 rounds otherwise.
    """
    own_choice = {key: value for key, value in os.environ.items() if "ONEDNN" not in key}
    command = [python, "-c", PROGRAM, version, folder / "images.npy", folder / "found.npz"]
    one_thread = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "PYTHONPATH": ""}
    done = subprocess.run(command, env=own_choice | one_thread, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(folder / "found.npz") as found:
        return dict(found)


@pytest.mark.parametrize("release", RELEASES)
def test_a_session_of_an_older_tensorflow_answers_the_same_bytes(
    release: str, root: Path, tmp_path: Path
) -> None:
    python = environments.installed(tmp_path / "env", f"tensorflow-cpu=={release}")
    for name in MODELS:
        version = root / "saved_models" / name / "1"
        shape = (3, 32, 32, 3) if name == "cifar10" else (3, 28, 28, 1)
        np.save(tmp_path / "images.npy", np.random.default_rng(0).random(shape, np.float32))
        expected = answers(sys.executable, version, tmp_path)
        found = answers(python, version, tmp_path)
        assert set(found) == set(expected) and len(expected) > 15
        for key, value in expected.items():
            assert found[key].tobytes() == value.tobytes(), (name, key)
