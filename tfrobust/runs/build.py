"""From a recipe to a network that is ready to be trained."""

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from tfrobust.datasets import DatasetInfo, DataSource
from tfrobust.errors import InputError
from tfrobust.models import resnet_cifar, resnet_imagenet
from tfrobust.runs import distribution
from tfrobust.runs.recipes import Recipe
from tfrobust.training import adversarial
from tfrobust.training.classifier import RobustClassifier
from tfrobust.training.optimizer import L2SGD, schedule
from tfrobust.training.penalty import InputGradientPenalty
from tfrobust.training.psi import PsiController


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
    given: dict[str, Any] = {} if recipe.width is None else {"width": recipe.width}
    make: Callable[..., keras.Model] = resnet_imagenet
    if recipe.architecture == "resnet_cifar":
        make, given["stem_stride"] = resnet_cifar, recipe.stem_stride
    try:
        with _layers_in(recipe.precision):
            network = make(
                depth=recipe.depth,
                num_classes=info.num_classes,
                input_shape=info.image_shape,
                activation=recipe.activation,
                mean=info.mean,
                std=info.std,
                synchronized=recipe.synchronized,
                **given,
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
    classifier = RobustClassifier(
        network,
        penalty=penalty,
        psi=psi,
        adversarial=adversarial.of_recipe(recipe),
        growth_steps=round((recipe.adversarial_growth or 0) * steps),
        seed=recipe.seed,
    )
    optimizer = L2SGD(
        schedule(recipe, steps),
        momentum=recipe.momentum,
        l2=recipe.weight_decay,
        use_ema=recipe.weight_average > 0,
        ema_momentum=recipe.weight_average,
    )
    optimizer.build(network.trainable_variables)
    strategy = tf.distribute.get_strategy()
    replicas, (_, hosts) = strategy.num_replicas_in_sync, distribution.place(strategy)
    if recipe.batch_size % replicas:
        raise InputError(
            f"expected --batch_size to be a multiple of the {replicas} devices"
            + (f" of {hosts} hosts" if hosts > 1 else "")
            + f", got {recipe.batch_size}"
        )
    # XLA is faster on one device; under MirroredStrategy it fails on logical CPU devices.
    classifier.compile(optimizer=optimizer, jit_compile=replicas == 1)
    return classifier


@contextlib.contextmanager
def _layers_in(precision: str) -> Iterator[None]:
    """Layers made here compute in a precision; their weights are of Keras' own float."""
    before = keras.config.dtype_policy()
    if precision == "bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
