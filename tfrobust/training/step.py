"""One step of training: the loss with its penalty and its perturbed images, and its gradient."""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from tfrobust.training import guess, losses
from tfrobust.training.batch_checks import are_rows
from tfrobust.training.draws import (
    EVIDENCE_DRAWS,
    PERTURBATION_DRAWS,
    draws,
    iteration,
    unscaled,
)
from tfrobust.training.passes import PenalisedBatch, answers, forgotten

if TYPE_CHECKING:
    from tfrobust.training.classifier import RobustClassifier


def take(
    classifier: "RobustClassifier",
    images: tf.Tensor,
    labels: tf.Tensor,
    weights: tf.Tensor | None = None,
) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    """Takes one step of the optimizer on this device's part of a batch.

    Args:
        classifier: what is trained.
        images: numbers (B, H, W, C) from 0 to 1.
        labels: (B,) or (B, 1), or rows of shares (B, K); (B, K) of labels that may hold together.
        weights: of the images in the classification loss, (B,) or (B, 1).

    Returns:
        The step's values over all devices, float32 scalars, as `RobustClassifier.optimize` gives
        them, and the network's outputs for the images that were trained on, in their form.
    """
    # Sums, the penalty and ψ are of Keras' own float, whatever the layers compute in.
    images = tf.cast(images, keras.config.floatx())
    labels = tf.convert_to_tensor(labels)
    several = classifier.form.several
    classes = labels if several else losses.classes(labels, classifier.num_classes)
    penalty_of, adversarial = classifier.penalty, classifier.adversarial
    if classifier.soft_labels is not None:
        labels = classifier.soft_labels(images, labels, classifier.num_classes)
    if adversarial is not None:
        attacked = perturbed(classifier, images, classes)
        if adversarial.replaces:
            images = attacked
    variables = classifier.trainable_variables
    moved_back = None
    if classifier.weight_perturbation is not None:
        others = None if adversarial is None or adversarial.replaces else attacked
        rise = functools.partial(_uphill, classifier, images, labels, weights, others)
        optimizer = unscaled(classifier.optimizer)
        moved_back = classifier.weight_perturbation.move(variables, optimizer, rise)
    with tf.GradientTape() as tape:
        if penalty_of is None:
            logits = answers(classifier, images)
            penalty = psi = tf.zeros((), images.dtype)
        else:
            penalised = PenalisedBatch(classifier, images, classes)
            logits = penalised.logits
        outputs = classifier.outputs_of(logits)
        # Before another pass: it would put its layers' losses in the place of this one's.
        loss = whole(classifier.compute_loss(images, labels, outputs, weights, training=True))
        mean_classification = over_replicas(without(classifier.losses, loss))
        if penalty_of is not None:
            penalty = penalised.penalty()
            ends = _ends_of_loss(classifier, labels, classes, logits, weights)
            mean_penalty = over_replicas(penalty)
            psi = classifier.psi.update(
                mean_classification, classifier.num_classes, *ends, penalty=mean_penalty
            )
        loss += psi * penalty
        if adversarial is not None and not adversarial.replaces:
            loss += adversarial.loss(logits, answers(classifier, attacked))
        if classifier.evidence is not None:
            unsupported = classifier.evidence(
                functools.partial(forgotten, classifier),
                images,
                draws(classifier, classes, stream=EVIDENCE_DRAWS),
                several=several,
            )
            loss += unsupported
        # The optimizer sums the gradients of all devices.
        shared_loss = loss / tf.distribute.get_strategy().num_replicas_in_sync
        scaled_loss = classifier.optimizer.scale_loss(shared_loss)
    gradients = tape.gradient(scaled_loss, variables)
    if moved_back is not None:
        moved_back()
    if variables:
        classifier.optimizer.apply(gradients, variables)
    values = {
        "loss": over_replicas(loss),
        classifier.loss_name: mean_classification,
        "accuracy": over_replicas(tf.reduce_mean(losses.right(classes, logits, classifier.form))),
    }
    if penalty_of is not None:
        values["penalty"] = mean_penalty
        values["psi"] = psi
        values["integral"] = tf.convert_to_tensor(classifier.psi.integral)
    if classifier.evidence is not None:
        values["evidence"] = over_replicas(unsupported)
    return values, outputs


