"""The training loop of the programs, which can be resumed at any step."""

import dataclasses
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from tqdm import tqdm

from tfrobust.core.files import write_atomically
from tfrobust.core.interruption import deferred
from tfrobust.datasets import DataSource
from tfrobust.models.head import freeze_body, thaw
from tfrobust.runs import distribution
from tfrobust.runs.best import BestWeights
from tfrobust.runs.build import total_epochs, total_steps
from tfrobust.runs.callbacks import Scalars
from tfrobust.runs.checkpoints import Checkpoints
from tfrobust.runs.config import Config
from tfrobust.runs.metrics_log import LABEL_RANGE, DivergedError, MetricsLog, read_metrics
from tfrobust.runs.validation import ValidationAccuracy
from tfrobust.training.classifier import RobustClassifier

LOG_EVERY = 10  # steps between two looks at the values; each look waits for the device
SECONDS_FILE = "training_seconds.txt"


@dataclasses.dataclass(frozen=True)
class Training:
    """What a training did.

    Args:
        steps: how many steps were taken, those of earlier calls included.
        seconds: how long it took: earlier calls up to their last checkpoints, and this call.
        resumed_at: the step at which this call began; 0 for a new training.
        metrics: the path of metrics.csv, which has a row for each step.
        best_epoch: the epoch, from 0, whose weights the network has, where the best were chosen
            and one was measured.
    """

    steps: int
    seconds: float
    resumed_at: int
    metrics: Path
    best_epoch: int | None = None


def fit(
    classifier: RobustClassifier,
    source: DataSource,
    config: Config,
    folder: Path,
    *,
    strategy: tf.distribute.Strategy | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    jit: bool | None = None,
) -> Training:
    """Trains a classifier, from the newest checkpoint in the folder if there is one.

    The same loop trains on one device, on the GPUs of one host, and on many hosts. It writes
    metrics.csv, checkpoints/ and tensorboard/ into the folder; of many hosts only the chief does.
    A batch and its random numbers depend on the seed and the step alone. So a training that was
    interrupted ends in the same bytes as one that was not, on the same device and number of
    threads. An epoch has whole batches only, so that one shape is compiled; which images are left
    out differs from epoch to epoch. On Ctrl-C the step at hand is finished and saved.

    Args:
        classifier: from `build`.
        source: of the images.
        config: its sections training and data, the seed, and the name for the progress bar.
        folder: of the run.
        strategy: of distribution; None for the current one.
        callbacks: Keras callbacks for batches and epochs, which run on the chief. A callback with
            an attribute `columns` may add values by those names to the `logs` of an epoch. They
            go to metrics.csv and TensorBoard.
        jit: whether XLA compiles the step; None: on one device only.

    Returns:
        What was done. The classifier's network is trained.

    Raises:
        DivergedError: the loss or a weight is no longer finite. The last good checkpoint is kept.
        LostPeerError: another host went away.
        InputError: a label is no class, or a checkpoint is of another network.
        KeyboardInterrupt: after Ctrl-C or SIGTERM. It says which step was saved.
    """
    strategy = strategy or tf.distribute.get_strategy()
    checkpoints = None
    try:
        with distribution.lost_peers_named(strategy):
            if chief := distribution.is_chief(strategy):
                checkpoints = Checkpoints(folder / "checkpoints", classifier)
            loop = _Loop(classifier, source, config, folder, strategy, checkpoints, jit)
            # Here the chief works alone. Inside the strategy's scope, a new variable would wait
            # for the other hosts.
            return loop.run(callbacks if chief else ())
    except DivergedError as error:
        kept = checkpoints and checkpoints.newest
        raise DivergedError(
            f"training diverged: {error}. "
            + (f"The last good checkpoint is {kept}. " if kept else "No checkpoint was made yet. ")
            + "Try a lower `optimizer.learning_rate`, or a higher `psi.loss_target`"
        ) from None


