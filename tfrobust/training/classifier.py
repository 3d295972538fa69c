"""RobustClassifier: any Keras classifier, trained with the gradient penalty, or adversarially."""

from typing import Any

import keras
import tensorflow as tf

from tfrobust.core.door import as_classifier, as_labels
from tfrobust.core.input_range import UNIT, Range, to_unit
from tfrobust.core.outputs import Form, from_logits
from tfrobust.errors import InputError
from tfrobust.training import batch_checks, guess, losses, step
from tfrobust.training.base_rates import BaseRates
from tfrobust.training.checked_model import PARTS, CheckedModel, check_network, check_parts
from tfrobust.training.draws import unscaled
from tfrobust.training.evidence import EvidencePenalty
from tfrobust.training.logged import StepMeans, values_of_steps
from tfrobust.training.penalty import InputGradientPenalty
from tfrobust.training.perturber import Perturber
from tfrobust.training.psi import PsiController
from tfrobust.training.soft_labels import SoftLabels
from tfrobust.training.weight_perturbation import WeightPerturbation


@keras.saving.register_keras_serializable(package="tfrobust")
class RobustClassifier(CheckedModel):
    """Trains a network on its classification loss + ψ·penalty, or on perturbed images.

    It is used as any Keras model. What `compile`, `fit`, `evaluate` and `predict` are given, it
    honours as the network alone would, or refuses by name before the first step. The wrapper only
    trains; what ships is `classifier.network`.

    Args:
        network: any built Keras classifier that `as_classifier` takes: images (B, H, W, C) in,
            logits or probabilities (B, K) out. `predict` gives what it gives. `classifier.network`
            has the same weights, takes pixels from 0 to 1, and gives logits.
        input_range: the lowest and the highest pixel that the network takes, and that it is
            trained on here; None for (0, 1). Sizes of perturbations and gradients are in units of
            pixels from 0 to 1 all the same.
        penalty: the penalty; None to train without it.
        psi: the controller of its weight; None for the published constants. It holds the
            classification loss of the images that are trained on, perturbed or not.
        adversarial: what perturbs each batch; None to train on clean images. The loss, the
            penalty and the accuracy are those of the perturbed batch. With `Trades` they are
            those of the clean batch, and the loss has one more term.
        multi_label: whether the network's outputs are labels that may hold together: K sigmoids,
            or the logits of such. Labels are then (B, K) of 0 and 1, the classification loss is the
            mean binary cross-entropy, and the penalty follows the logit of one label an image.
        evidence: the penalty on what is seen outside of marked evidence; None for none.
        soft_labels: labels that share their weight, smoothed or with a teacher; None for none.
        weight_perturbation: at which worse weights a step's gradient is taken; None for none.
        growth_steps: in how many steps the perturbations grow from nothing to the whole of what
            `adversarial` finds. At first the network learns faster from small ones.
        seed: of the random numbers. Those of a batch depend on the seed and the iteration only.
        name, dtype, trainable: as any Keras model takes them; dtype None for the network's own.

    Raises:
        InputError: the network is no classifier, or brings a training of its own.

    Source: Woods et al., arXiv 1906.02896, Methods.
    """

    def __init__(
        self,
        network: keras.Model,
        *,
        input_range: Range | None = None,
        penalty: InputGradientPenalty | None = None,
        psi: PsiController | None = None,
        adversarial: Perturber | None = None,
        multi_label: bool = False,
        evidence: EvidencePenalty | None = None,
        soft_labels: SoftLabels | None = None,
        weight_perturbation: WeightPerturbation | None = None,
        growth_steps: int = 0,
        seed: int = 0,
        name: str | None = None,
        dtype: Any = None,
        trainable: bool = True,
    ) -> None:
        check_network(network)
        inside = (as_labels if multi_label else as_classifier)(network, input_range=input_range)
        # The policy decides whether `compile` scales the loss, and each layer casts for itself.
        dtype = network.dtype_policy if dtype is None else dtype
        super().__init__(name=name, dtype=dtype, autocast=False, trainable=trainable)
        self.network: keras.Model = inside.network
        self.input_range = inside.input_range or UNIT
        self.form = inside.form
        self.penalty = penalty
        # Without a penalty both are there and do nothing, so that all checkpoints are alike.
        self.psi = psi or PsiController()
        self.base_rates = BaseRates(self.num_classes)
        self.adversarial, self.evidence = adversarial, evidence
        self.soft_labels, self.weight_perturbation = soft_labels, weight_perturbation
        check_parts(self, inside.image_shape)
        self.growth_steps, self.seed = growth_steps, seed
        self.step_means = StepMeans()
        self._own_metrics = True
        self.built = True

    @property
    def num_classes(self) -> int:
        """K."""
        return self.network.output_shape[-1]

    @property
    def loss_name(self) -> str:
        """What logs call the classification loss."""
        return "cross_entropy" if self.loss is None else "classification_loss"

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """Keras' own of this model, and the means of what its steps came to."""
        return [*super().metrics, self.step_means.metric]

    def call(self, images: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """What the network that was passed gives for images in its range: (B, K)."""
        return self.outputs_of(self.network(to_unit(images, self.input_range), training=training))

    def outputs_of(self, logits: tf.Tensor) -> tf.Tensor:
        """Logits in the form of the network that was passed, such as probabilities."""
        return from_logits(logits, self.form)

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Configures the training, as `keras.Model.compile` does.

        Args:
            loss: the classification loss, of labels and what the network gives; None for the
                cross-entropy, of class numbers or one-hot labels.
            metrics: as Keras takes it; None for the accuracy, [] for none.
            optimizer, loss_weights, weighted_metrics, run_eagerly, steps_per_execution,
                jit_compile, auto_scale_loss: as Keras takes them.

        Raises:
            InputError: the loss takes probabilities and the network gives logits, there are
                several losses, label smoothing keeps the loss above ψ's target, or the optimizer
                or the devices do not fit the weight perturbation.
        """
        loss = losses.single(loss)
        if loss is None and loss_weights is not None:
            raise InputError("expected a loss beside loss_weights, got None")
        if loss is not None:
            losses.check_form(loss, self.form)
            if self.penalty is not None and not self.form.several:
                target = self.psi.loss_target
                guess.check_target(loss, self.form.activation, self.num_classes, target)
        self._own_metrics = metrics is None and weighted_metrics is None
        self.loss = self._compile_loss = self._compile_metrics = None  # of a compilation before
        super().compile(
            optimizer=optimizer,
            loss=loss,
            loss_weights=loss_weights,
            metrics=losses.accuracy(self.form) if self._own_metrics else metrics,
            weighted_metrics=weighted_metrics,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
            auto_scale_loss=auto_scale_loss,
        )
        if self.weight_perturbation is not None:
            self.weight_perturbation.check(unscaled(self.optimizer))
        self.step_means.show(*values_of_steps(self))

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> tf.Tensor:
        """The loss without the penalty: the classification loss and what layers add to it.

        Args:
            x: images (B, H, W, C), which the loss does not ask for.
            y: labels (B,), (B, 1) or (B, K).
            y_pred: what the network gave, float (B, K).
            sample_weight: of the images, (B,) or (B, 1).
            training: as Keras calls it.

        Returns:
            A scalar, divided by the number of replicas as all of Keras' losses are.
        """
        if self._compile_loss is not None:
            losses.check_labels(self.loss, y, self.num_classes, self.form)
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        each = losses.cross_entropy(y_pred, y, self.form)
        loss = losses.weighted_mean(each, sample_weight)
        for additional in self.losses:
            loss += tf.cast(tf.reduce_sum(additional), loss.dtype)
        return loss / tf.distribute.get_strategy().num_replicas_in_sync

    def optimize(
        self, images: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Takes one step on this device's part of a batch, which is not checked.

        Args:
            images: numbers (B, H, W, C) in the network's range.
            labels: int (B,), or one-hot (B, K).
            weights: of the images in the classification loss, (B,).

        Returns:
            The step's own values over all replicas, float32 scalars: loss, cross_entropy
            (classification_loss where `compile` was given a loss) and accuracy; with a penalty
            also penalty, psi and integral (r).
        """
        values, _ = step.take(self, to_unit(images, self.input_range), labels, weights)
        return values

    def check_batch(
        self, images: tf.Tensor, labels: tf.Tensor | None
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """The batch, once it is sure that the network can be trained on it."""
        images = batch_checks.checked_images(images, self.input_range)
        return images, None if labels is None else self.check_labels(labels)

    def check_labels(self, labels: tf.Tensor) -> tf.Tensor:
        """The labels, once it is sure that each names one of the network's classes."""
        if self.form.several:
            return batch_checks.checked_label_rows(labels, self.num_classes)
        return batch_checks.checked_labels(labels, self.num_classes)

    def check_class_weight(self, class_weight: dict[int, float] | None) -> None:
        """Refuses weights of labels that may hold together."""
        if class_weight is not None and self.form.several:
            raise InputError(
                "expected no class_weight with labels that may hold together: Keras takes the first"
                " label of an image alone. Weigh images by sample_weight, or labels in your loss"
            )

    def train(
        self, images: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor | None
    ) -> dict[str, tf.Tensor]:
        """Takes a step on a batch that was checked; → the means of the epoch so far."""
        values, outputs = step.take(self, to_unit(images, self.input_range), labels, weights)
        self._loss_tracker.update_state(values["loss"], sample_weight=tf.shape(images)[0])
        self.step_means.update(values, images)
        return self.compute_metrics(images, labels, outputs, sample_weight=weights)

    def test(
        self, images: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor | None
    ) -> dict[str, tf.Tensor]:
        """Measures a batch that was checked; → the means of the evaluation so far."""
        outputs = self(images, training=False)
        loss = step.whole(self.compute_loss(images, labels, outputs, weights, training=False))
        self._loss_tracker.update_state(loss, sample_weight=tf.shape(images)[0])
        self.step_means.update({"cross_entropy": step.without(self.losses, loss)}, images)
        means = self.compute_metrics(images, labels, outputs, sample_weight=weights)
        kept = ("cross_entropy",) if self.loss is None and self._own_metrics else ()
        return {k: v for k, v in means.items() if k in kept or k not in self.step_means.names}

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same classifier."""
        save = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            **{name: save(getattr(self, name)) for name in PARTS},
            "input_range": list(self.input_range),
            "form": list(self.form),
            "multi_label": self.form.several,
            "growth_steps": self.growth_steps,
            "seed": self.seed,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> "RobustClassifier":
        """The inverse of `get_config`."""
        load = keras.saving.deserialize_keras_object
        parts = {name: load(config.pop(name, None), custom_objects) for name in PARTS}
        # Older files have other words. The network that was saved takes pixels from 0 to 1 already.
        form = config.pop("form", (config.pop("output_activation", "linear"),))
        input_range = tuple(config.pop("input_range", UNIT))
        classifier = cls(**parts, **config)
        classifier.input_range, classifier.form = input_range, Form(*form)
        return classifier

    def get_compile_config(self) -> dict[str, Any]:
        """What `compile` was given."""
        config = super().get_compile_config()
        return {**config, "metrics": None} if config and self._own_metrics else config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """The inverse of `get_compile_config`; the optimizer is built, so that its state loads."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)
