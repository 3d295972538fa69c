"""Keras callbacks that show a training while it runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrobust.attacks import Attack, LabelFlip, LinearizedMargin, Misclassified
from tfrobust.core.ara import accuracy_robustness_area, mean_area
from tfrobust.core.door import as_labels
from tfrobust.errors import InputError
from tfrobust.runs.explained import pictures

NAMES = {"integral": "psi_integral"}


class Scalars(keras.callbacks.Callback):
    """Writes the numbers of a training for TensorBoard.

    steps/… are the values of single steps, epochs/… the means over an epoch. With the penalty
    there is also the size of the input gradient, penalty^(1/z): for z = 2 it is the root mean
    square per pixel.

    Args:
        folder: of the files for TensorBoard.
        exponent: z, the exponent of the penalty.
    """

    def __init__(self, folder: Path, *, exponent: float = 2.0) -> None:
        super().__init__()
        self.exponent = exponent
        self.writer = tf.summary.create_file_writer(str(folder))

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the values of a step, if they were fetched."""
        if logs:
            self._write("steps", logs, int(logs["step"]))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the means of the epoch, and what other callbacks added."""
        self._write("epochs", logs or {}, epoch + 1)
        self.writer.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Closes the file."""
        self.writer.close()

    def _write(self, kind: str, values: dict[str, Any], step: int) -> None:
        with self.writer.as_default(step=step):
            for name, value in values.items():
                if name not in ("step", "epoch"):
                    tf.summary.scalar(f"{kind}/{NAMES.get(name, name)}", value)
            if "penalty" in values:
                size = values["penalty"] ** (1 / self.exponent)
                tf.summary.scalar(f"{kind}/input_gradient", size)


class ExplanationImages(keras.callbacks.Callback):
    """Draws explanations of some images for TensorBoard, every few epochs.

    Args:
        folder: of the files for TensorBoard.
        images: float (N, H, W, C) in [0, 1].
        labels: int (N,), or int (N, K) of several labels.
        class_names: K names.
        every: epochs between two pictures, at least 1.
        rho: size of the explanations: RMSE, for pixels from 0 to 1.
    """

    def __init__(
        self,
        folder: Path,
        *,
        images: np.ndarray,
        labels: np.ndarray,
        class_names: Sequence[str],
        every: int = 1,
        rho: float = 0.1,
    ) -> None:
        super().__init__()
        _check_every(every)
        self.images, self.labels, self.class_names = images, labels, tuple(class_names)
        self.every, self.rho = every, rho
        self.writer = tf.summary.create_file_writer(str(folder), filename_suffix=".explanations")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Draws, if it is the epoch for it."""
        if (epoch + 1) % self.every:
            return
        found = pictures(
            self.model.network, self.images, self.labels, self.class_names, rho=self.rho
        )
        with self.writer.as_default(step=epoch + 1):
            for label, png in found:
                name = f"explanations/{label}".rstrip("/")
                tf.summary.image(name, tf.io.decode_png(png, channels=3)[None])
        self.writer.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Closes the file."""
        self.writer.close()


class CheapAra(keras.callbacks.Callback):
    """Finds the attack ARA of some images by one attack, every few epochs.

    It shows a trend and is no measurement. In metrics.csv and TensorBoard its name tells the
    attack.

    Args:
        images: float (N, H, W, C) in [0, 1].
        labels: int (N,); or int (N, K) of several labels, of whose areas it is the mean.
        num_classes: K.
        every: epochs between two attacks, at least 1.
        attack: the attack; None for the linearized margin of 30 steps.
    """

    def __init__(
        self,
        *,
        images: np.ndarray,
        labels: np.ndarray,
        num_classes: int,
        every: int = 1,
        attack: Attack | None = None,
    ) -> None:
        super().__init__()
        _check_every(every)
        self.images, self.labels, self.num_classes = images, labels, num_classes
        self.every = every
        self.attack = attack or LinearizedMargin(steps=30, batch_size=len(images))
        self.columns = (f"attack ARA of {len(images)} images by {self.attack.name}",)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Attacks, if it is the epoch for it. An area without a bound is left out."""
        if (epoch + 1) % self.every or logs is None:
            return
        if self.labels.ndim == 1:
            found = self.attack(self.model.network, self.images, self.labels, Misclassified())
            ara = accuracy_robustness_area(found.rmse, self.num_classes)
        else:
            several = as_labels(self.model.network)
            flips = [LabelFlip(number) for number in range(self.num_classes)]
            sizes = [self.attack(several, self.images, self.labels, one).rmse for one in flips]
            ara = mean_area(np.stack(sizes), 2)
        if ara.value is not None:
            logs[self.columns[0]] = ara.value


def _check_every(every: int) -> None:
    if every < 1:
        raise InputError(f"expected every to be at least 1 epoch, got {every}")
