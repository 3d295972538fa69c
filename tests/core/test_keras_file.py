"""Keras files that were made to harm: refused before anything is unpacked."""

import resource
import shutil
import zipfile
from pathlib import Path

import keras
import pytest

from tfrobust.core import keras_file
from tfrobust.errors import InputError


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "one.keras"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(path)
    return path


def repacked(path: Path, more: dict[str, int]) -> Path:
    """The file with so many blanks behind its members, or in new ones."""
    target = path.with_name("repacked.keras")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in {*old.namelist(), *more}:
            content = old.read(name) if name in old.namelist() else b""
            with new.open(name, "w") as member:
                member.write(content)
                for _ in range(more.get(name, 0) // 2**20):
                    member.write(b" " * 2**20)
    return target


def test_an_honest_file_is_read_also_where_it_is_compressed(saved: Path) -> None:
    assert keras_file.read(repacked(saved, {"config.json": 2**20})).count_params() == 10


@pytest.mark.parametrize(
    ("member", "mebibytes", "said"),
    [
        ("config.json", 65, "configuration of at most 64 MiB"),
        ("metadata.json", 65, "configuration of at most 64 MiB"),
        ("assets/more", 70, "at most 20 times its size"),
    ],
)
def test_what_unpacks_to_far_more_is_refused(
    saved: Path, member: str, mebibytes: int, said: str
) -> None:
    bomb = repacked(saved, {member: mebibytes * 2**20})
    assert bomb.stat().st_size < 2**20
    with pytest.raises(InputError, match=said):
        keras_file.read(bomb)


def test_far_more_weights_than_are_stored(saved: Path) -> None:
    wide = saved.with_name("wide.keras")
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(wide, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, content.replace(b'"units": 2', b'"units": 1000000000'))
    began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=r"stores its weights; .* has 5000000000, and"):
        keras_file.read(wide)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < began + 500_000  # of 20 GB
    # What was only counted is not made later.
    assert keras_file.read(saved).count_params() == 10
    with keras.StatelessScope():
        pass
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < began + 500_000


def test_a_damaged_directory_is_refused(saved: Path) -> None:
    content = bytearray(saved.read_bytes())
    place = content.rfind(b"PK\x01\x02")
    content[place : place + 4] = b"PK\x00\x00"
    broken = shutil.copy(saved, saved.with_name("broken.keras"))
    Path(broken).write_bytes(content)
    with pytest.raises(InputError, match="is damaged"):
        keras_file.read(Path(broken))
