"""Measures the explainer that KServe builds of ART beside ours, on the same images and network.

    python benchmarks/art_explainer.py     # needs pip install adversarial-robustness-toolbox

KServe's explainer answers with an image of another decision, which ART's SquareAttack finds by
asking the predictor again and again: eps 0.3, 1,000 iterations, the predicted class as a hard
label, no bounds on pixels. It is measured so, and kinder to it with probabilities and pixels from 0
to 1. Ours are explainer.onnx, asked what the predicted class would need to lose at RMSE 0.1, and
the signature `robustness`, which tells how far another decision is.

The network is the shipped cifar10 and the images are the first of the test set; ART asks
classifier.onnx. Each is asked about one image at a time. A query is one image that the network
sees, whether or not a gradient is taken too.

Prints a table, and writes benchmarks/results/art_explainer.json.
"""

import argparse
import inspect
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import turns

HERE = Path(__file__).resolve().parent
NETWORK = HERE.parent / "saved_models" / "cifar10" / "1"
RHO, EPS, ITERATIONS = 0.1, 0.3, 1000
# What KServe's explainer passes on, and what is kinder to the attack.
ARTS = {
    "ART as KServe has it": {"hard": True, "bounds": (float("-inf"), float("inf"))},
    "ART with probabilities, pixels from 0 to 1": {"hard": False, "bounds": (0.0, 1.0)},
}


class Asked:
    """Probabilities of images, and how many images the network saw for them."""

    def __init__(self) -> None:
        import onnxruntime

        self._session = onnxruntime.InferenceSession(str(NETWORK / "classifier.onnx"))
        self.queries = 0

    def __call__(self, images: Any) -> Any:
        """Probabilities (B, K) of images (B, H, W, C)."""
        self.queries += len(images)
        (found,) = self._session.run(["probabilities"], {"images": images.astype("float32")})
        return found


def by_art(asked: Asked, hard: bool, bounds: tuple[float, float]) -> Callable[[Any], Any]:
    """ART's SquareAttack: image (1, H, W, C) → image of another decision, if it found one."""
    import numpy as np
    from art.attacks.evasion import SquareAttack
    from art.estimators.classification import BlackBoxClassifierNeuralNetwork

    def predict(images: Any) -> Any:
        found = asked(images)
        return np.eye(found.shape[1])[found.argmax(axis=1)] if hard else found

    def search(image: Any) -> Any:
        classifier = BlackBoxClassifierNeuralNetwork(
            predict, image.shape[1:], 10, channels_first=False, clip_values=bounds
        )
        attack = SquareAttack(estimator=classifier, max_iter=ITERATIONS, eps=EPS, verbose=False)
        return attack.generate(x=image)

    return search


def by_explainer() -> Callable[[Any], Any]:
    """explainer.onnx: image (1, H, W, C) → what the predicted class would need to lose."""
    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession(str(NETWORK / "explainer.onnx"))

    def explain(image: Any) -> Any:
        inputs = {
            "images": image,
            "target": np.array([-1], np.int32),
            "direction": np.array([-1], np.int32),
            "rho": np.array([RHO], np.float32),
        }
        return session.run(["explanation"], inputs)[0]

    return explain


def by_robustness() -> Callable[[Any], tuple[bool, float]]:
    """The signature `robustness`: image (1, H, W, C) → whether a change was found, and its L2."""
    import tensorflow as tf

    model = tf.saved_model.load(str(NETWORK))
    signature = model.signatures["robustness"]

    def ask(image: Any, model: Any = model) -> tuple[bool, float]:  # a signature needs its model
        found = signature(images=tf.constant(image))
        return bool(found["found"][0]), float(found["rmse"][0]) * image.size**0.5

    return ask


def queries_of_ours() -> dict[str, int]:
    """Images that the network sees for one image, that one itself and the answer included."""
    from tfrobust.attacks.nearest_decision import nearest_decision
    from tfrobust.explanations.walks import FRANK_WOLFE

    asks = {
        name: parameter.default
        for name, parameter in inspect.signature(nearest_decision).parameters.items()
    }
    search = asks["rivals"] * asks["steps"] + asks["line_steps"]
    return {"explainer.onnx": 2 + len(FRANK_WOLFE.sizes), "robustness": 2 + search}


def measure(search: Callable[[Any], Any], asked: Asked, images: Any) -> list[dict[str, Any]]:
    """Searches for one image after the other."""
    import numpy as np

    search(images[:1].copy())  # compiles
    rows = []
    for image in images[:, None]:
        asked.queries, began = 0, time.perf_counter()
        found = search(image.copy())
        seconds, queries = time.perf_counter() - began, asked.queries
        if isinstance(found, tuple):
            turned, size = found
        else:
            turned = bool(asked(found).argmax() != asked(image).argmax())
            size = float(np.linalg.norm(found.astype(np.float64) - image))
        rows.append({"turned": turned, "l2": size, "queries": queries, "seconds": seconds})
    return rows


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--data_dir", type=Path, default=HERE.parents[1] / "shared" / "tfds")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "art_explainer.json")
    flags = parser.parse_args()
    if not turns.has_module(sys.executable, "art"):
        sys.exit("expected ART beside tfrobust: pip install adversarial-robustness-toolbox")
    import art
    import numpy as np

    import tfrobust

    machine = turns.machine()
    np.random.seed(0)  # of ART's search
    data = tfrobust.datasets.load("cifar10", data_dir=str(flags.data_dir))
    images, asked = data.test_arrays(flags.images)[0], Asked()
    searches = {name: by_art(asked, **options) for name, options in ARTS.items()}
    searches |= {"explainer.onnx": by_explainer(), "robustness": by_robustness()}
    ours, results = queries_of_ours(), {}
    print("| what | decision turned | L2, median | queries, median | s, median |")
    print("| --- | --- | --- | --- | --- |")
    for name, search in searches.items():
        rows = measure(search, asked, images)
        for row in rows:
            row["queries"] = ours.get(name, row["queries"])
        medians = {
            field: statistics.median(row[field] for row in rows)
            for field in ("l2", "queries", "seconds")
        }
        turned = sum(row["turned"] for row in rows) / len(rows)
        results[name] = {"turned": turned, **{k: round(v, 5) for k, v in medians.items()}}
        print(
            f"| {name} | {turned:.2f} | {medians['l2']:.2f} | {medians['queries']:.0f} "
            f"| {medians['seconds']:.3f} |"
        )
    card = json.loads((NETWORK / "model_card.json").read_text())
    turns.write(
        flags.output,
        {
            "command": f"python benchmarks/art_explainer.py --images {flags.images}",
            "machine": {**machine, "art": art.__version__},
            "network": card["name"],
            "images": len(images),
            "eps": EPS,
            "iterations": ITERATIONS,
            "rho": RHO,
            "results": results,
        },
    )
    print(f"written: {flags.output}")


if __name__ == "__main__":
    main()
