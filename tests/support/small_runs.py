"""What tests of runs share: what random images are like, and a training that is interrupted."""

import keras

from tfrobust.datasets import DatasetInfo

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


class Interrupt(keras.callbacks.Callback):
    """Ctrl-C after some steps of this call."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.steps -= 1
        if self.steps == 0:
            raise KeyboardInterrupt