class _Loop:
    """The steps of one call of `fit`."""

    def __init__(
        self,
        classifier: RobustClassifier,
        source: DataSource,
        config: Config,
        folder: Path,
        strategy: tf.distribute.Strategy,
        checkpoints: Checkpoints | None,
        jit: bool | None,
    ) -> None:
        self.classifier, self.source, self.config = classifier, source, config
        self.folder, self.strategy, self.checkpoints = folder, strategy, checkpoints
        self.jit = distribution.uses_jit(strategy, jit)
        self.accuracy = ValidationAccuracy(classifier, source, config, jit=self.jit)
        self.steps = total_steps(config, source)
        self.per_epoch = source.steps_per_epoch(config.training.batch_size)
        self.began = time.monotonic()
        with strategy.scope():
            with deferred():
                restored = checkpoints.restore() if checkpoints else 0
            state = [*classifier.network.variables, *classifier.psi.variables]
            state += classifier.base_rates.variables
            state += classifier.optimizer.variables
            (self.first,) = distribution.from_chief(strategy, state, [restored])
        before = folder / SECONDS_FILE
        self.seconds_before = float(before.read_text()) if self.first and before.exists() else 0.0

    def run(self, callbacks: Sequence[keras.callbacks.Callback]) -> Training:
        """Takes all steps that are left."""
        config, first, per_epoch = self.config, self.first, self.per_epoch
        callbacks = list(callbacks)
        metrics = self.folder / "metrics.csv"
        log = MetricsLog(
            metrics if self.checkpoints else None,
            first,
            per_epoch=per_epoch,
            steps=self.steps,
            num_classes=2 if self.source.info.multi_label else self.source.info.num_classes,
            strategy=self.strategy,
            more_columns=[name for one in callbacks for name in getattr(one, "columns", ())],
        )
        if self.checkpoints:
            # Last, so that it sees what the others add.
            callbacks.append(Scalars(self.folder / "tensorboard", exponent=config.penalty.exponent))
        watchers = keras.callbacks.CallbackList(
            callbacks,
            model=self.classifier,
            epochs=total_epochs(config, self.source),
            steps=per_epoch,
        )
        network = self.classifier.network
        best = BestWeights(config, self.folder, network, callbacks, read_metrics(metrics))
        frozen_epochs = config.network.frozen_epochs
        frozen = freeze_body(network) if log.first_epoch < frozen_epochs else []
        train = self._compiled()
        batches = distribution.batches(
            self.strategy,
            self.source,
            config.training.batch_size,
            seed=config.seed,
            augmentation=config.data.augmentation,
            balance=config.data.balance,
            start_step=first,
        )
        watchers.on_train_begin()
        with self._bar() as bar:
            try:
                for epoch in range(log.first_epoch, math.ceil(self.steps / per_epoch)):
                    if best.is_over:
                        break
                    if frozen and epoch >= frozen_epochs:
                        thaw(frozen)
                        frozen, train = [], self._compiled()
                    watchers.on_epoch_begin(epoch)
                    end = min((epoch + 1) * per_epoch, self.steps)
                    for step in range(max(first, epoch * per_epoch), end):
                        # A step is done and in the log, or it was never begun.
                        with deferred():
                            watchers.on_train_batch_begin(step % per_epoch)
                            log.add(step + 1, epoch, train(*next(batches)))
                            bar.update()
                            seen = log.look() if step % LOG_EVERY == 0 else {}
                            if seen:
                                bar.set_postfix_str(self._line(seen, bar))
                            watchers.on_train_batch_end(step % per_epoch, seen)
                            is_due = (step + 1) % config.training.checkpoint_every == 0
                            if is_due and step + 1 < end:
                                self._save(log)
                    self._end_epoch(epoch, log, watchers, best)
            except KeyboardInterrupt:
                with deferred():
                    if log.last:
                        self._save(log)
                    raise KeyboardInterrupt(self._kept(log.last)) from None
        thaw(frozen)
        with self.strategy.scope():
            best.restore()
            # If weights are averaged, the averages take their place. Checkpoints hold both.
            self.classifier.optimizer.finalize_variable_values(network.trainable_variables)
        watchers.on_train_end()
        return Training(
            steps=log.last,
            # A finished training that is begun again takes no time.
            seconds=self._seconds() if first < log.last else self.seconds_before,
            resumed_at=first,
            metrics=metrics,
            best_epoch=best.epoch,
        )

    def _compiled(self) -> Any:
        """The step, which knows the variables that are trained when it is first called."""
        return tf.function(
            lambda *batch: self.strategy.run(self._replica_step, batch), jit_compile=self.jit
        )

    def _kept(self, step: int) -> str:
        """What an interrupted training says."""
        if self.checkpoints is None:
            return "The chief saves the training, not this host."
        return f"Step {step} of {self.steps} is saved." if step else "No step was done yet."

    def _seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self.began

    def _replica_step(self, *batch: tf.Tensor) -> dict[str, tf.Tensor]:
        ends = tf.reduce_min(batch[1]), tf.reduce_max(batch[1])
        # The rate of this step, before the optimizer counts it. It stays on the device until the
        # log looks, as all values do: to read one would wait for the step before.
        rate = tf.convert_to_tensor(self.classifier.optimizer.learning_rate)
        values = {"learning_rate": rate, **self.classifier.optimize(*batch)}
        return {**values, LABEL_RANGE: tf.stack(ends)}

    def _end_epoch(
        self,
        epoch: int,
        log: MetricsLog,
        watchers: keras.callbacks.CallbackList,
        best: BestWeights,
    ) -> None:
        with deferred():
            log.look()
        if self.checkpoints is not None:
            logs = {**log.means(), "val_accuracy": self.accuracy()}
            # Not by the list, which gives them a copy, so that what they add would be lost.
            for watcher in watchers.callbacks:
                watcher.on_epoch_end(epoch, logs)
        with deferred():
            if self.checkpoints is not None:
                # Only now, because a row with its accuracy says that the epoch has ended.
                for name in ("val_accuracy", *log.more_columns):
                    if name in logs and log.rows:
                        log.rows[-1][name] = logs[name]
                best.see(epoch, logs)
                self._save(log)
                best.forget_others()
            log.rows.clear()

    def _save(self, log: MetricsLog) -> None:
        """Writes the rows and then a checkpoint. Refuses weights that are no longer finite."""
        log.look()
        for variable in self.classifier.network.variables if self.checkpoints else ():
            value = tf.convert_to_tensor(variable)
            # The states of random generators, as Dropout has one, are whole numbers.
            if value.dtype.is_floating and not bool(tf.reduce_all(tf.math.is_finite(value))):
                raise DivergedError(f"{variable.path} is no longer finite at step {log.last}")
        log.write()
        if self.checkpoints:
            write_atomically(self.folder / SECONDS_FILE, f"{self._seconds():.1f}\n".encode())
            self.checkpoints.save(log.last)

    def _line(self, row: dict[str, Any], bar: "tqdm[Any]") -> str:
        psi = f" psi={row['psi']:.0f}" if "psi" in row else ""
        rate = bar.format_dict["rate"]
        speed = f" {rate * self.config.training.batch_size:.0f} images/s" if rate else ""
        loss = row[self.classifier.loss_name]
        return f"loss={loss:.3f} accuracy={row['accuracy']:.3f}{psi}{speed}"

    def _bar(self) -> "tqdm[Any]":
        return tqdm(
            total=self.steps,
            initial=self.first,
            desc=f"training {self.config.name}",
            unit="step",
            dynamic_ncols=True,
            disable=self.checkpoints is None,
        )