def _uphill(
    classifier: "RobustClassifier",
    images: tf.Tensor,
    labels: tf.Tensor,
    weights: tf.Tensor | None,
    others: tf.Tensor | None,
    variables: Sequence[Any],
) -> list[tf.Tensor | None]:
    """The gradients of a batch's loss without penalties, by passes that write nothing.

    Args:
        classifier, images, labels, weights: as `take` has them.
        others: the perturbed images where the loss compares the two.
        variables: with respect to which.
    """
    with tf.GradientTape() as tape:
        logits = forgotten(classifier, images)
        outputs = classifier.outputs_of(logits)
        loss = classifier.compute_loss(images, labels, outputs, weights, training=True)
        loss = without(classifier.losses, loss)
        if others is not None:
            adversarial: Any = classifier.adversarial
            loss += adversarial.loss(logits, forgotten(classifier, others))
        # Gradients of half precision would vanish; of a direction, the scale does not matter.
        loss = classifier.optimizer.scale_loss(loss)
    return tape.gradient(loss, variables)


def _ends_of_loss(
    classifier: "RobustClassifier",
    labels: tf.Tensor,
    classes: tf.Tensor,
    logits: tf.Tensor,
    weights: tf.Tensor | None,
) -> tuple[tf.Tensor | None, tf.Tensor | None]:
    """The losses that ψ's target lies between, over all devices.

    Returns:
        The loss of answers that know nothing of the images, a scalar: they know how often each
        class comes; of labels that may hold together, how often each holds in the batch. And the
        least that an answer can have, None for 0. Both None where ψ has a target of its own.
    """
    compiled: Any = classifier._compile_loss
    form = classifier.form
    if classifier.psi.loss_target is not None:
        return None, None

    def loss(answer: tf.Tensor) -> tf.Tensor:
        outputs = classifier.outputs_of(answer)
        if compiled is None:
            each = losses.cross_entropy(outputs, labels, form)
            return over_replicas(losses.weighted_mean(each, weights))
        return over_replicas(whole(compiled(labels, outputs, weights)))

    if form.several:
        uninformed = guess.of_labels(classifier.loss, labels, weights, logits)
    else:
        # Of labels that share their weight a guess knows how much each class has of it.
        told = labels if are_rows(labels, classifier.num_classes) else classes
        rates = classifier.base_rates.update(told, weights)
        uninformed = guess.of_rates(classifier.loss, rates, logits, single=form.single)
    best = guess.best(classifier.loss, labels, logits, form)
    return loss(uninformed), None if best is None else loss(best)


def whole(loss: tf.Tensor) -> tf.Tensor:
    """A loss that Keras has divided by the number of replicas, undivided."""
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    return loss if replicas == 1 else loss * replicas


def without(additional: list[tf.Tensor], loss: tf.Tensor) -> tf.Tensor:
    """What is left of a loss without those that layers add to it."""
    for each in additional:
        loss -= tf.cast(tf.reduce_sum(each), loss.dtype)
    return loss


def over_replicas(value: tf.Tensor) -> tf.Tensor:
    """The mean of a scalar over all devices, without its gradient."""
    context = tf.distribute.get_replica_context()
    value = tf.stop_gradient(value)
    if context is None or context.num_replicas_in_sync == 1:
        return value
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, value)


def perturbed(classifier: "RobustClassifier", images: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """The batch after the classifier's perturber; the network stays as it is."""
    adversarial: Any = classifier.adversarial

    def model(images: tf.Tensor) -> tf.Tensor:
        return forgotten(classifier, images)

    columns = adversarial.draws_per_image(images.shape[1:])
    drawn = draws(classifier, classes, columns, PERTURBATION_DRAWS)
    found = adversarial(model, images, classes, drawn)
    if classifier.growth_steps:
        grown = tf.cast(iteration(classifier), images.dtype) / classifier.growth_steps
        found = images + tf.minimum(grown, 1.0) * (found - images)
    return found
