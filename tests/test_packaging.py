"""The package as others get it: from a wheel, from `make install`, and by pip from the clone."""

import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import tfrobust

EVERY_NAME = """
import sys
import tfrobust
assert "tensorflow" not in sys.modules, "import tfrobust must be quick"
for name in dir(tfrobust):
    value = getattr(tfrobust, name)
    if isinstance(value, type(sys)):
        for inner in dir(value):
            getattr(value, inner)
print(tfrobust.__file__)
"""
# What a user may write in an editor; the second has a misspelt argument.
SCRIPT = """
import numpy as np
import tfrobust

data = tfrobust.datasets.load("fashion_mnist_mini")
images, labels = data.test_arrays(8)
network = tfrobust.load("fashion_mnist_mini")
report = tfrobust.evaluate(network, images, labels, preset="fast", progress=False)
summary: str = report.summary()
result = tfrobust.explain(network, images, {rho}=0.1)
after: np.ndarray = result.confidence_after
reveal_type(report)
"""


def clean() -> dict[str, str]:
    """The environment without PYTHONPATH, which would show this clone and not what is installed."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def run(*command: str | Path, cwd: Path) -> str:
    """What a command prints."""
    words = [str(part) for part in command]
    done = subprocess.run(words, cwd=cwd, env=clean(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def source(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clone as committed or about to be: what git ignores is no part of the package."""
    source = tmp_path_factory.mktemp("parent") / "tfrobust"
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", cwd=root)
    for name in listed.split("\0"):
        if name and (root / name).is_file():
            target = source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((root / name).read_bytes())
    return source


def environment(folder: Path) -> Path:
    """The Python of a new environment with this one's libraries, but without this package."""
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    python = folder / "bin" / "python"
    (site,) = folder.glob("lib/python*/site-packages")
    # The path is searched, but the .pth files in it, this package's among them, are not read.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def install(python: Path, *what: str | Path, cwd: Path) -> None:
    """By this environment's pip and setuptools: no network is needed."""
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--force-reinstall"]
    run(sys.executable, "-m", "pip", "--python", python, "install", *options, *what, cwd=cwd)


@pytest.fixture(scope="module")
def from_wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment in which the package's wheel is installed."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    run(*pip, "--wheel-dir", folder, source, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    python = environment(folder / "environment")
    install(python, wheel, cwd=folder)
    return python


def test_every_name_of_the_api_resolves_from_the_wheel(from_wheel: Path, tmp_path: Path) -> None:
    where = Path(run(from_wheel, "-c", EVERY_NAME, cwd=tmp_path).splitlines()[-1])
    assert where.is_relative_to(from_wheel.parents[1])


@pytest.mark.slow
def test_mypy_finds_a_misspelt_argument_and_nothing_else(from_wheel: Path, tmp_path: Path) -> None:
    (tmp_path / "right.py").write_text(SCRIPT.format(rho="rho"))
    (tmp_path / "wrong.py").write_text(SCRIPT.format(rho="roh"))
    mypy = [sys.executable, "-m", "mypy", "--python-executable", from_wheel]
    done = run(*mypy, "right.py", cwd=tmp_path)
    # Of a package that mypy does not find everything would be Any, and every argument right.
    assert 'Revealed type is "tfrobust.robustness.report.AraReport"' in done
    wrong = [str(part) for part in (*mypy, "wrong.py")]
    done = subprocess.run(wrong, cwd=tmp_path, env=clean(), capture_output=True, text=True)
    assert 'Unexpected keyword argument "roh" for "explain"' in done.stdout


def test_a_script_beside_the_clone_imports_the_package(source: Path, root: Path) -> None:
    """The clone is a folder named tfrobust beside the script, which Python looks at first."""
    (line,) = re.findall(r"pip install .*--editable.*", (root / "Makefile").read_text())
    settings = re.findall(r"--config-settings \S+", line)
    beside = source.parent
    python = environment(beside / "environment")
    install(python, *" ".join(settings).split(), "--editable", source, cwd=beside)
    (beside / "script.py").write_text("import tfrobust\nprint(tfrobust.__file__)\n")
    printed = run(python, "script.py", cwd=beside).strip()
    assert printed == str(source / "tfrobust" / "__init__.py")


def test_the_citation_is_well_formed(root: Path) -> None:
    schema = ["--builtin-schema", "vendor.citation-file-format"]
    run(sys.executable, "-m", "check_jsonschema", *schema, "CITATION.cff", cwd=root)


def test_the_changelog_tells_of_this_version(root: Path) -> None:
    first = re.search(r"^## (\S+?),? ", (root / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert first is not None and first[1] == tfrobust.__version__


CHECK = """
import json, sys
import tfrobust
from pathlib import Path
data = tfrobust.datasets.load("fashion_mnist_mini")
images, labels = data.test_arrays(2)
network = tfrobust.models.resnet_cifar(depth=8, width=2, input_shape=data.info.image_shape)
result = tfrobust.explain(network, images, rho=0.1)
assert tfrobust.load("fashion_mnist_mini")(images).shape == (2, 10)
assert tfrobust.load("cifar10").input_shape == (None, 32, 32, 3)
print(json.dumps([tfrobust.__file__, list(result.explanations.shape)]))
"""


@pytest.mark.slow
def test_installed_from_the_clone_it_works_elsewhere(source: Path, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    run(sys.executable, "-m", "venv", environment, cwd=tmp_path)
    python = environment / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", source, cwd=tmp_path)
    where, shape = json.loads(run(python, "-c", CHECK, cwd=tmp_path).splitlines()[-1])
    assert Path(where).is_relative_to(environment)
    assert shape == [2, 28, 28, 1]
    assert "--dataset" in run(environment / "bin" / "tfrobust-train", "--help", cwd=tmp_path)
