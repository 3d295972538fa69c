"""The networks of attackbench.py as PyTorch twins, checked against what they are twins of."""

import dataclasses
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attackbench_twin
import numpy as np
import torch
from attackbench_optimality import Trail
from torch import nn

import tfrobust
from tfrobust.core.door import as_classifier
from tfrobust.exporting import onnx
from tfrobust.models import published

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
PUBLISHED = SHARED / "reference" / "resnet44-all.npz"
# A twin's logits may differ by so much, as a share of the largest one.
CLOSE = 2e-5
LEVELS = 16


class Counted(nn.Module):
    """A network that tells a `Trail` of its forward and backward passes, while it has one.

    Args:
        network: images (B, C, H, W) → logits (B, K).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.trail = network, None
        # Some libraries read off the device of a network's parameters.
        self.device = nn.Parameter(torch.zeros(()), requires_grad=False)

    trail: Trail | None

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) → (B, K)."""
        if self.trail is None:
            return self.network(images)
        self.trail.check()
        logits = self.network(images)
        owners = self.trail.forward(images.numpy(force=True), logits.numpy(force=True))
        return _Noted.apply(logits, self.trail, owners)


class _Noted(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, trail: Trail, owners: Any) -> torch.Tensor:
        ctx.trail, ctx.owners = trail, owners
        return logits.clone()

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> Any:  # type: ignore[override]
        ctx.trail.backward(ctx.owners)
        return upstream, None, None


class Rounded(nn.Module):
    """A mask: pixels are rounded to few levels, and the gradient passes as if they were not.

    Args:
        network: images (B, C, H, W) → logits (B, K).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) → (B, K)."""
        with torch.no_grad():
            change = (images * (LEVELS - 1)).round() / (LEVELS - 1) - images
        return self.network(images + change)


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A network, and images that it classifies correctly.

    Args:
        twin: the network in PyTorch.
        images: float32 (N, C, H, W).
        labels: int64 (N,).
        facts: of the twin, for the results.
    """

    twin: Counted
    images: np.ndarray
    labels: np.ndarray
    facts: dict[str, Any]


def _published() -> tuple[attackbench_twin.Twin, Callable[[np.ndarray], Any]]:
    network = published.load(PUBLISHED)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "classifier.onnx"
        onnx.write_classifier(network, path, class_names=[str(one) for one in range(10)])
        return attackbench_twin.Twin(path), as_classifier(network)


def _shipped(name: str) -> tuple[attackbench_twin.Twin, Callable[[np.ndarray], Any]]:
    twin = attackbench_twin.Twin(ROOT / "saved_models" / name / "1" / "classifier.onnx")
    return twin, as_classifier(tfrobust.load(ROOT / "saved_models" / name / "1"))


def _plain() -> tuple[attackbench_twin.Twin, Callable[[np.ndarray], Any]]:
    """The embedded set's plain twin, trained once by its recipe."""
    from tfrobust.runs import recipes, stages

    folder = ROOT / "runs" / "attackbench"
    if not (folder / "plain" / "finished.json").exists():
        config = recipes.fashion_mnist_mini_plain().replace(
            {"measure.images": 8, "measure.preset": "fast"}
        )
        stages.run(config, run_dir=folder / "plain", saved_models=folder / "saved_models")
    version = max((folder / "saved_models" / "fashion_mnist_mini_plain").iterdir())
    return attackbench_twin.Twin(version / "classifier.onnx"), as_classifier(tfrobust.load(version))


# By name: the data set, the network, and a mask.
NETWORKS: dict[str, tuple[str, Callable[[], Any], type[Rounded] | None]] = {
    "fashion_mnist_mini": ("fashion_mnist_mini", lambda: _shipped("fashion_mnist_mini"), None),
    "fashion_mnist_lipschitz": (
        "fashion_mnist_mini",
        lambda: _shipped("fashion_mnist_lipschitz"),
        None,
    ),
    "robust_rounded": ("fashion_mnist_mini", lambda: _shipped("fashion_mnist_mini"), Rounded),
    "fashion_mnist_mini_plain": ("fashion_mnist_mini", _plain, None),
    "cifar10": ("cifar10", lambda: _shipped("cifar10"), None),
    "published_all": ("cifar10", _published, None),
}
# Of each data set the first image that may be taken, as those before it are used elsewhere, and
# how many are taken: networks of CIFAR-10 take several times as long.
FIRST = {"fashion_mnist_mini": 1000, "cifar10": 5000}
IMAGES = {"fashion_mnist_mini": 16, "cifar10": 8}


def twins(
    name: str, images: np.ndarray
) -> tuple[attackbench_twin.Twin, Callable[[np.ndarray], Any], float]:
    """A network in PyTorch, itself, and how far apart their logits are, of the largest.

    Args:
        name: in NETWORKS; its mask is left out.
        images: float32 (N, H, W, C), that both are asked about.
    """
    twin, original = NETWORKS[name][1]()
    expected = np.asarray(original(images))
    with torch.no_grad():
        found = twin(torch.from_numpy(turned(images))).numpy()
    apart = float(np.abs(found - expected).max() / np.abs(expected).max())
    if apart > CLOSE:
        sys.exit(f"expected {name}'s twin to give its logits, got {apart:.1e} of the largest")
    return twin, original, apart


def turned(images: np.ndarray) -> np.ndarray:
    """Images (N, H, W, C) as PyTorch takes them."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def scenario(name: str, data_dir: Path) -> Scenario:
    """A network with its images.

    Args:
        name: in NETWORKS.
        data_dir: where CIFAR-10 is, as TensorFlow Datasets keeps it.
    """
    data, _, mask = NETWORKS[name]
    count = IMAGES[data]
    source = tfrobust.datasets.load(data, data_dir=str(data_dir) if data == "cifar10" else None)
    images, labels = (part[FIRST[data] :] for part in source.test_arrays(FIRST[data] + 8 * count))
    twin, _, apart = twins(name, images[: 4 * count])
    network, channels_first = twin if mask is None else mask(twin), turned(images)
    with torch.no_grad():
        right = network(torch.from_numpy(channels_first)).numpy().argmax(axis=1) == labels
    rows = np.flatnonzero(right)[:count]
    facts = {
        "data": "CIFAR-10 (JPEG copy)" if data == "cifar10" else data,
        "images": (FIRST[data] + rows).tolist(),
        "twin_apart": float(f"{apart:.2g}"),
        "mask": mask and mask.__name__.lower(),
        "weights": twin.weights,
    }
    return Scenario(Counted(network), channels_first[rows], labels[rows].astype(np.int64), facts)
