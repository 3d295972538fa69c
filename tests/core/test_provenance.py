import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import tfrobust
from tfrobust.core.provenance import file_hashes, image_hash, machine, versions
from tfrobust.errors import InputError


def test_versions_are_of_the_packages_that_run() -> None:
    found = versions()
    assert found["tensorflow"] == tf.__version__
    assert found["numpy"] == np.__version__
    assert found["tfrobust"] == tfrobust.__version__
    assert found["python"] == sys.version.split()[0]


def test_a_package_without_metadata_is_left_out(monkeypatch) -> None:
    monkeypatch.setattr("tfrobust.core.provenance.PACKAGES", ("numpy", "no-such-package"))
    assert set(versions()) == {"python", "tfrobust", "numpy"}


def test_the_machine_is_told_in_words() -> None:
    gpus = tf.config.list_physical_devices("GPU")
    assert "CPU core" in machine() if not gpus else machine()


def test_image_hash_is_sha256_of_types_shapes_and_values() -> None:
    images, labels = np.arange(4, dtype=np.float32).reshape(1, 2, 2, 1), np.array([1], np.int32)
    content = b"<f4(1, 2, 2, 1)" + images.tobytes() + b"<i4(1,)" + labels.tobytes()
    assert image_hash(images, labels) == hashlib.sha256(content).hexdigest()
    assert image_hash(images, labels) != image_hash(images.reshape(1, 1, 4, 1), labels)
    assert image_hash(images, labels) != image_hash(images, labels.astype(np.int64))
    # The hash is of the values, not of how they lie in memory.
    turned = np.asfortranarray(images.reshape(2, 2))
    assert image_hash(turned, labels) == image_hash(images.reshape(2, 2), labels)


def test_file_hashes_leave_nothing_out(tmp_path: Path) -> None:
    (tmp_path / "set" / "deep").mkdir(parents=True)
    for name in ("a", "deep/b"):
        (tmp_path / "set" / name).write_text(name)
    (tmp_path / "set" / "linked").symlink_to("a")
    found = file_hashes(tmp_path / "set")
    assert list(found) == ["a", "deep/b", "linked"]
    assert found["a"] == found["linked"] == hashlib.sha256(b"a").hexdigest()
    for target in ("deep", "nowhere", "/dev/null"):
        link = tmp_path / "set" / "other"
        link.symlink_to(target)
        with pytest.raises(InputError, match="but other is a link to a folder or to nothing"):
            file_hashes(tmp_path / "set")
        link.unlink()


def test_importing_it_leaves_tensorflow_out() -> None:
    code = "import sys, tfrobust.core.provenance; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
