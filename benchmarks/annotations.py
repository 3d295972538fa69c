"""Shows whether a network unlearns a planted spurious mark from 30 pictures that a person marked.

    python benchmarks/annotations.py

Every training image of the embedded set gets a white square at a place that tells its class, as a
scanner's label may. A network trained on these looks at the squares. It is trained again with 30
pictures, three of each class, in which the square is marked as no evidence, by this program in the
place of a person. All networks are tested on 2,000 images without squares, with the right ones, and
with wrong ones. The clean twin is trained on images without squares. The mark: without squares, the
corrected network is right at least .9 times as often as the clean twin.

Prints a table, and writes benchmarks/results/annotations.json as the figures come.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import turns

HERE = Path(__file__).resolve().parent
SIDE = 4  # of a square, in pixels
PER_CLASS = 3
BATCH = 100
MARK = 0.9


def squared(images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The images (N, 28, 28, 1) with a white square: five places at the top, five at the bottom."""
    found = images.copy()
    for image, number in zip(found, classes, strict=True):
        bottom, column = divmod(int(number), 5)
        top, left = bottom * (28 - SIDE), column * 6
        image[top : top + SIDE, left : left + SIDE] = 1
    return found


def others(classes: np.ndarray, seed: int) -> np.ndarray:
    """Another class for each, drawn from the seed."""
    return (classes + np.random.default_rng(seed).integers(1, 10, len(classes))) % 10


def marked(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first pictures of each class with squares, and what of them is no evidence.

    Args:
        images: float32 (N, 28, 28, 1), without squares.
        labels: int (N,).

    Returns:
        uint8 (M, 28, 28, 1) and bool (M, 28, 28).
    """
    chosen = np.concatenate([np.flatnonzero(labels == one)[:PER_CLASS] for one in range(10)])
    shown = np.rint(255 * squared(images[chosen], labels[chosen])).astype(np.uint8)
    squares = squared(np.zeros_like(images[chosen]), labels[chosen])
    return shown, squares[..., 0] > 0


def network(seed: int) -> Any:
    """A hidden layer of 100, with random weights."""
    import keras

    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Flatten(), keras.layers.Dense(100, activation="softplus")]
    return keras.Sequential([keras.Input((28, 28, 1)), *layers, keras.layers.Dense(10)])


def trained(
    images: np.ndarray, labels: np.ndarray, *, epochs: int, evidence: Any = None, seed: int = 0
) -> Any:
    """A network trained on images, by Adam."""
    import keras
    import tensorflow as tf

    from tfrobust.training import RobustClassifier

    robust = RobustClassifier(network(seed), evidence=evidence)
    robust.compile(keras.optimizers.Adam(2e-3))
    data = tf.data.Dataset.from_tensor_slices((images, labels))
    data = data.shuffle(len(images), seed=seed).batch(BATCH, drop_remainder=True)
    robust.fit(data, epochs=epochs, verbose=0)
    return robust.network


def accuracies(model: Any, images: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Without squares, with the right ones, and with those of other classes."""
    shown = {
        "without": images,
        "right": squared(images, labels),
        "wrong": squared(images, others(labels, 0)),
    }
    return {
        name: float(np.mean(model.predict(some, batch_size=500, verbose=0).argmax(-1) == labels))
        for name, some in shown.items()
    }


def compared(train: int, test: int, epochs: int, weight: float, seed: int) -> dict[str, Any]:
    """The three networks of a seed.

    Args:
        train, test: how many images.
        epochs: of each training.
        weight: of the penalty.
        seed: of weights and order.

    Returns:
        Accuracies by network, and how many pictures were marked.
    """
    from tfrobust import datasets
    from tfrobust.training import EvidencePenalty

    source = datasets.load("fashion_mnist_mini")
    drawn, classes, *_ = next(iter(source.train(train, seed=0, augmentation="none")))
    images, labels = drawn.numpy(), classes.numpy()
    tested = source.test_arrays(test)
    with_squares = squared(images, labels)
    pictures, outside = marked(images, labels)
    evidence = EvidencePenalty(pictures, outside, weight=weight)
    options = {"epochs": epochs, "seed": seed}
    return {
        "pictures": len(pictures),
        "clean": accuracies(trained(images, labels, **options), *tested),
        "misled": accuracies(trained(with_squares, labels, **options), *tested),
        "corrected": accuracies(
            trained(with_squares, labels, evidence=evidence, **options), *tested
        ),
    }


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=int, default=5000)
    parser.add_argument("--test", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--weight", type=float, default=10.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=HERE / "results" / "annotations.json")
    flags = parser.parse_args()
    machine = turns.machine()
    found, began = [], time.monotonic()
    for seed in range(flags.seeds):
        found.append(compared(flags.train, flags.test, flags.epochs, flags.weight, seed))
        print(f"seed {seed}", {k: v for k, v in found[-1].items() if k != "pictures"}, flush=True)
        shares = [one["corrected"]["without"] / one["clean"]["without"] for one in found]
        content = {
            "command": "python benchmarks/annotations.py " + " ".join(sys.argv[1:]),
            "data": f"fashion_mnist_mini, {flags.train} training and {flags.test} test images",
            "settings": {"epochs": flags.epochs, "weight": flags.weight, "square": SIDE},
            "seeds": found,
            "share_of_clean": shares,
            "mark": MARK,
            "met": min(shares) >= MARK,
            "seconds": round(time.monotonic() - began),
            "machine": machine,
        }
        flags.output.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
