"""What is refused before TensorFlow is imported."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tfrobust.datasets import names
from tfrobust.errors import InputError


def prepare(root: Path, name: str) -> None:
    version = root / name / "1.0.0"
    version.mkdir(parents=True)
    (version / "dataset_info.json").write_text("{}")


@pytest.fixture(autouse=True)
def empty_default_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "default"))


@pytest.mark.parametrize(
    "name", ["fashion_mnist_mini", "cifar10", "cifar10:3.*.*", "imagenet_resized/32x32", "beans"]
)
def test_known_names_pass(name):
    names.validate(name)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("cifar1O", "cifar10"), ("fashion_mnist_min", "fashion_mnist_mini"), ("minst", "mnist")],
)
def test_mistyped_names_are_refused_with_the_nearest(name, nearest):
    with pytest.raises(InputError, match=rf"unknown .*'{name}'.*Nearest names:.*\b{nearest}\b"):
        names.validate(name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "expected the name of a data set, got ''"),
        (None, "expected the name of a data set, got None"),
        ("../../etc", "unknown .*'../../etc'"),
        ("qqqqqqq", "unknown .*'qqqqqqq'"),
    ],
)
def test_nonsense_is_refused(name, said):
    with pytest.raises(InputError, match=said):
        names.validate(name)


def test_missing_data_dir_is_refused_whatever_the_set(tmp_path):
    for name in ("fashion_mnist_mini", "cifar10"):
        with pytest.raises(InputError, match="not an existing folder"):
            names.validate(name, tmp_path / "nowhere")


def test_data_dir_without_the_set_lists_what_it_holds(tmp_path):
    prepare(tmp_path, "cifar10")
    names.validate("cifar10", tmp_path)
    with pytest.raises(InputError, match=r"does not hold mnist; it holds cifar10.*tfds build"):
        names.validate("mnist", tmp_path)
    with pytest.raises(InputError, match=r"ILSVRC2012_img_train.tar.*downloads/manual"):
        names.validate("imagenet2012", tmp_path)


def test_data_dir_one_level_too_deep_is_recognised(tmp_path):
    prepare(tmp_path, "cifar10")
    with pytest.raises(InputError, match=f"Its parent does: give data_dir={tmp_path}"):
        names.validate("cifar10", tmp_path / "cifar10")


def test_a_set_of_ones_own_passes_where_it_is_prepared(tmp_path):
    prepare(tmp_path, "our_radiographs")
    names.validate("our_radiographs", tmp_path)
    with pytest.raises(InputError, match="unknown"):
        names.validate("our_radiographs")


def test_folders_must_exist(tmp_path):
    names.validate(f"folder:{tmp_path}")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is not a folder"):
        names.validate(f"folder:{tmp_path}/file")
    with pytest.raises(InputError, match="does not exist"):
        names.validate(f"folder:{tmp_path}/nowhere")
    with pytest.raises(InputError, match="empty path"):
        names.validate("folder:")


def test_the_check_needs_no_tensorflow_and_under_a_second():
    program = (
        "import sys\n"
        "import tfrobust.datasets\n"
        "from tfrobust.errors import InputError\n"
        "try:\n"
        "    tfrobust.datasets.load('cifar1O')\n"
        "except InputError:\n"
        "    sys.exit(3 if 'tensorflow' in sys.modules else 0)\n"
        "sys.exit(4)\n"
    )
    root = Path(__file__).resolve().parents[2]
    start = time.monotonic()
    assert subprocess.run([sys.executable, "-c", program], cwd=root, check=False).returncode == 0
    assert time.monotonic() - start < 3
