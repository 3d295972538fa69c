"""The best weights of a training by what is watched, and when to stop early."""

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfrobust.core.files import write_atomically
from tfrobust.datasets import DataSource
from tfrobust.errors import InputError
from tfrobust.runs.callbacks import CheapAra
from tfrobust.runs.config import Config
from tfrobust.runs.validation import ValidationAuc

ACCURACY = "val_accuracy"
WATCHED = {"accuracy": ACCURACY, "auc": ValidationAuc.columns[0]}


def check(config: Config, source: DataSource, *, hosts: int) -> None:
    """Refuses to choose weights by the images that the network is then measured on.

    Raises:
        InputError: says what to do.
    """
    if config.watch.keep_best == "none":
        return
    if source.validation is None and not config.data.held_out:
        raise InputError(
            f"expected images for validation where `watch.keep_best` is {config.watch.keep_best}: "
            f"{source.info.name} has none besides its test images, and weights that were chosen by "
            "those would look better than they are. Give a folder a split called validation, or "
            "choose by training images with `data.held_out`"
        )
    if hosts > 1:
        raise InputError(
            f"expected one host where there is `watch.keep_best`, got {hosts}: only the chief "
            "watches a training"
        )


def told(watched: str, epoch: int | None) -> str | None:
    """Which weights ship, in words for the report; None if none were to be chosen.

    Args:
        watched: `watch.keep_best`.
        epoch: the best one, from 0; None if what is watched never had a value.
    """
    if watched == "none":
        return None
    if epoch is None:
        return (
            f"The weights are the last ones: the {watched} of the images that were watched, by "
            "which the best were to be kept, had no value at any epoch. An area has none where "
            "some of these images cannot be attacked; accuracy always has one"
        )
    return (
        f"The weights are those after epoch {epoch + 1}, the best by their {watched} on the images "
        "that were watched"
    )


class BestWeights:
    """Keeps the weights of the best epoch so far, as best-<epoch>.npz, if the best are wanted.

    Which epoch that is follows from metrics.csv alone, so a training that was killed and goes on
    keeps the same weights.

    Args:
        config: its section `watch` says by what, and how long to wait for something better.
        folder: of the run.
        network: whose weights are kept.
        callbacks: of the training, one of which may measure the ARA.
        rows: of metrics.csv, up to where the training goes on.
    """

    def __init__(
        self,
        config: Config,
        folder: Path,
        network: keras.Model,
        callbacks: Sequence[keras.callbacks.Callback],
        rows: Sequence[dict[str, Any]],
    ) -> None:
        self.folder, self.network = folder, network
        self.patience = config.watch.patience
        self.column: str | None = None
        if config.watch.keep_best in WATCHED:
            self.column = WATCHED[config.watch.keep_best]
        elif config.watch.keep_best == "ara":
            self.column = next(one.columns[0] for one in callbacks if isinstance(one, CheapAra))
        self.epoch: int | None = None
        self.value = -math.inf
        self.last = -1
        for row in rows:
            if ACCURACY in row:  # the last row of an epoch
                self._see(row["epoch"], row)

    @property
    def is_over(self) -> bool:
        """Whether nothing better was found for as many epochs as one waits."""
        if self.patience is None or self.epoch is None:
            return False
        return self.last - self.epoch >= self.patience

    def see(self, epoch: int, values: dict[str, Any]) -> None:
        """Looks at the end of an epoch, and keeps the weights if they are the best so far."""
        if self._see(epoch, values):
            buffer = io.BytesIO()
            np.savez(buffer, *(np.asarray(one) for one in self.network.variables))
            write_atomically(self._path(epoch), buffer.getvalue())

    def forget_others(self) -> None:
        """Removes weights that are no longer the best; to be called once a checkpoint is written.

        Until then a kill leads back to an epoch in which they were.
        """
        for path in self.folder.glob("best-*.npz"):
            if self.epoch is None or path != self._path(self.epoch):
                path.unlink(missing_ok=True)

    def restore(self) -> None:
        """Gives the network its best weights; those that it has, if nothing was ever measured."""
        if self.epoch is None:
            return
        with np.load(self._path(self.epoch), allow_pickle=False) as kept:
            for variable, name in zip(self.network.variables, kept.files, strict=True):
                variable.assign(kept[name])

    def _see(self, epoch: int, values: dict[str, Any]) -> bool:
        self.last = epoch
        # Equal values keep the earlier weights. A share of no images is no number.
        if self.column is None or not values.get(self.column, -math.inf) > self.value:
            return False
        self.epoch, self.value = epoch, values[self.column]
        return True

    def _path(self, epoch: int) -> Path:
        return self.folder / f"best-{epoch + 1}.npz"
