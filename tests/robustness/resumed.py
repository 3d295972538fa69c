"""One shard of an evaluation with an attack within an attack: resumed.py FOLDER SHARD.

Prints which partial files are there before and after, and the sizes once all shards are done.
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np

from tfrobust.attacks import FMN, Blend, Transfer
from tfrobust.robustness.evaluation import Evaluation
from tfrobust.robustness.options import Options

folder, shard = Path(sys.argv[1]), int(sys.argv[2])
# Other names for the layers, as another notebook's session would have.
for _ in range(shard):
    keras.layers.Dense(1)


def network(seed: int) -> keras.Model:
    """Three classes of 4×4 images."""
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(8, activation="tanh"),
            keras.layers.Dense(3, kernel_initializer=keras.initializers.RandomNormal(stddev=3)),
        ]
    )


def files() -> list[str]:
    return sorted(path.name for path in folder.glob("*.npz"))


images = np.random.default_rng(0).uniform(0.2, 0.8, (12, 4, 4, 1)).astype(np.float32)
model = network(0)
labels = np.asarray(model(images)).argmax(axis=1)
evaluation = Evaluation(
    model,
    images,
    labels,
    Options(
        attacks=[
            Transfer(surrogate=network(1), attack=FMN(steps=4, batch_size=3)),
            Transfer(surrogate=lambda images: 2 * model(images), attack=FMN(steps=5, batch_size=3)),
            Blend(images, batch_size=3),
        ],
        partial_dir=folder,
        progress=False,
    ),
)
before = files()
evaluation.run((shard, 2))
told = {"before": before, "after": files()}
if shard == 2:
    told["rmse"] = evaluation.report().attack_rmse.tolist()
print(json.dumps(told))
