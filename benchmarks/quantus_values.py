"""Quantus' values of a set of maps, for benchmarks/quantus_compare.py, which starts this program.

    /path/to/another/bin/python benchmarks/quantus_values.py material.npz values.json

Quantus asks for Keras 2, so it cannot be installed beside this package. This program runs in an
environment of its own: `pip install quantus==0.6.0 torch==2.13.0`. It imports nothing of ours.

Where a measure draws at random, Quantus is given the draws that our measure makes.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import quantus
import torch

PLAIN = {"abs": False, "normalise": False, "disable_warnings": True}


class Network(torch.nn.Module):
    """Images (B, 1, H, W) → two logits (B, 2), by one hidden layer of tanh."""

    def __init__(self, material: dict[str, np.ndarray]) -> None:
        super().__init__()
        self.hidden, self.bias, self.out = (
            torch.from_numpy(material[name]) for name in ("hidden", "bias", "out")
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Gives the logits."""
        return torch.tanh(torch.flatten(images, 1) @ self.hidden + self.bias) @ self.out


def gradients(model: Any, inputs: Any, targets: Any, **_: Any) -> np.ndarray:
    """The size of each pixel's gradient of the target's logit, in the shape of the images."""
    images = torch.tensor(np.asarray(inputs), dtype=torch.float32, requires_grad=True)
    logits = model(images)
    logits[torch.arange(len(images)), torch.as_tensor(targets)].sum().backward()
    return images.grad.abs().numpy()


def replayed(arrays: np.ndarray) -> Callable[..., np.ndarray]:
    """A perturbation that gives these images one after the other, (draws, B, H·W)."""
    left = iter(arrays)
    return lambda arr, indices, **_: next(left).copy()


def redrawn(draws: np.ndarray) -> Callable[..., np.ndarray]:
    """A perturbation that takes the pixels asked for out of these images, (draws, B, H·W)."""
    left = iter(draws)

    def replaced(arr: np.ndarray, indices: np.ndarray, **_: Any) -> np.ndarray:
        changed, rows = arr.copy(), np.arange(len(arr))[:, None]
        changed[rows, indices] = next(left)[rows, indices]
        return changed

    return replaced


def values(material: dict[str, np.ndarray]) -> dict[str, list[float]]:
    """For each measure its numbers, one for each image."""
    network = Network(material).eval()
    images, targets = material["images"], material["targets"]
    count, pixels, step = len(images), images[0].size, int(material["step"])
    shape = count, 1, *images.shape[1:3]
    fill = {"perturb_baseline": float(material["fill"])}
    noise = {"nr_samples": len(material["neighbours"])}

    def ask(measure: Any, maps: np.ndarray | None = None, **extra: Any) -> np.ndarray:
        maps = gradients(network, images.reshape(shape), targets) if maps is None else maps
        found = measure(
            model=network,
            x_batch=images.reshape(shape).copy(),
            y_batch=targets,
            a_batch=maps.reshape(shape).copy(),
            explain_func=gradients,
            channel_first=True,
            softmax=False,
            batch_size=count,
            **extra,
        )
        return np.asarray(found, np.float64)

    def near(kind: Any) -> np.ndarray:
        perturb = replayed(material["neighbours"].reshape(-1, count, pixels))
        options = {"return_nan_when_prediction_changes": False, **noise, **PLAIN}
        return ask(kind(perturb_func=perturb, **options))

    positive, signed = material["positive"], material["signed"]
    regions = {"s_batch": material["regions"].reshape(shape)}
    with torch.no_grad():
        logits = network(torch.from_numpy(images.reshape(shape))).numpy()
    whole = logits[np.arange(count), targets].astype(np.float64)
    curve = ask(quantus.PixelFlipping(features_in_step=step, **fill, **PLAIN), signed)
    curve = np.concatenate([whole[:, None], curve], axis=1)  # Quantus begins after the first step
    patches = quantus.RegionPerturbation(
        patch_size=int(material["patch"]), regions_evaluation=pixels, **fill, **PLAIN
    )
    falls = ask(patches, signed).reshape(count, -1)
    falls = np.concatenate([np.zeros((count, 1)), falls], axis=1)  # and without the whole image
    scaled = {**PLAIN, "normalise": True}
    subsets = iter(np.repeat(material["subsets"], count, axis=0))
    np.random.choice = lambda *_, **__: next(subsets)  # Quantus draws by it
    chosen = quantus.FaithfulnessCorrelation(
        nr_runs=len(material["subsets"]), subset_size=material["subsets"].shape[1],
        **{**PLAIN, "return_aggregate": False}, **fill,
    )  # fmt: skip
    drawn = quantus.MonotonicityCorrelation(
        nr_samples=int(material["samples"]),
        features_in_step=step,
        perturb_func=redrawn(material["uniform"].reshape(-1, count, pixels)),
        **{**PLAIN, "abs": True},
    )
    found = {
        "Sparseness": ask(quantus.Sparseness(**PLAIN), positive),
        "Complexity": ask(quantus.Complexity(**PLAIN), positive),
        "EffectiveComplexity": ask(quantus.EffectiveComplexity(eps=0.01, **scaled), positive)
        / pixels,
        "PointingGame": ask(quantus.PointingGame(**PLAIN), signed, **regions),
        "RelevanceMassAccuracy": ask(quantus.RelevanceMassAccuracy(**PLAIN), positive, **regions),
        "AttributionLocalisation": ask(
            quantus.AttributionLocalisation(**{**PLAIN, "abs": True}), signed, **regions
        ),
        "RelevanceRankAccuracy": ask(quantus.RelevanceRankAccuracy(**PLAIN), signed, **regions),
        "AUC": ask(quantus.AUC(**PLAIN), signed, **regions),
        "PixelFlipping": ((curve[:, 1:] + curve[:, :-1]) / 2).mean(axis=1),
        "RegionPerturbation": falls.mean(axis=1),
        "FaithfulnessEstimate": ask(
            quantus.FaithfulnessEstimate(features_in_step=step, **fill, **PLAIN), signed
        ),
        "FaithfulnessCorrelation": ask(chosen, signed),
        "MonotonicityCorrelation": ask(drawn, signed),
        "LocalLipschitzEstimate": near(quantus.LocalLipschitzEstimate),
        "MaxSensitivity": near(quantus.MaxSensitivity),
        "AvgSensitivity": near(quantus.AvgSensitivity),
        "RelativeInputStability": near(quantus.RelativeInputStability),
        "RelativeOutputStability": near(quantus.RelativeOutputStability),
        "RandomLogit": ask(
            quantus.RandomLogit(
                num_classes=2,
                similarity_func=quantus.similarity_func.correlation_spearman,
                **PLAIN,
            )
        ),
    }
    return {name: values.ravel().tolist() for name, values in found.items()}


def main() -> None:
    """Reads the material, and writes the values."""
    source, target = map(Path, sys.argv[1:])
    with np.load(source) as file:
        told = {"values": values(dict(file)), "quantus": quantus.__version__}
    target.write_text(json.dumps({**told, "torch": torch.__version__}))


if __name__ == "__main__":
    main()
