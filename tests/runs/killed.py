"""A process of test_kill: trains a small network in a folder, or goes on with it.

    python killed.py FOLDER

Ends by writing FOLDER/end.npz: the weights, ψ's integral, and the optimizer's slots.
"""

import dataclasses
import sys
from pathlib import Path

import numpy as np

from tfrobust import datasets
from tfrobust.runs.build import build, total_steps
from tfrobust.runs.loop import fit
from tfrobust.runs.recipes import fashion_mnist_mini

CONFIG = fashion_mnist_mini().replace(
    {
        "network.width": 2,
        "training.batch_size": 20,
        "training.max_steps": 80,
        "training.checkpoint_every": 3,
        "psi.initial": 1.0,
        "psi.loss_target": 2.3,
        "data.augmentation": "crop_flip",
    }
)


def main(folder: Path) -> None:
    source = datasets.load(CONFIG.data.name)
    # Few images, so that kills meet ends of epochs too.
    source.info = dataclasses.replace(source.info, train_images=200, test_images=100)
    classifier = build(CONFIG, source.info, total_steps(CONFIG, source))
    # Uncompiled it starts sooner; the kills of the slow test are of the compiled program.
    fit(classifier, source, CONFIG, folder, jit=False)
    state = [*classifier.network.variables, classifier.psi.integral]
    state += classifier.optimizer.variables
    np.savez(folder / "end.npz", *[variable.numpy() for variable in state])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
