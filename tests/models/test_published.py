"""The authors' weights in our structure give the authors' logits."""

from pathlib import Path

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
    assert network.count_params() == 684_794  # method.md section 7, counted by hand in test_resnet


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
