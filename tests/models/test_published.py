"""The authors' weights in our structure give the authors' logits."""

import os
import sys
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tfrobust.errors import InputError
from tfrobust.models import HalfHuberReLU, published

REFERENCE = Path(__file__).resolve().parents[2].parent / "shared" / "reference"


def write(path: Path, **changes: np.ndarray | None) -> Path:
    """A tiny published network: one block a group, width 2, three classes, one channel.

    Args:
        path: folder.
        changes: arrays by name, "_" for "."; None leaves one out.
    """
    rng = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {"input_offset": np.array([[0.4], [0.2]])}

    def norm(name: str, width: int) -> None:
        for part in ("weight", "bias", "running_mean", "running_var"):
            arrays[f"{name}.{part}"] = rng.random(width) + 0.5

    arrays["pipe.0.weight"] = rng.normal(size=(2, 1, 3, 3))
    inner = 2
    for group, outer in ((1, 2), (2, 4), (3, 8)):
        block = f"pipe.{group}.0"
        norm(f"{block}.pre.0", inner)
        norm(f"{block}.main.1", outer)
        arrays[f"{block}.main.0.weight"] = rng.normal(size=(outer, inner, 3, 3))
        arrays[f"{block}.main.3.weight"] = rng.normal(size=(outer, outer, 3, 3))
        arrays[f"{block}.pre.1.d"] = arrays[f"{block}.main.2.d"] = np.array(0.5)
        if group > 1:
            arrays[f"{block}.shortcut.weight"] = rng.normal(size=(outer, inner, 3, 3))
        inner = outer
    norm("pipe.4", inner)
    arrays["pipe.5.d"] = np.array(0.5)
    arrays["pipe.7.weight"], arrays["pipe.7.bias"] = rng.normal(size=(3, 8, 1, 1)), rng.random(3)
    arrays["pipe.4.num_batches_tracked"] = np.array(7)
    for name, value in changes.items():
        arrays.pop(name.replace("_", "."), None)
        if value is not None:
            arrays[name.replace("_", ".")] = value
    np.savez(path / "network.npz", **arrays)
    return path / "network.npz"


def test_reference_logits() -> None:
    if not REFERENCE.is_dir():
        pytest.skip(f"no published weights at {REFERENCE}")
    network = published.load(REFERENCE / "resnet44-all.npz")
    expected = np.load(REFERENCE / "resnet44-all.expected.npz")
    logits = network.predict(expected["images"].astype(np.float32) / 255, verbose=0)
    # Measured: 1.5e-6. An uneven padding, another epsilon or order shows above 1e-2.
    np.testing.assert_allclose(logits, expected["logits"], atol=1e-4)
    assert network.count_params() == 684_794  # counted by hand in test_resnet


def test_depth_width_classes_channels_and_activation_follow_from_the_arrays(tmp_path: Path) -> None:
    network = published.load(write(tmp_path))
    assert network.input_shape == (None, 32, 32, 1)
    assert network.output_shape == (None, 3)
    assert sum(isinstance(layer, HalfHuberReLU) for layer in network.layers) == 7
    images = np.random.default_rng(0).random((2, 32, 32, 1), np.float32)
    assert np.isfinite(network(images)).all()


