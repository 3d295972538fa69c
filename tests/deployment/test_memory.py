"""The memory limits of Compose and Kubernetes, against the worst requests that a model takes."""

import io
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image

from tfrobust.exporting import saved_model
from tfrobust.models import resnet_cifar

SERVING = Path(__file__).parents[2] / "serving"
UNITS = {"g": 2**30, "Gi": 2**30}

# Two threads, as in batching.config, run a Session as TF Serving does.
MEASURE = """
import resource, sys, threading
import numpy as np, tensorflow as tf
folder, *files = sys.argv[1:]
rng = np.random.default_rng(0)
with tf.compat.v1.Session(graph=tf.Graph()) as session:
    model = tf.compat.v1.saved_model.load(session, ["serve"], folder)
    def ask(name, **inputs):
        one = model.signature_def[name]
        feed = {one.inputs[key].name: value for key, value in inputs.items()}
        session.run({key: value.name for key, value in one.outputs.items()}, feed)
    def decode():
        ask("predict_bytes", encoded=np.array([open(path, "rb").read() for path in files], object))
    def explain():
        images = rng.random((32, 32, 32, 3), np.float32)
        target, direction = np.full(32, -1, np.int32), np.ones(32, np.int32)
        ask("explain", images=images, target=target, direction=direction,
            rho=np.full(32, 0.1, np.float32))
    for works in ((decode, decode), (decode, explain), (explain, explain)):
        threads = [threading.Thread(target=work) for work in works]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def limits() -> list[int]:
    """The limits of memory in bytes."""
    compose = yaml.safe_load((SERVING / "compose.yaml").read_text())["services"]["serving"]
    pod = yaml.safe_load((SERVING / "kubernetes/cpu/deployment.yaml").read_text())
    (container,) = pod["spec"]["template"]["spec"]["containers"]
    told = [compose["mem_limit"], container["resources"]["limits"]["memory"]]
    return [int(one.rstrip("Gig")) * UNITS[one.lstrip("0123456789")] for one in told]


@pytest.mark.slow
def test_the_worst_requests_stay_under_three_quarters_of_the_limit(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    network = resnet_cifar(depth=44, input_shape=(32, 32, 3))
    saved_model._write_saved_model(network, folder, [str(one) for one in range(10)], bits=None)
    paths = []
    for mode in ("I;16", "RGBA", "P", "L"):
        buffer = io.BytesIO()
        Image.new(mode, (7000, 7000)).save(buffer, "PNG")
        paths.append(tmp_path / f"{len(paths)}.png")
        paths[-1].write_bytes(buffer.getvalue())
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, folder, *paths], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    # 2.5 GB were measured, of 4 GiB.
    assert int(done.stdout) < 0.75 * min(limits())
