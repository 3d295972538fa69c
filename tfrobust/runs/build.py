"""From a configuration to a classifier that is ready to be trained."""

import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrobust.datasets import DatasetInfo, DataSource, annotations
from tfrobust.errors import InputError
from tfrobust.models.mirror import mirrored
from tfrobust.runs import distribution, network
from tfrobust.runs.annotations_section import AnnotationsConfig
from tfrobust.runs.config import Config
from tfrobust.runs.margin_section import MarginConfig
from tfrobust.runs.penalty_section import PenaltyConfig
from tfrobust.runs.sections import AdversarialConfig, OptimizerConfig
from tfrobust.runs.soft_labels_section import SoftLabelsConfig
from tfrobust.runs.weights_section import WeightPerturbationConfig
from tfrobust.training import optimizer
from tfrobust.training.adversarial import L2MinWalk, L2Walk
from tfrobust.training.ball import Madry, Trades
from tfrobust.training.classifier import RobustClassifier
from tfrobust.training.evidence import EvidencePenalty
from tfrobust.training.margin import MarginLoss
from tfrobust.training.muon import ConvMuon
from tfrobust.training.penalty import HALF_STEP, STEP, InputGradientPenalty
from tfrobust.training.perturber import Perturber
from tfrobust.training.psi import PsiController
from tfrobust.training.soft_labels import SoftLabels
from tfrobust.training.weight_perturbation import WeightPerturbation

# r rises by 1 a step at most, and reached 208 in the published trainings (arXiv 1906.02896).
FEW_STEPS = 200
FEWEST_EPOCHS = 6  # where the configuration leaves them open


def total_epochs(config: Config, source: DataSource) -> int:
    """How many passes over the training images there are."""
    training = config.training
    if training.epochs is not None:
        return training.epochs
    steps = source.steps_per_epoch(training.batch_size)
    return max(FEWEST_EPOCHS, math.ceil(FEW_STEPS / steps))


def total_steps(config: Config, source: DataSource) -> int:
    """Optimizer steps of a whole training: epochs of whole batches, cut by max_steps."""
    training = config.training
    steps = total_epochs(config, source) * source.steps_per_epoch(training.batch_size)
    return steps if training.max_steps is None else min(steps, training.max_steps)


def build(config: Config, info: DatasetInfo, steps: int) -> RobustClassifier:
    """The configured network, wrapped and compiled; to be called in the strategy's scope.

    Args:
        config: its sections network, training, optimizer, penalty, psi and adversarial.
        info: of the data set.
        steps: of the whole training, for the schedule of the learning rate.

    Returns:
        A compiled classifier. Random weights depend on the configuration's seed alone.

    Raises:
        InputError: the configuration does not fit the data or the devices; the field is named.
    """
    keras.utils.set_random_seed(config.seed)
    made = network.make(config.network, info, precision=config.training.precision)
    if config.network.mirrored_training:
        made = mirrored(made)
    # Whether each of several labels holds is a choice between two.
    choices = 2 if info.multi_label else info.num_classes
    guess = math.log(choices)
    target = config.psi.loss_target
    if target is not None and config.margin.epsilon is None and target >= guess:
        raise InputError(
            f"expected `psi.loss_target` below ln {choices} = {guess:.3f}, the loss of a guess "
            f"among {choices} classes, got {target}"
        )
    if info.multi_label and config.margin.epsilon is not None:
        raise InputError(
            "expected no `margin.epsilon` for images with several labels: it is about classes that "
            "exclude one another"
        )
    penalty = psi = None
    if config.penalty.on:
        penalty = gradient_penalty(config.penalty, config.training.precision)
        psi = PsiController(
            loss_target=config.psi.loss_target,
            initial=config.psi.initial,
            initial_share=config.psi.initial_share,
            gain=config.psi.gain,
        )
    classifier = RobustClassifier(
        made,
        penalty=penalty,
        psi=psi,
        multi_label=info.multi_label,
        evidence=evidence(config.annotations),
        soft_labels=soft_labels(config.soft_labels),
        weight_perturbation=weight_perturbation(config.weight_perturbation),
        adversarial=perturber(config.adversarial, with_penalty=config.penalty.on),
        growth_steps=round((config.adversarial.growth or 0) * steps),
        seed=config.seed,
    )
    stepper = step_taker(config.optimizer, steps)
    stepper.build(made.trainable_variables)
    strategy = tf.distribute.get_strategy()
    replicas, (_, hosts) = strategy.num_replicas_in_sync, distribution.place(strategy)
    if config.training.batch_size % replicas:
        raise InputError(
            f"expected `training.batch_size` to be a multiple of the {replicas} devices"
            + (f" of {hosts} hosts" if hosts > 1 else "")
            + f", got {config.training.batch_size}"
        )
    # XLA is faster on one device; under MirroredStrategy it fails on logical CPU devices.
    classifier.compile(stepper, margin_loss(config.margin), jit_compile=replicas == 1)
    return classifier


