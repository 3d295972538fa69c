"""The training loop of the programs: recipe → run folder, resumable at any step."""

import csv
import dataclasses
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from tqdm import tqdm

from tfrobust.datasets import DatasetInfo, DataSource
from tfrobust.errors import InputError, ReportedError
from tfrobust.models import resnet_cifar, resnet_imagenet
from tfrobust.recipes import Recipe
from tfrobust.training.classifier import RobustClassifier
from tfrobust.training.optimizer import L2SGD, step_schedule
from tfrobust.training.penalty import InputGradientPenalty
from tfrobust.training.psi import PsiController

COLUMNS = (
    "step",
    "epoch",
    "loss",
    "cross_entropy",
    "accuracy",
    "penalty",
    "psi",
    "integral",
    "learning_rate",
    "val_accuracy",
)
LOG_EVERY = 10  # steps between looks at the values: each look waits for the device
VALIDATION_IMAGES = 2000
CHECKPOINTS_KEPT = 2


class DivergedError(ReportedError, RuntimeError):
    """The training went where no numbers are."""


@dataclasses.dataclass(frozen=True)
class Training:
    """What a training did.

    Args:
        steps: of the whole training, those before a resume included.
        seconds: of this call.
        resumed_at: the step at which this call began; 0 for a new run.
        metrics: the path of metrics.csv, one row a step.
    """

    steps: int
    seconds: float
    resumed_at: int
    metrics: Path


def total_steps(recipe: Recipe, source: DataSource) -> int:
    """Optimizer steps of a whole training: epochs of whole batches, cut by max_steps."""
    steps = recipe.epochs * source.steps_per_epoch(recipe.batch_size)
    return steps if recipe.max_steps is None else min(steps, recipe.max_steps)


def build(recipe: Recipe, info: DatasetInfo, steps: int) -> RobustClassifier:
    """The recipe's network, wrapped and compiled; to be called in the strategy's scope.

    Args:
        recipe: the configuration.
        info: of the data set.
        steps: of the whole training, for the schedule of the learning rate.

    Returns:
        A compiled classifier whose weights depend on the recipe's seed alone.
    """
    keras.utils.set_random_seed(recipe.seed)
    make = resnet_cifar if recipe.architecture == "resnet_cifar" else resnet_imagenet
    try:
        network = make(
            depth=recipe.depth,
            num_classes=info.num_classes,
            input_shape=info.image_shape,
            activation=recipe.activation,
            mean=info.mean,
            std=info.std,
            synchronized=recipe.synchronized,
            **({} if recipe.width is None else {"width": recipe.width}),
        )
    except ValueError as error:
        raise InputError(f"the recipe's network cannot be made: {error}") from None
    if recipe.loss_target is not None and recipe.loss_target >= math.log(info.num_classes):
        raise InputError(
            f"expected --loss_target below ln K = {math.log(info.num_classes):.3f}, the loss of "
            f"a guess among {info.num_classes} classes, got {recipe.loss_target}"
        )
    penalty = psi = None
    if recipe.penalty:
        penalty = InputGradientPenalty(exponent=recipe.penalty_exponent, tandem=recipe.tandem)
        psi = PsiController(
            loss_target=recipe.loss_target, initial=recipe.psi_initial, gain=recipe.psi_gain
        )
    classifier = RobustClassifier(network, penalty=penalty, psi=psi, seed=recipe.seed)
    optimizer = L2SGD(
        step_schedule(recipe.learning_rate, recipe.learning_rate_drops, steps),
        momentum=recipe.momentum,
        l2=recipe.weight_decay,
    )
    optimizer.build(network.trainable_variables)
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if recipe.batch_size % replicas:
        raise InputError(
            f"expected --batch_size to be a multiple of the {replicas} devices, "
            f"got {recipe.batch_size}"
        )
    # XLA is faster on one device; under MirroredStrategy it fails on logical CPU devices.
    classifier.compile(optimizer=optimizer, jit_compile=replicas == 1)
    return classifier


