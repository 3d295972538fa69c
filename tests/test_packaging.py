"""`pip install .` into an empty environment gives a package that works from anywhere."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHECK = """
import json, sys
import tfrobust
from pathlib import Path
assert "tensorflow" not in sys.modules, "import tfrobust must be quick"
data = tfrobust.datasets.load("fashion_mnist_mini")
images, labels = data.test_arrays(2)
network = tfrobust.models.resnet_cifar(depth=8, width=2, input_shape=data.info.image_shape)
result = tfrobust.explain(network, images, rho=0.1)
assert tfrobust.load("fashion_mnist_mini")(images).shape == (2, 10)
assert tfrobust.load("cifar10").input_shape == (None, 32, 32, 3)
print(json.dumps([tfrobust.__file__, list(result.explanations.shape)]))
"""


@pytest.mark.slow
def test_installed_from_the_clone_it_works_elsewhere(root: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    # As committed or about to be: what git ignores is no part of the package.
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=root,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split("\0"):
        if name and (root / name).is_file():
            target = source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((root / name).read_bytes())
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python = environment / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", str(source)]
    done = subprocess.run(install, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    done = subprocess.run([str(python), "-c", CHECK], cwd="/", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    where, shape = json.loads(done.stdout.splitlines()[-1])
    assert Path(where).is_relative_to(environment)
    assert shape == [2, 28, 28, 1]
    helped = subprocess.run(
        [str(environment / "bin" / "tfrobust-train"), "--help"],
        cwd="/",
        capture_output=True,
        text=True,
    )
    assert helped.returncode == 0 and "--dataset" in helped.stdout
