"""Our measures of explanations against those of Quantus 0.6.0, on the same maps.

    python benchmarks/quantus_compare.py --quantus_python /tmp/quantus/bin/python

Twelve images of 8×8, a network of one hidden layer with two classes, and maps drawn at random or
made of its gradients; its twin in PyTorch has the same weights. Where a measure draws at random,
both take our draws. Quantus' own defaults that change a map (its size, its scale) are off.

Prints a table, and writes benchmarks/results/quantus.json.
"""

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import turns

from tfrobust import metrics
from tfrobust.core.files import write_atomically
from tfrobust.explanations import VanillaGradients

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "quantus.json"
COUNT, SIDE, PARTS, PATCH, FILL = 12, 8, 16, 2, 0.5
DRAWS, SAMPLES, SUBSETS, SHARE = 5, 4, 30, 0.25
RMSE = 0.05
# Largest difference, in parts of the largest value: float32 networks of two libraries.
MARK = 1e-6


def material(seed: int = 0) -> dict[str, np.ndarray]:
    """What both sides are given, with the draws that our measures make (seed 0)."""
    rng = np.random.default_rng(seed)
    shape, pixels = (COUNT, SIDE, SIDE), SIDE * SIDE
    images = rng.random((*shape, 1), np.float32) * np.float32(0.8) + np.float32(0.1)
    made: dict[str, Any] = {
        "images": images,
        # No gradient is near 0, where float32 is not as fine: relative measures divide by it.
        "hidden": rng.uniform(0.02, 0.08, (pixels, 16)).astype(np.float32),
        "bias": rng.normal(-1.0, 0.5, 16).astype(np.float32),
        "out": (rng.uniform(0.5, 1.0, (16, 2)) * [1, -1]).astype(np.float32),
        "positive": rng.random(shape),
        "signed": rng.normal(size=shape),
        "regions": np.zeros(shape, bool),
        "step": pixels // PARTS,
        "patch": PATCH,
        "fill": FILL,
        "samples": SAMPLES,
    }
    made["regions"][:, 2:5, 3:7] = True
    made["targets"] = network(made).predict(images, verbose=0).argmax(axis=1)
    draws = np.random.default_rng(0)
    noisy = [np.clip(images + draws.normal(0, RMSE, images.shape), 0, 1) for _ in range(DRAWS)]
    made["neighbours"] = np.stack(noisy).astype(np.float32)
    draws = np.random.default_rng(0)
    size = round(SHARE * pixels)
    made["subsets"] = np.stack([draws.choice(pixels, size, replace=False) for _ in range(SUBSETS)])
    draws = np.random.default_rng(0)
    parts = [[draws.random(images.shape, np.float32) for _ in range(SAMPLES)] for _ in range(PARTS)]
    made["uniform"] = np.array(parts[::-1])  # Quantus begins with the part that matters least
    return made


def network(made: dict[str, np.ndarray]) -> keras.Model:
    """The twin of the network that quantus_values.py has."""
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(16, activation="tanh"),
            keras.layers.Dense(2, use_bias=False),
        ]
    )
    model.set_weights([made["hidden"], made["bias"], made["out"]])
    return model


def ours(made: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Our values, by the names that Quantus gives its measures."""
    model, images, targets = network(made), made["images"], made["targets"]
    positive, signed, regions = made["positive"], made["signed"], made["regions"]
    logit = {"score": "logit", "fill": FILL}
    of_maps = {
        "PixelFlipping": metrics.Deletion(steps=PARTS, **logit),
        "RegionPerturbation": metrics.RegionPerturbation(patch=PATCH, **logit),
        "FaithfulnessEstimate": metrics.FaithfulnessEstimate(parts=PARTS, **logit),
        "FaithfulnessCorrelation": metrics.FaithfulnessCorrelation(
            draws=SUBSETS, share=SHARE, **logit
        ),
        "MonotonicityCorrelation": metrics.MonotonicityCorrelation(
            parts=PARTS, draws=SAMPLES, score="logit"
        ),
    }
    noise = {"rmse": RMSE, "draws": DRAWS}
    of_methods = {
        "LocalLipschitzEstimate": metrics.LocalLipschitz(**noise),
        "MaxSensitivity": metrics.MaxSensitivity(**noise),
        "AvgSensitivity": metrics.AverageSensitivity(**noise),
        "RelativeInputStability": metrics.RelativeInputStability(**noise),
        "RelativeOutputStability": metrics.RelativeOutputStability(**noise),
        "RandomLogit": metrics.RandomLogit(),
    }
    method = VanillaGradients()
    return {
        "Sparseness": metrics.sparseness(positive),
        "Complexity": metrics.entropy(positive),
        "EffectiveComplexity": metrics.effective_complexity(positive, threshold=0.01),
        "PointingGame": metrics.pointing_game(signed, regions),
        "RelevanceMassAccuracy": metrics.relevance_mass(positive, regions),
        "AttributionLocalisation": metrics.relevance_mass(np.abs(signed), regions),
        "RelevanceRankAccuracy": metrics.relevance_rank(signed, regions),
        "AUC": metrics.roc_auc(signed, regions),
        **{name: one(model, images, targets, signed) for name, one in of_maps.items()},
        **{name: one(model, method, images, targets) for name, one in of_methods.items()},
    }


def theirs(python: str, made: dict[str, np.ndarray]) -> dict[str, Any]:
    """What quantus_values.py writes."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "material.npz"), Path(folder, "values.json")
        np.savez(source, **made)
        program = str(Path(__file__).with_name("quantus_values.py"))
        subprocess.run([python, "-W", "ignore", program, source, target], check=True)
        told: dict[str, Any] = json.loads(target.read_text())
    return told


def compared(python: str) -> dict[str, Any]:
    """Both sides' values, and the largest difference of each measure.

    Args:
        python: of an environment that has Quantus and PyTorch.
    """
    made = material()
    told = theirs(python, made)
    rows = {}
    for name, mine in ours(made).items():
        other = np.array(told["values"][name])
        apart = np.abs(mine - other).max() / max(1.0, np.abs(other).max())
        rows[name] = {
            "difference": float(apart),
            "met": bool(apart <= MARK),
            "ours": mine.tolist(),
            "quantus": other.tolist(),
        }
    return {"quantus": told["quantus"], "torch": told["torch"], "mark": MARK, "measures": rows}


def main() -> None:
    """Compares, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quantus_python", required=True, help="of an environment with Quantus")
    flags = parser.parse_args()
    found = compared(flags.quantus_python)
    print("| measure | largest difference | within the mark |\n| --- | --- | --- |")
    for name, row in found["measures"].items():
        print(f"| {name} | {row['difference']:.1e} | {'yes' if row['met'] else 'no'} |")
    command = "python benchmarks/quantus_compare.py --quantus_python PATH"
    told = {"command": command, "machine": turns.machine(), **found}
    write_atomically(RESULTS, json.dumps(told, indent=1).encode() + b"\n")


if __name__ == "__main__":
    main()