def fit(
    classifier: RobustClassifier,
    source: DataSource,
    recipe: Recipe,
    folder: Path,
    *,
    strategy: tf.distribute.Strategy | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Training:
    """Trains, from the newest checkpoint in the folder if there is one.

    Writes `folder`/metrics.csv, checkpoints/ and tensorboard/. A batch and its random numbers
    depend on the seed and the step alone, so a resumed training goes on as if it had never
    stopped. Ctrl-C saves a checkpoint on its way out.

    Args:
        classifier: from `build`.
        source: where images come from.
        recipe: the configuration.
        folder: the run's folder.
        strategy: of distribution; None for the current one.
        callbacks: Keras callbacks, driven by batch and epoch.

    Returns:
        What was done; the classifier's network is trained.

    Raises:
        DivergedError: the loss or a weight is no longer finite; the last good checkpoint is kept.
    """
    strategy = strategy or tf.distribute.get_strategy()
    steps, per_epoch = total_steps(recipe, source), source.steps_per_epoch(recipe.batch_size)
    checkpoint = tf.train.Checkpoint(classifier=classifier, optimizer=classifier.optimizer)
    manager = tf.train.CheckpointManager(
        checkpoint, str(folder / "checkpoints"), CHECKPOINTS_KEPT, checkpoint_name="step"
    )
    first = _restore(checkpoint, manager, classifier)
    log = _Log(folder / "metrics.csv", first, first // per_epoch, strategy, manager)
    watchers = keras.callbacks.CallbackList(
        [keras.callbacks.TensorBoard(str(folder / "tensorboard"), write_graph=False), *callbacks],
        model=classifier,
        epochs=recipe.epochs,
        steps=per_epoch,
    )
    train = tf.function(
        lambda images, labels: strategy.run(classifier.optimize, (images, labels)),
        jit_compile=strategy.num_replicas_in_sync == 1,
    )
    batches = iter(
        strategy.experimental_distribute_dataset(
            source.train(
                recipe.batch_size,
                seed=recipe.seed,
                augmentation=recipe.augmentation,
                start_step=first,
            )
        )
    )
    # Whole batches only, so that nothing is compiled for a last short one.
    validation = source.test(
        min(recipe.batch_size, source.info.test_images),
        limit=VALIDATION_IMAGES,
        drop_remainder=True,
    )
    began = time.monotonic()
    watchers.on_train_begin()
    with _bar(first, steps, recipe) as bar:
        try:
            for epoch in range(first // per_epoch, math.ceil(steps / per_epoch)):
                watchers.on_epoch_begin(epoch)
                end = min((epoch + 1) * per_epoch, steps)
                for step in range(max(first, epoch * per_epoch), end):
                    watchers.on_train_batch_begin(step % per_epoch)
                    rate = float(classifier.optimizer.learning_rate)
                    log.add(step + 1, epoch, rate, train(*next(batches)))
                    watchers.on_train_batch_end(step % per_epoch)
                    bar.update()
                    if step % LOG_EVERY == 0:
                        bar.set_postfix_str(log.look())
                    if (step + 1) % recipe.checkpoint_every == 0 and step + 1 < end:
                        log.save(classifier, step + 1)
                bar.set_postfix_str(log.look())
                scores = classifier.evaluate(validation, verbose=0, return_dict=True)
                log.rows[-1]["val_accuracy"] = scores["accuracy"]
                watchers.on_epoch_end(epoch, log.means())
                log.save(classifier, end)
                log.rows.clear()
        except KeyboardInterrupt:
            # A step is done or not done: its number is the optimizer's own.
            log.save(classifier, int(classifier.optimizer.iterations))
            raise
    watchers.on_train_end()
    return Training(
        steps=steps, seconds=time.monotonic() - began, resumed_at=first, metrics=log.path
    )


class _Log:
    """metrics.csv, a row a step, and the checkpoints that go with it.

    Holds the rows of the current epoch only. Values stay on the device until looked at.
    """

    def __init__(
        self,
        path: Path,
        first: int,
        epoch: int,
        strategy: tf.distribute.Strategy,
        manager: tf.train.CheckpointManager,
    ) -> None:
        self.path, self.strategy, self.manager = path, strategy, manager
        self.pending: list[tuple[int, int, float, dict[str, Any]]] = []
        kept = [row for row in read_metrics(path) if row["step"] <= first] if first else []
        self.rows = [row for row in kept if row["epoch"] == epoch]
        self.written = first
        temporary = path.with_suffix(".tmp")
        with temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(kept)
        temporary.replace(path)

    def add(self, step: int, epoch: int, rate: float, values: dict[str, Any]) -> None:
        self.pending.append((step, epoch, rate, values))

    def look(self) -> str:
        """Fetches what is pending, stops on a loss that is no number; → a line for the bar."""
        for step, epoch, rate, values in self.pending:
            row: dict[str, Any] = {"step": step, "epoch": epoch, "learning_rate": rate}
            for name, value in values.items():
                row[name] = float(self.strategy.experimental_local_results(value)[0])
            if not math.isfinite(row["loss"]):
                self._diverged(f"the loss became {row['loss']} at step {step}")
            self.rows.append(row)
        self.pending = []
        if not self.rows:
            return ""
        last = self.rows[-1]
        psi = f" psi={last['psi']:.0f}" if "psi" in last else ""
        return f"loss={last['cross_entropy']:.3f} accuracy={last['accuracy']:.3f}{psi}"

    def means(self) -> dict[str, float]:
        """Each column's mean over the epoch so far."""
        columns = {name for row in self.rows for name in row} - {"step", "epoch"}
        found = {name: [row[name] for row in self.rows if name in row] for name in columns}
        return {name: sum(values) / len(values) for name, values in found.items()}

    def save(self, classifier: RobustClassifier, step: int) -> None:
        """Writes the rows, then a checkpoint, unless a weight is no longer finite."""
        self.look()
        for variable in classifier.network.variables:
            if not bool(tf.reduce_all(tf.math.is_finite(tf.convert_to_tensor(variable)))):
                self._diverged(f"{variable.path} is no longer finite at step {step}")
        with self.path.open("a", newline="") as file:
            rows = [row for row in self.rows if row["step"] > self.written]
            csv.DictWriter(file, COLUMNS, lineterminator="\n").writerows(rows)
        self.written = step
        self.manager.save(checkpoint_number=step)

    def _diverged(self, what: str) -> None:
        kept = self.manager.latest_checkpoint
        raise DivergedError(
            f"training diverged: {what}. "
            + (f"The last good checkpoint is {kept}. " if kept else "No checkpoint was made yet. ")
            + "Try a lower --learning_rate, or a higher --loss_target"
        )


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The rows of a metrics.csv; empty cells are left out, step and epoch are ints."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        rows = [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]
    return [{**row, "step": int(row["step"]), "epoch": int(row["epoch"])} for row in rows]


def _bar(first: int, steps: int, recipe: Recipe) -> "tqdm[Any]":
    return tqdm(
        total=steps, initial=first, desc=f"training {recipe.name}", unit="step", dynamic_ncols=True
    )


def _restore(
    checkpoint: tf.train.Checkpoint,
    manager: tf.train.CheckpointManager,
    classifier: RobustClassifier,
) -> int:
    """Loads the newest readable checkpoint; → its step, 0 where there is none."""
    for path in reversed(manager.checkpoints):
        try:
            checkpoint.read(path).assert_existing_objects_matched().expect_partial()
            return int(classifier.optimizer.iterations)
        except (tf.errors.OpError, AssertionError, ValueError) as error:
            tqdm.write(f"warning: checkpoint {path} cannot be read ({error}); trying an older one")
    return 0