def soft_labels(config: SoftLabelsConfig) -> SoftLabels | None:
    """Labels that share their weight; None where they keep it."""
    if not config.smoothing and config.teacher is None:
        return None
    given: dict[str, Any] = {} if config.share is None else {"share": config.share}
    return SoftLabels(smoothing=config.smoothing, teacher=config.teacher, **given)


def weight_perturbation(config: WeightPerturbationConfig) -> WeightPerturbation | None:
    """What moves the weights before a gradient is taken; None for nothing."""
    if config.gamma is None:
        return None
    return WeightPerturbation(gamma=config.gamma, along=config.along)


def evidence(config: AnnotationsConfig) -> EvidencePenalty | None:
    """The penalty on what is seen where people marked no evidence; None without marks.

    Raises:
        InputError: the folder has no marks, they are damaged, or of pictures of several sizes.
    """
    if config.folder is None:
        return None
    found = annotations.read_folder(Path(config.folder))
    if all_evidence := [one.name for one in found if not one.outside.any()]:
        raise InputError(
            f"expected in every marked picture of {config.folder} pixels that are no evidence; "
            f"{all_evidence[0]} has none: mark it anew"
        )
    if len(shapes := {one.image.shape for one in found}) > 1:
        raise InputError(
            f"expected marked pictures of one size in {config.folder}, got {sorted(shapes)}"
        )
    images, outside = np.stack([one.image for one in found]), [one.outside for one in found]
    given = {} if config.weight is None else {"weight": config.weight}
    return EvidencePenalty(images, np.stack(outside), **given)


def margin_loss(config: MarginConfig) -> MarginLoss | None:
    """The loss that asks for margins; None for the plain cross-entropy."""
    given = {"epsilon": config.epsilon, "temperature": config.temperature}
    arguments: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return MarginLoss(**arguments) if arguments else None


def gradient_penalty(config: PenaltyConfig, precision: str) -> InputGradientPenalty:
    """The penalty; where the configuration gives no step, the one for the layers' precision."""
    default = HALF_STEP if precision == "bfloat16" else STEP
    return InputGradientPenalty(
        exponent=config.exponent,
        tandem=config.tandem,
        of=config.of,
        method=config.method,
        step=default if config.step is None else config.step,
        fraction=config.fraction,
    )


def perturber(config: AdversarialConfig, *, with_penalty: bool) -> Perturber | None:
    """What perturbs the training images; where the configuration gives no number, its own.

    Args:
        config: the method and its numbers.
        with_penalty: whether the gradient penalty is on too. Then half of the images are
            perturbed if no share is given ("half-half" in arXiv 1906.02896).

    Returns:
        None for the method "none".
    """
    given = {
        "epsilon": config.epsilon,
        "steps": config.steps,
        "share": config.share,
        "beta": config.beta,
    }
    arguments: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if config.method == "none":
        return None
    if config.method in ("trades", "trades_l2"):
        return Trades(norm="l2" if config.method == "trades_l2" else "linf", **arguments)
    if with_penalty:
        arguments.setdefault("share", 0.5)
    if config.method == "l2":
        return L2Walk(**arguments)
    if config.method == "l2_min":
        return L2MinWalk(**arguments)
    return Madry(norm=config.method.removeprefix("madry_"), **arguments)


def step_taker(config: OptimizerConfig, steps: int) -> keras.optimizers.Optimizer:
    """The optimizer, for a training of so many steps."""
    rate = learning_rate(config, steps)
    average: dict[str, Any] = {
        "use_ema": config.weight_average > 0,
        "ema_momentum": config.weight_average,
    }
    if config.name == "muon":
        decay = config.weight_decay or None
        return ConvMuon(
            rate,
            momentum=config.momentum,
            weight_decay=decay,
            adam_weight_decay=decay,
            **average,
        )
    return optimizer.L2SGD(rate, momentum=config.momentum, l2=config.weight_decay, **average)


def learning_rate(
    config: OptimizerConfig, steps: int
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """The learning rate over a training of so many steps."""
    if config.learning_rate_schedule == "cosine":
        return optimizer.cosine(config.learning_rate, steps, warmup=config.learning_rate_warmup)
    return optimizer.drops(config.learning_rate, steps, shares=config.learning_rate_drops)
