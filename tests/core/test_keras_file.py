"""Keras files that were made to harm: refused before anything is unpacked."""

import json
import resource
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
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


# What stands in the place of the layer, and would make MARK.
CODE: dict[str, dict[str, Any]] = {
    "a class of Python's": {
        "module": "subprocess",
        "class_name": "Popen",
        "config": {"args": ["touch", "MARK"]},
    },
    "a SavedModel": {
        "module": "keras.layers",
        "class_name": "TFSMLayer",
        "config": {"filepath": "MARK", "call_endpoint": "serving_default"},
    },
    "a pickle": {
        "module": "keras.layers",
        "class_name": "TorchModuleWrapper",
        # pickle of os.mkdir("MARK")
        "config": {"module": "Y29zCm1rZGlyCihTJ01BUksnCnRSLg=="},
    },
}
# What stands in the place of its activation.
FUNCTIONS = {"a function of Python's": ("os", "mkdir"), "a download": ("keras.utils", "get_file")}


def named(saved: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The file with its layer changed."""
    target = saved.with_name("named.keras")
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                told = json.loads(content)
                change(told["config"]["layers"][1])
                content = json.dumps(told).encode()
            new.writestr(name, content)
    return target


@pytest.mark.parametrize("kind", [*CODE, *FUNCTIONS])
def test_a_file_that_names_code_runs_none(
    saved: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(saved.parent)

    def change(layer: dict[str, Any]) -> None:
        if kind in CODE:
            layer.pop("registered_name")
            layer.update(CODE[kind])
        else:
            module, name = FUNCTIONS[kind]
            function = {"module": module, "class_name": "function", "config": name}
            layer["config"]["activation"] = {**function, "registered_name": name}

    with pytest.raises(InputError, match="cannot be read"):
        keras_file.read(named(saved, change))
    assert not Path("MARK").exists()


def test_weights_in_another_file_are_not_read(saved: Path) -> None:
    weights, secret = saved.with_name("model.weights.h5"), saved.with_name("secret")
    secret.write_bytes(np.full((4, 2), 1234.5, np.float32).tobytes())
    with zipfile.ZipFile(saved) as old:
        weights.write_bytes(old.read(weights.name))
    with h5py.File(weights, "r+") as file:
        places: list[str] = []
        file.visit(places.append)
        (place,) = (name for name in places if getattr(file[name], "shape", ()) == (4, 2))
        del file[place]
        file.create_dataset(place, (4, 2), np.float32, external=[(str(secret), 0, 32)])
    target = saved.with_name("external.keras")
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, weights.read_bytes() if name == weights.name else old.read(name))
    with pytest.raises(InputError, match="cannot be read"):
        keras_file.read(target)


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
