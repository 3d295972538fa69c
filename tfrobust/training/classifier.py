"""RobustClassifier: trains a Keras classifier with the gradient penalty, or adversarially."""

from typing import Any

import keras
import tensorflow as tf

from tfrobust.core.criteria import cross_entropy
from tfrobust.core.logits import logits_network
from tfrobust.training.penalty import InputGradientPenalty
from tfrobust.training.perturber import Perturber
from tfrobust.training.psi import PsiController

# Random numbers have a stream for each purpose, so that one purpose does not change the other's.
PENALTY_DRAWS, PERTURBATION_DRAWS = range(2)


@keras.saving.register_keras_serializable(package="tfrobust")
class RobustClassifier(keras.Model):
    """Trains a network on the robust loss, cross-entropy + ψ·penalty, or on perturbed images.

    The wrapper only trains; what ships is `classifier.network`. `compile` takes an optimizer and
    no loss. `fit` and `evaluate` work as with any Keras model, on batches of images and integer
    labels.

    Args:
        network: any built Keras classifier: images (B, H, W, C) in, logits or probabilities (B, K)
            out. `classifier.network` is its `tfrobust.models.logits_network` and has the same
            weights.
        penalty: the penalty; None to train without it.
        psi: the controller of its weight; None for the published constants. It holds the
            cross-entropy of the images that are trained on, perturbed or not.
        adversarial: what perturbs each batch; None to train on clean images. The loss, the
            penalty and the accuracy are those of the perturbed batch. With `Trades` they are
            those of the clean batch, and the loss has one more term.
        growth_steps: in how many steps the perturbations grow from nothing to the whole of what
            `adversarial` finds. At first the network learns faster from small ones.
        seed: of the random numbers. Those of a batch depend on the seed and the iteration only.

    Source: Woods et al., arXiv 1906.02896, Methods.
    """

    def __init__(
        self,
        network: keras.Model,
        *,
        penalty: InputGradientPenalty | None = None,
        psi: PsiController | None = None,
        adversarial: Perturber | None = None,
        growth_steps: int = 0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.network = logits_network(network)
        self.penalty = penalty
        # Without a penalty it is there and does nothing, so that all checkpoints are alike.
        self.psi = psi or PsiController()
        self.adversarial = adversarial
        self.growth_steps = growth_steps
        self.seed = seed
        names = ["loss", "cross_entropy", "accuracy"]
        if penalty is not None:
            names += ["penalty", "psi", "integral"]
        self.trackers = {name: keras.metrics.Mean(name=name) for name in names}
        self.built = True

    def call(self, images: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """The network's logits."""
        return self.network(images, training=training)

    def optimize(self, images: tf.Tensor, labels: tf.Tensor) -> dict[str, tf.Tensor]:
        """Takes one step of the optimizer on this device's part of a batch.

        Args:
            images: float (B, H, W, C) in [0, 1].
            labels: int (B,).

        Returns:
            The values of this step over all devices, float32 scalars: loss, cross_entropy and
            accuracy; with a penalty also penalty, psi and integral (r).
        """
        labels = tf.cast(tf.reshape(labels, [-1]), tf.int32)
        # Sums, the penalty and ψ are of Keras' own float, whatever the layers compute in.
        images = tf.cast(images, keras.config.floatx())
        adversarial = self.adversarial
        if adversarial is not None:
            perturbed = self._perturbed(adversarial, images, labels)
            if adversarial.replaces:
                images = perturbed
        with tf.GradientTape() as tape:
            if self.penalty is None:
                logits = self._logits(images)
                penalty = psi = tf.zeros((), images.dtype)
            else:
                with tf.GradientTape(watch_accessed_variables=False) as input_tape:
                    input_tape.watch(images)
                    logits = self._logits(images)
                    scalar = self.penalty.scalar(logits, labels, self._draws(labels))
                    total = tf.reduce_sum(scalar)
                penalty = self.penalty(input_tape.gradient(total, images))
            classification = tf.reduce_mean(cross_entropy(logits, labels))
            mean_classification = _over_replicas(classification)
            if self.penalty is not None:
                psi = self.psi.update(mean_classification, logits.shape[-1])
            loss = classification + psi * penalty
            if adversarial is not None and not adversarial.replaces:
                loss += adversarial.loss(logits, self._logits(perturbed))
            # The optimizer sums the gradients of all devices.
            shared_loss = loss / tf.distribute.get_strategy().num_replicas_in_sync
        variables = self.network.trainable_variables
        self.optimizer.apply(tape.gradient(shared_loss, variables), variables)
        right = tf.cast(tf.argmax(logits, axis=-1, output_type=tf.int32) == labels, tf.float32)
        values = {
            "loss": _over_replicas(loss),
            "cross_entropy": mean_classification,
            "accuracy": _over_replicas(tf.reduce_mean(right)),
        }
        if self.penalty is not None:
            values["penalty"] = _over_replicas(penalty)
            values["psi"] = psi
            values["integral"] = tf.convert_to_tensor(self.psi.integral)
        return values

    def train_step(self, data: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The training step of Keras: `optimize`, its values averaged over the epoch so far."""
        images, labels = data
        for name, value in self.optimize(images, labels).items():
            self.trackers[name].update_state(value)
        return {name: tracker.result() for name, tracker in self.trackers.items()}

    def test_step(self, data: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The test step of Keras: cross-entropy and accuracy, without the penalty."""
        images, labels = data
        labels = tf.cast(tf.reshape(labels, [-1]), tf.int32)
        logits = self.network(images, training=False)
        values = {
            "loss": cross_entropy(logits, labels),
            "cross_entropy": cross_entropy(logits, labels),
            "accuracy": tf.argmax(logits, axis=-1, output_type=tf.int32) == labels,
        }
        for name, value in values.items():
            self.trackers[name].update_state(tf.cast(value, tf.float32))
        return {name: self.trackers[name].result() for name in values}

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same classifier."""
        return {
            **super().get_config(),
            "network": keras.saving.serialize_keras_object(self.network),
            "penalty": keras.saving.serialize_keras_object(self.penalty),
            "psi": keras.saving.serialize_keras_object(self.psi),
            "adversarial": keras.saving.serialize_keras_object(self.adversarial),
            "growth_steps": self.growth_steps,
            "seed": self.seed,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> "RobustClassifier":
        """A classifier from what `get_config` gave."""
        parts = {
            name: keras.saving.deserialize_keras_object(config.pop(name), custom_objects)
            for name in ("network", "penalty", "psi", "adversarial")
        }
        return cls(**parts, **config)

    def _logits(self, images: tf.Tensor) -> tf.Tensor:
        """The logits in training mode, in the images' dtype whatever the layers compute in."""
        return tf.cast(self.network(images, training=True), images.dtype)

    def _perturbed(self, adversarial: Perturber, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """The batch after the perturber; the network stays as it is."""

        def model(images: tf.Tensor) -> tf.Tensor:
            # The scope forgets what the pass would write, such as moving averages.
            with keras.StatelessScope():
                return self._logits(images)

        columns = adversarial.draws_per_image(images.shape[1:])
        draws = self._draws(labels, columns, PERTURBATION_DRAWS)
        perturbed = adversarial(model, images, labels, draws)
        if self.growth_steps:
            grown = tf.cast(self._iteration(), images.dtype) / self.growth_steps
            perturbed = images + tf.minimum(grown, 1.0) * (perturbed - images)
        return perturbed

    def _draws(self, labels: tf.Tensor, columns: int = 2, stream: int = PENALTY_DRAWS) -> tf.Tensor:
        """Uniform random numbers (B, columns), by an image's place in the batch of all devices."""
        context = tf.distribute.get_replica_context()
        replicas = context.num_replicas_in_sync if context else 1
        count = tf.shape(labels)[0]
        # The stream is in the upper 32 bits, where no seed reaches.
        seed = tf.stack([tf.constant(self.seed + (stream << 32), tf.int64), self._iteration()])
        draws = tf.random.stateless_uniform([count * replicas, columns], seed)
        if replicas == 1:
            return draws
        first = count * context.replica_id_in_sync_group
        return draws[first : first + count]

    def _iteration(self) -> tf.Tensor:
        return tf.cast(tf.convert_to_tensor(self.optimizer.iterations), tf.int64)


def _over_replicas(value: tf.Tensor) -> tf.Tensor:
    """The mean of a scalar over all devices, without its gradient."""
    context = tf.distribute.get_replica_context()
    value = tf.stop_gradient(value)
    if context is None or context.num_replicas_in_sync == 1:
        return value
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, value)
