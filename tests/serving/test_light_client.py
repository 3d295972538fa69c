"""The distribution of serving/client in an environment that has nothing else."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import environments
import numpy as np
import pytest

from tfrobust.serving.local import Server

MIB = 2**20
# What a client asks, by both protocols, from both kinds of program.
PROGRAM = """
import asyncio, importlib.util, sys
import numpy as np
from tfrobust.serving import AsyncClient, Client

assert importlib.util.find_spec("tensorflow") is None
images = np.load(sys.argv[1])


async def asked(address):
    async with AsyncClient(address, model="tiny") as client:
        return await client.predict(images)


for address in sys.argv[2:]:
    with Client(address, model="tiny") as client:
        found = client.predict(images)
        print(client.explain(images, rho=0.05).explanation.shape, client.robustness(images).found)
        print(found.class_name == asyncio.run(asked(address)).class_name)
        print(client.status(), sorted(client.metadata()))
        np.save(sys.argv[1], found.logits) if "http" not in address else None
"""


def mib(folder: Path, *left_out: str) -> float:
    """The size of the files of a folder, but for some of its own folders."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return (
        sum(
            path.stat().st_size
            for path in files
            if path.relative_to(folder).parts[0] not in left_out
        )
        / MIB
    )


def needed(file: Path, *extras: str) -> dict[str, str]:
    """The distributions that a setup.cfg asks for, and within which bounds."""
    told = configparser.ConfigParser()
    told.read(file)
    lines = told["options"]["install_requires"].splitlines()
    for extra in extras:
        lines += told["options.extras_require"][extra].splitlines()
    asked = [re.split("(?=[<>=])", line, maxsplit=1) for line in lines if line.strip("# ")]
    found = {one[0]: one[1] for one in asked if len(one) == 2}
    return {"python": told["options"]["python_requires"], **found}


def test_what_both_distributions_need_they_need_alike(root: Path) -> None:
    whole = needed(root / "setup.cfg", "serving")
    light = needed(root / "serving" / "client" / "setup.cfg")
    # The extra names gRPC by its health service, which wants a gRPC of its own version.
    whole["grpcio"] = whole["grpcio-health-checking"]
    both = whole.keys() & light.keys()
    assert both == {"python", "numpy", "grpcio", "lazy_loader", "wrapt"}
    assert {name: whole[name] for name in both} == {name: light[name] for name in both}


@pytest.mark.slow
def test_it_asks_without_tensorflow_and_is_small(
    server: Server, root: Path, tmp_path: Path, ask
) -> None:
    # A build leaves files beside what it builds.
    shutil.copytree(root / "serving" / "client", tmp_path / "clone" / "serving" / "client")
    shutil.copytree(root / "tfrobust", tmp_path / "clone" / "tfrobust")
    python = environments.installed(tmp_path / "env", tmp_path / "clone" / "serving" / "client")
    images = np.random.default_rng(0).random((3, 28, 28, 1), np.float32)
    np.save(tmp_path / "x.npy", images)
    addresses = [f"http://127.0.0.1:{server.rest_port}", f"127.0.0.1:{server.port}"]
    done = subprocess.run(
        [python, "-I", "-c", PROGRAM, tmp_path / "x.npy", *addresses],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    by_rest, by_grpc = np.split(np.array(done.stdout.splitlines()), 2)
    assert by_rest.tolist() == by_grpc.tolist() and by_rest[1] == "True"
    logits = np.frombuffer(ask(images=images).outputs["logits"].tensor_content, np.float32)
    np.testing.assert_allclose(np.load(tmp_path / "x.npy").ravel(), logits, rtol=1e-6, atol=1e-7)
    (site,) = (tmp_path / "env").glob("lib/python*/site-packages")
    # NumPy's wheel alone has 58 MB. The rest is gRPC, and little else: 25 MB.
    own = ("numpy", "numpy.libs", "pip", "setuptools", "pkg_resources")
    assert mib(site, *own) < 30e6 / MIB