NAN = np.full((2, 1, 3, 3), np.nan)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pipe_0_weight": None}, "pipe.0.weight"),
        ({"pipe_7_bias": None}, "pipe.7.bias"),
        ({"pipe_1_0_main_0_weight": None}, "expected blocks"),
        ({"pipe_2_0_shortcut_weight": None}, "shortcut"),
        ({"pipe_3_0_main_1_bias": np.zeros(7)}, "pipe.3.0.main.1.bias"),
        ({"pipe_0_weight": NAN}, "finite"),
        ({"pipe_0_weight": np.zeros(3)}, "4-D"),
        ({"pipe_5_d": np.array(0.1)}, "0.5"),
        ({"pipe_9_weight": np.zeros(3)}, "pipe.9.weight"),
        ({"pipe_0_weight": np.array([None, {}])}, "plain arrays"),
    ],
)
def test_arrays_that_make_no_published_network(tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        published.load(write(tmp_path, **changes))


def test_files_that_are_no_npz(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        published.load(tmp_path / "absent.npz")
    for name, content in (("text.npz", b"no zip"), ("empty.npz", b""), ("cut.npz", b"PK\x03\x04")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=r"expected an \.npz"):
            published.load(tmp_path / name)
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(InputError, match="one array"):
        published.load(tmp_path / "one.npy")


WIDTHS = [f"pipe.{g}.0.{part}.d" for g in (1, 2, 3) for part in ("pre.1", "main.2")] + ["pipe.5.d"]
RELU = {name.replace(".", "_"): None for name in WIDTHS}


def cifar10_preprocess(*_: Any) -> None:
    raise AssertionError("a file's function was called")


def save(path: Path, content: Any, monkeypatch: pytest.MonkeyPatch, legacy: bool = True) -> Path:
    """Writes a checkpoint as the authors' program does, with a function of `__main__`."""
    torch = pytest.importorskip("torch", reason="the extra 'published' is not installed")
    with monkeypatch.context() as patch:
        patch.setattr(cifar10_preprocess, "__module__", "__main__")
        main = sys.modules["__main__"]
        patch.setattr(main, "cifar10_preprocess", cifar10_preprocess, raising=False)
        torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


def published_content(arrays: Path) -> dict[str, Any]:
    """Entries of the published files other than the state."""
    torch = pytest.importorskip("torch", reason="the extra 'published' is not installed")
    with np.load(arrays) as file:
        state = OrderedDict((name, torch.from_numpy(file[name])) for name in file.files)
    architecture = [32, cifar10_preprocess, [1, 1, 1], [2, 4, 8], 3]
    options = {"arch": architecture, "robust_additions": True, "robust_integration": 208.5}
    return {"model_params": state, "training_options": options}


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize(("changes", "smooth"), [({}, 7), (RELU, 0)])
def test_checkpoint_is_the_network_of_its_arrays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict, smooth: int, legacy: bool
) -> None:
    arrays = write(tmp_path, **changes)
    content = published_content(arrays)
    path = save(tmp_path / "network.pt", content, monkeypatch, legacy)
    network, twin = published.load(path), published.load(arrays)
    assert sum(isinstance(layer, HalfHuberReLU) for layer in network.layers) == smooth
    for ours, theirs in zip(network.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    images = np.random.default_rng(0).random((2, 32, 32, 1), np.float32)
    np.testing.assert_array_equal(network(images), twin(images))


class Command:
    """Runs a command when unpickled."""

    def __init__(self, function: Any, argument: str) -> None:
        self.call = (function, (argument,))

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize(
    ("function", "name"),
    [(os.system, r"got \w+\.system"), (exec, "got exec"), (cifar10_preprocess, "calls it")],
)
def test_checkpoint_that_would_run_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: Any, name: str, legacy: bool
) -> None:
    trace = tmp_path / "trace"
    command = {os.system: f"touch {trace}", exec: f"open({str(trace)!r}, 'w')"}.get(function, "")
    content = published_content(write(tmp_path))
    content["training_options"]["extra"] = Command(function, command)
    path = save(tmp_path / "network.pt", content, monkeypatch, legacy)
    with pytest.raises(InputError, match=name):
        published.load(path)
    assert not trace.exists()


def test_files_that_are_no_published_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = published_content(write(tmp_path))
    whole = save(tmp_path / "network.pt", content, monkeypatch).read_bytes()
    for name, part in (("cut", whole[:-9]), ("head", whole[:90]), ("text", b"no"), ("empty", b"")):
        (tmp_path / f"{name}.pt").write_bytes(part)
        with pytest.raises(InputError, match="expected a PyTorch checkpoint"):
            published.load(tmp_path / f"{name}.pt")
    for odd in ([], {"model_params": 3}, content["model_params"]):
        with pytest.raises(InputError, match="model_params"):
            published.load(save(tmp_path / "odd.pt", odd, monkeypatch))
    with pytest.raises(InputError, match="plain tensors"):
        published.load(save(tmp_path / "odd.pt", {"model_params": {"a": [1]}}, monkeypatch))


def test_checkpoint_without_a_pytorch_that_reads_it_safely(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="No such file"):
        published.load(tmp_path / "absent.pt")
    (tmp_path / "network.pt").write_bytes(b"")
    for torch, message in ((None, "takes PyTorch"), (SimpleNamespace(__version__=(2, 9)), "2.10")):
        monkeypatch.setitem(sys.modules, "torch", torch)
        with pytest.raises(InputError, match=message) as caught:
            published.load(tmp_path / "network.pt")
        assert 'pip install "tfrobust[published]"' in str(caught.value)
