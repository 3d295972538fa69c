"""What tests of runs share: what random images are like, small networks, an interruption."""

import functools

import keras
from keras import layers

from tfrobust.datasets import DatasetInfo
from tfrobust.models import HalfHuberReLU, InputNormalization

INFO = DatasetInfo(
    name="random",
    image_shape=(32, 32, 3),
    class_names=("a", "b", "c"),
    train_images=8,
    test_images=8,
    provenance="random numbers",
    mean=(0.4, 0.5, 0.6),
    std=(0.2, 0.25, 0.3),
)

# "python:small_runs:network" is an architecture for the configuration of a run.
ARCHITECTURE = f"python:{__name__}:network"


def network(
    input_shape: tuple[int, ...],
    num_classes: int,
    channels: int = 3,
    synchronized: bool = False,
) -> keras.Model:
    """The layers of our ResNets, but two of each: the smallest ResNet takes seconds to trace."""
    made: list[layers.Layer] = [InputNormalization(*[[0.3] * input_shape[-1]] * 2)]
    for width in (channels, 2 * channels):
        made += [
            layers.Conv2D(width, 3, strides=2, use_bias=False),
            layers.BatchNormalization(synchronized=synchronized),
            HalfHuberReLU(),
        ]
    ends = [layers.GlobalAveragePooling2D(), layers.Dense(num_classes)]
    return keras.Sequential([keras.Input(input_shape), *made, *ends])


wider = functools.partial(network, channels=4)
synchronized = functools.partial(network, synchronized=True)


class Interrupt(keras.callbacks.Callback):
    """Ctrl-C after some steps of this call."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.steps -= 1
        if self.steps == 0:
            raise KeyboardInterrupt
