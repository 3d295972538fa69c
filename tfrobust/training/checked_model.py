"""A Keras model that looks at each batch before its step does, compiled or not."""

import contextlib
import functools
import inspect
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrobust.errors import InputError
from tfrobust.training.batch_checks import told

# Of `RobustClassifier`'s arguments those that are objects of Keras.
PARTS = (
    "network",
    "penalty",
    "psi",
    "adversarial",
    "evidence",
    "soft_labels",
    "weight_perturbation",
)


class CheckedModel(keras.Model):
    """A Keras model whose batches are checked, and whose steps XLA may compile all the same.

    XLA drops assertions. So it compiles the step alone, and what checks a batch stays outside.
    """

    # Keras sets them without saying their types.
    train_function: Any
    test_function: Any
    predict_function: Any

    @abstractmethod
    def check_batch(
        self, images: tf.Tensor, labels: tf.Tensor | None
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """The batch, once it was checked; labels are None for a prediction."""

    @abstractmethod
    def train(
        self, images: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor | None
    ) -> dict[str, tf.Tensor]:
        """One step of training on a checked batch; → what is logged."""

    @abstractmethod
    def test(
        self, images: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor | None
    ) -> dict[str, tf.Tensor]:
        """One step of an evaluation on a checked batch; → what is logged."""

    @abstractmethod
    def check_labels(self, labels: tf.Tensor) -> tf.Tensor:
        """The labels of a batch or of a whole data set, once they were checked."""

    @abstractmethod
    def check_class_weight(self, class_weight: dict[int, float] | None) -> None:
        """Refuses weights of classes that Keras would give to other images than are meant."""

    @functools.wraps(keras.Model.fit)
    def fit(self, *arguments: Any, **named: Any) -> keras.callbacks.History:
        """Trains as `keras.Model.fit`; labels that come as arrays are checked before it begins."""
        given = inspect.signature(keras.Model.fit).bind(self, *arguments, **named).arguments
        self.check_class_weight(given.get("class_weight"))
        self._check_array(given.get("y"))
        validation = given.get("validation_data")
        if isinstance(validation, tuple | list) and len(validation) > 1:
            self._check_array(validation[1])
        return super().fit(*arguments, **named)

    @functools.wraps(keras.Model.train_on_batch)
    def train_on_batch(self, *arguments: Any, **named: Any) -> Any:
        """Takes one step as `keras.Model.train_on_batch`."""
        method = keras.Model.train_on_batch
        given = inspect.signature(method).bind(self, *arguments, **named).arguments
        self.check_class_weight(given.get("class_weight"))
        return super().train_on_batch(*arguments, **named)

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Keras' step of training."""
        return self._on_checked(self.train, data)

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Keras' step of an evaluation."""
        return self._on_checked(self.test, data)

    def predict_step(self, data: Any) -> tf.Tensor:
        """Keras' step of a prediction."""
        images, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        images, _ = self.check_batch(images, None)
        return self._by_xla(self)(images, training=False)

    def make_train_function(self, force: bool = False) -> None:
        """Makes what `fit` calls for a batch."""
        if self.train_function is None or force:
            with self._checks_outside_xla():
                super().make_train_function(True)
            self.train_function = told(self.train_function)

    def make_test_function(self, force: bool = False) -> None:
        """Makes what `evaluate` calls for a batch."""
        if self.test_function is None or force:
            with self._checks_outside_xla():
                super().make_test_function(True)
            self.test_function = told(self.test_function)

    def make_predict_function(self, force: bool = False) -> None:
        """Makes what `predict` calls for a batch."""
        if self.predict_function is None or force:
            with self._checks_outside_xla():
                super().make_predict_function(True)
            self.predict_function = told(self.predict_function)

    def _check_array(self, labels: Any) -> None:
        if labels is None or isinstance(labels, dict):
            return
        with contextlib.suppress(TypeError, ValueError):
            labels = tf.convert_to_tensor(np.asarray(labels))
        if tf.is_tensor(labels):  # of others Keras says what it thinks of them
            self.check_labels(labels)

    def _on_checked(self, step: Any, data: Any) -> dict[str, tf.Tensor]:
        images, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        images, labels = self.check_batch(images, labels)
        return self._by_xla(step)(images, labels, weights)

    def _by_xla(self, step: Any) -> Any:
        # A strategy of distribution allows no compiled function inside of its own.
        own: Any = self
        if not own.jit_compile or tf.distribute.has_strategy():
            return step
        return tf.function(step, jit_compile=True)

    @contextlib.contextmanager
    def _checks_outside_xla(self) -> Iterator[None]:
        """Keras compiles nothing by XLA here, for `_by_xla` does."""
        own: Any = self  # the type of Keras' property is not told
        compiled, own.jit_compile = own.jit_compile, False
        if tf.distribute.has_strategy():
            own.jit_compile = compiled
        try:
            yield
        finally:
            own.jit_compile = compiled


def check_network(network: Any) -> None:
    """Refuses what `RobustClassifier` cannot train.

    Args:
        network: what it was given.

    Raises:
        InputError: it is no Keras model, or brings a training of its own.
    """
    if not isinstance(network, keras.Model):
        raise InputError(f"expected a Keras model, got a {type(network).__name__}")
    for name in ("train_step", "compute_loss", "compute_metrics"):
        if getattr(type(network), name) is not getattr(keras.Model, name):
            raise InputError(
                f"expected a network without a training of its own, but {type(network).__name__} "
                f"defines {name}, which RobustClassifier would not call. Wrap the plain network, "
                "keras.Model(network.inputs, network.outputs), and pass a loss and metrics to "
                "compile"
            )


def check_parts(classifier: Any, image_shape: tuple[int, int, int]) -> None:
    """Refuses parts of a `RobustClassifier` that do not fit its network.

    Args:
        classifier: that has them.
        image_shape: (H, W, C) of its network.

    Raises:
        InputError: a part is of other images, or compares classes that exclude one another where
            labels may hold together, or labels are too soft for ψ's target.
    """
    adversarial, soft_labels = classifier.adversarial, classifier.soft_labels
    if classifier.form.several:
        if adversarial is not None and not adversarial.replaces:
            raise InputError(
                f"expected a perturber of labels that may hold together, but "
                f"{type(adversarial).__name__} compares classes that exclude one another: take "
                "L2Walk, L2MinWalk or Madry"
            )
        if soft_labels is not None:
            raise InputError(
                "expected no SoftLabels with labels that may hold together: they share one "
                "label's weight between classes that exclude one another"
            )
    if classifier.evidence is not None:
        classifier.evidence.check(image_shape)
    if soft_labels is not None:
        target = classifier.psi.loss_target if classifier.penalty else None
        soft_labels.check(image_shape, classifier.num_classes, target)
