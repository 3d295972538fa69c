"""What a Keras user passes: the numbers of the network alone, or a refusal by name.

Each habit is one function, which is run twice: on a plain `keras.Model`, and on a RobustClassifier
without penalty around the same network. Everything that the plain model logs must be the same.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, losses, metrics, optimizers
from marks import quick

from tfrobust.training import RobustClassifier

Build = Callable[..., keras.Model]
SPARSE = "sparse_categorical_crossentropy"
LOGITS = losses.SparseCategoricalCrossentropy(from_logits=True)

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, 40).astype(np.int32)
IMAGES = (RNG.random((40, 4, 4, 1), np.float32) + LABELS[:, None, None, None]) / 4
ONE_HOT = keras.utils.to_categorical(LABELS, 3)
WEIGHTS = RNG.random(40).astype(np.float32)
HABITS: dict[str, Callable[..., Any]] = {}
# What has a like among the others.
SLOW = {
    "a_checkpoint_of_the_best",
    "a_py_dataset",
    "a_rate_that_drops_on_a_plateau",
    "averaged_weights",
    "class_weight_of_one_hot_labels",
    "class_weight_of_a_data_set",
    "compiled_again_with_another_loss",
    "early_stopping",
    "focal_losses",
    "label_smoothing",
    "log_probabilities",
    "loss_weights_and_sums",
    "mixed_float16",
    "one_logit",
    "one_loss_in_a_list",
    "one_sigmoid_column_saved",
    "regularizers",
    "sample_weight_in_triples",
    "saved_loaded_and_trained_on",
    "sparse_cross_entropy_of_probabilities",
    "squared_error",
    "validation_split_now_and_then",
}


def habit(function: Callable[..., Any]) -> Callable[..., Any]:
    HABITS[function.__name__] = function
    return function


def network(activation: str | None = None, outputs: int = 3, *before: Any) -> keras.Model:
    keras.utils.set_random_seed(1)
    made = [*before, layers.Flatten(), layers.Dense(outputs, activation)]
    return keras.Sequential([keras.Input((4, 4, 1)), *made])


def trained(
    model: keras.Model,
    x: Any = IMAGES,
    y: Any = LABELS,
    *,
    optimizer: Any = None,
    loss: Any = LOGITS,
    compiling: dict[str, Any] | None = None,
    epochs: int = 2,
    **fitting: Any,
) -> dict[str, Any]:
    """Two epochs of batches of 16, 16 and 8. XLA compiles where a habit asks for it, as most of
    the time would pass there."""
    keras.utils.set_random_seed(2)
    optimizer = optimizers.SGD(0.2) if optimizer is None else optimizer
    given = {"metrics": ["accuracy"], "jit_compile": False, **(compiling or {})}
    model.compile(optimizer, loss, **given)
    if isinstance(x, np.ndarray):
        fitting = {"batch_size": 16, **fitting}
    return model.fit(x, y, epochs=epochs, verbose=0, **fitting).history


def dataset(*arrays: Any) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(arrays).batch(16)


# Losses


@habit
def sparse_cross_entropy_of_logits(build: Build, path: Path) -> Any:
    model = build(network())
    keras_own = {"jit_compile": "auto"}
    history = trained(model, validation_data=(IMAGES, LABELS), compiling=keras_own)
    loss, accuracy = model.evaluate(IMAGES, LABELS, verbose=0)
    return history, loss, accuracy, model.predict(IMAGES, verbose=0)


@habit
def sparse_cross_entropy_of_probabilities(build: Build, path: Path) -> Any:
    model = build(network("softmax"))
    history = trained(model, loss=SPARSE, validation_data=(IMAGES, LABELS))
    return history, model.predict(IMAGES, verbose=0), model(IMAGES)


@habit
def one_sigmoid(build: Build, path: Path) -> Any:
    model = build(network("sigmoid", 1))
    ill = (LABELS == 2).astype(np.int32)
    history = trained(model, IMAGES, ill, loss="binary_crossentropy")
    return history, model.predict(IMAGES, verbose=0)


@habit
def one_sigmoid_column_saved(build: Build, path: Path) -> Any:
    model = build(network("sigmoid", 1))
    ill = (LABELS == 2).astype(np.int32)[:, None]
    history = trained(model, IMAGES, ill, loss=losses.BinaryFocalCrossentropy())
    model.save(path / "model.keras")
    copy = keras.models.load_model(path / "model.keras")
    return history, model.predict(IMAGES, verbose=0), copy.predict(IMAGES, verbose=0)


@habit
def one_logit(build: Build, path: Path) -> Any:
    model = build(network(None, 1))
    ill = (LABELS == 2).astype(np.int32)
    loss = losses.BinaryCrossentropy(from_logits=True)
    return trained(model, IMAGES, ill, loss=loss), model.predict(IMAGES, verbose=0)


@habit
def pixels_from_0_to_255(build: Build, path: Path) -> Any:
    model = build(network(None, 3, layers.Rescaling(1 / 255)))
    history = trained(model, 255 * IMAGES, validation_data=(255 * IMAGES, LABELS))
    return history, model.predict(255 * IMAGES, verbose=0), model(255 * IMAGES)


@habit
def log_probabilities(build: Build, path: Path) -> Any:
    model = build(network("log_softmax"))
    return trained(model, loss=LOGITS), model.predict(IMAGES, verbose=0)


@habit
def losses_of_one_hot_labels(build: Build, path: Path) -> Any:
    kinds = (losses.CategoricalCrossentropy, losses.BinaryCrossentropy)
    return tuple(
        trained(build(network()), y=ONE_HOT, loss=kind(from_logits=True)) for kind in kinds
    )


@habit
def categorical_cross_entropy_of_probabilities(build: Build, path: Path) -> Any:
    return trained(build(network("softmax")), y=ONE_HOT, loss="categorical_crossentropy")


@habit
def label_smoothing(build: Build, path: Path) -> Any:
    logits = losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    shares = losses.CategoricalCrossentropy(label_smoothing=0.1)
    return (
        trained(build(network()), y=ONE_HOT, loss=logits),
        trained(build(network("softmax")), y=ONE_HOT, loss=shares),
    )


@habit
def soft_labels(build: Build, path: Path) -> Any:
    loss = losses.CategoricalCrossentropy(from_logits=True)
    return trained(build(network()), y=0.7 * ONE_HOT + 0.3 * ONE_HOT[::-1], loss=loss)


@habit
def focal_losses(build: Build, path: Path) -> Any:
    binary = losses.BinaryFocalCrossentropy(from_logits=True)
    return (
        trained(build(network()), y=ONE_HOT, loss=binary),
        trained(build(network("softmax")), y=ONE_HOT, loss="categorical_focal_crossentropy"),
    )


@habit
def squared_error(build: Build, path: Path) -> Any:
    return trained(build(network("softmax")), y=ONE_HOT, loss="mse", compiling={"metrics": ["mae"]})


@habit
def a_function_of_ones_own(build: Build, path: Path) -> Any:
    def margin(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        right = tf.reduce_sum(tf.one_hot(tf.cast(labels, tf.int32), 3) * logits, axis=-1)
        return tf.reduce_logsumexp(logits, axis=-1) - 0.9 * right

    return trained(build(network()), loss=margin)


@habit
def one_loss_in_a_list(build: Build, path: Path) -> Any:
    return trained(build(network()), loss=[LOGITS])


@habit
def loss_weights_and_sums(build: Build, path: Path) -> Any:
    total = losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")
    slow = optimizers.SGD(0.01)
    return trained(build(network()), loss=total, optimizer=slow, compiling={"loss_weights": [0.5]})


# Labels, weights and data


@habit
def labels_in_a_column_of_floats(build: Build, path: Path) -> Any:
    return trained(build(network()), y=LABELS[:, None].astype(np.float32))


CLASS_WEIGHT = {0: 1.0, 1: 5.0, 2: 0.5}


@habit
def class_weight(build: Build, path: Path) -> Any:
    return trained(build(network()), class_weight=CLASS_WEIGHT)


@habit
def class_weight_of_one_hot_labels(build: Build, path: Path) -> Any:
    loss = losses.CategoricalCrossentropy(from_logits=True)
    return trained(build(network()), y=ONE_HOT, loss=loss, class_weight=CLASS_WEIGHT)


@habit
def class_weight_of_a_data_set(build: Build, path: Path) -> Any:
    given = dataset(IMAGES, LABELS)
    return trained(build(network()), given, None, class_weight=CLASS_WEIGHT)


@habit
def sample_weight(build: Build, path: Path) -> Any:
    model = build(network())
    history = trained(
        model,
        sample_weight=WEIGHTS,
        validation_data=(IMAGES, LABELS, WEIGHTS),
        compiling={"weighted_metrics": ["accuracy"]},
    )
    return history, model.evaluate(IMAGES, LABELS, sample_weight=WEIGHTS, verbose=0)


@habit
def sample_weight_in_triples(build: Build, path: Path) -> Any:
    given = dataset(IMAGES, LABELS, WEIGHTS[:, None])
    return trained(build(network()), given, None, validation_data=given)


@habit
def an_endless_data_set(build: Build, path: Path) -> Any:
    given = dataset(IMAGES, LABELS).repeat()
    return trained(build(network()), given, None, steps_per_epoch=3)


@habit
def a_generator(build: Build, path: Path) -> Any:
    def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        while True:
            yield IMAGES[:16], LABELS[:16]

    return trained(build(network()), batches(), None, steps_per_epoch=2)


@habit
def a_py_dataset(build: Build, path: Path) -> Any:
    class Batches(keras.utils.PyDataset):
        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
            return IMAGES[20 * index :][:20], LABELS[20 * index :][:20]

    return trained(build(network()), Batches(), None)


@habit
def validation_split_now_and_then(build: Build, path: Path) -> Any:
    return trained(build(network()), validation_split=0.25, validation_freq=2)


@habit
def single_batches(build: Build, path: Path) -> Any:
    model = build(network())
    model.compile(optimizers.SGD(0.1), LOGITS, metrics=["accuracy"], jit_compile=False)
    weighted = model.train_on_batch(IMAGES[:8], LABELS[:8], class_weight={0: 2.0, 1: 1.0, 2: 1.0})
    return (
        weighted,
        model.train_on_batch(IMAGES[:8], LABELS[:8], sample_weight=WEIGHTS[:8], return_dict=True),
        model.test_on_batch(IMAGES[:8], LABELS[:8]),
        model.predict_on_batch(IMAGES[:8]),
    )


# Metrics


@habit
def metrics_of_all_kinds(build: Build, path: Path) -> Any:
    def sure(labels: tf.Tensor, shares: tf.Tensor) -> tf.Tensor:
        return tf.reduce_max(shares, axis=-1)

    given = [
        "accuracy",
        sure,
        metrics.AUC(num_thresholds=9, name="area"),
        metrics.TopKCategoricalAccuracy(2),
        metrics.Precision(class_id=1, name="precision"),
    ]
    return trained(
        build(network("softmax")),
        y=ONE_HOT,
        loss="categorical_crossentropy",
        compiling={"metrics": given},
        validation_data=(IMAGES, ONE_HOT),
    )


@habit
def no_metrics_and_a_scalar_evaluation(build: Build, path: Path) -> Any:
    model = build(network())
    history = trained(model, compiling={"metrics": []})
    return history, model.evaluate(IMAGES, LABELS, verbose=0)


# Networks


@habit
def regularizers(build: Build, path: Path) -> Any:
    l2 = keras.regularizers.L2(0.1)
    keras.utils.set_random_seed(1)
    hidden = [layers.Flatten(activity_regularizer=l2), layers.Dense(5, kernel_regularizer=l2)]
    last = layers.Dense(3, "softmax", kernel_regularizer=l2, bias_regularizer="l1")
    model = build(keras.Sequential([keras.Input((4, 4, 1)), *hidden, last]))
    history = trained(model, loss=SPARSE, validation_data=(IMAGES, LABELS))
    return history, model.evaluate(IMAGES, LABELS, verbose=0)


@habit
def a_layer_that_adds_a_loss(build: Build, path: Path) -> Any:
    return trained(build(with_added_loss()), validation_data=(IMAGES, LABELS))


@habit
def dropout_and_batch_normalization(build: Build, path: Path) -> Any:
    keras.utils.set_random_seed(1)
    images = keras.Input((4, 4, 1))
    hidden = layers.BatchNormalization()(layers.Conv2D(4, 3)(images))
    hidden = layers.Dropout(0.5, seed=3)(layers.GlobalAveragePooling2D()(hidden))
    model = build(keras.Model(images, layers.Dense(3)(hidden)))
    return trained(model, validation_data=(IMAGES, LABELS)), model.predict(IMAGES, verbose=0)


@habit
def a_subclassed_network(build: Build, path: Path) -> Any:
    keras.utils.set_random_seed(1)
    inner = Subclassed()
    inner(IMAGES[:1])
    return trained(build(inner), validation_data=(IMAGES, LABELS))


@habit
def layers_that_thaw_later(build: Build, path: Path) -> Any:
    keras.utils.set_random_seed(1)
    hidden = [keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(5)]
    inner = keras.Sequential([*hidden, layers.Dense(3, "softmax")])
    inner.layers[-1].trainable = False
    model = build(inner)
    frozen = trained(model, loss=SPARSE)
    inner.layers[-1].trainable = True
    inner.layers[1].trainable = False
    return frozen, trained(model, loss=SPARSE), inner.get_weights()


@habit
def mixed_float16(build: Build, path: Path) -> Any:
    with policy("mixed_float16"):
        inner = network()
    # Compiled where the policy is another again: the network's own decides.
    model = build(inner)
    history = trained(model, epochs=4)
    assert isinstance(model.optimizer, keras.mixed_precision.LossScaleOptimizer)
    return history


@habit
def mixed_bfloat16(build: Build, path: Path) -> Any:
    with policy("mixed_bfloat16"):
        return trained(build(network()))


# Optimizers


@habit
def gradient_accumulation(build: Build, path: Path) -> Any:
    return trained(build(network()), optimizer=optimizers.Adam(0.02, gradient_accumulation_steps=2))


@habit
def averaged_weights(build: Build, path: Path) -> Any:
    model = build(network())
    averaging = optimizers.AdamW(0.02, use_ema=True, ema_momentum=0.8, clipnorm=1.0)
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    history = trained(
        model, optimizer=averaging, validation_data=(IMAGES, LABELS), callbacks=[swap]
    )
    again = trained(model, optimizer=optimizers.Adam(0.02, use_ema=True, ema_overwrite_frequency=2))
    return history, again, model.predict(IMAGES, verbose=0)


@habit
def a_schedule_and_a_scaled_loss(build: Build, path: Path) -> Any:
    rate = optimizers.schedules.CosineDecay(0.2, 6)
    return trained(build(network()), optimizer=optimizers.SGD(rate, loss_scale_factor=64.0))


# Ways to run


@habit
def several_steps_an_execution(build: Build, path: Path) -> Any:
    return trained(build(network()), compiling={"steps_per_execution": 2})


@habit
def run_eagerly(build: Build, path: Path) -> Any:
    return trained(build(network()), compiling={"run_eagerly": True}, epochs=1)


@habit
def compiled_by_xla(build: Build, path: Path) -> Any:
    model = build(network("softmax"))
    history = trained(
        model,
        loss=SPARSE,
        compiling={"jit_compile": True},
        validation_data=(IMAGES, LABELS),
        sample_weight=WEIGHTS,
    )
    assert model.jit_compile
    return history, model.predict(IMAGES, verbose=0)


@habit
def compiled_again_with_another_loss(build: Build, path: Path) -> Any:
    model = build(network())
    first = trained(model, y=ONE_HOT, loss=losses.BinaryCrossentropy(from_logits=True))
    return first, trained(model, compiling={"metrics": ["sparse_top_k_categorical_accuracy"]})


# Callbacks and files


@habit
def early_stopping(build: Build, path: Path) -> Any:
    stop = keras.callbacks.EarlyStopping(
        "val_accuracy", patience=1, restore_best_weights=True, start_from_epoch=1
    )
    model = build(network())
    history = trained(model, epochs=9, validation_data=(IMAGES, LABELS), callbacks=[stop])
    return history, stop.stopped_epoch, model.predict(IMAGES, verbose=0)


@habit
def a_checkpoint_of_the_best(build: Build, path: Path) -> Any:
    best = str(path / "best.weights.h5")
    keep = keras.callbacks.ModelCheckpoint(
        best, monitor="val_accuracy", save_best_only=True, save_weights_only=True
    )
    model = build(network())
    trained(model, validation_data=(IMAGES, LABELS), callbacks=[keep])
    model.load_weights(best)
    return keep.best, model.predict(IMAGES, verbose=0)


@habit
def a_rate_that_drops_on_a_plateau(build: Build, path: Path) -> Any:
    table = path / "log.csv"
    given = [
        keras.callbacks.ReduceLROnPlateau("accuracy", factor=0.1, patience=1, min_delta=0.5),
        keras.callbacks.CSVLogger(table),
        keras.callbacks.TerminateOnNaN(),
        keras.callbacks.TensorBoard(path / "board"),
    ]
    history = trained(build(network()), callbacks=given, epochs=4)
    assert len(table.read_text().splitlines()) == 5
    return history


@habit
def backup_and_restore(build: Build, path: Path) -> Any:
    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == 1:
                raise KeyboardInterrupt

    saved = path / "backup"
    with contextlib.suppress(KeyboardInterrupt):
        backup = keras.callbacks.BackupAndRestore(saved)
        trained(build(network()), callbacks=[backup, Stop()])
    model = build(network())
    history = trained(model, callbacks=[keras.callbacks.BackupAndRestore(saved)])
    assert len(history["loss"]) == 1
    return history, model.predict(IMAGES, verbose=0)


@habit
def saved_loaded_and_trained_on(build: Build, path: Path) -> Any:
    model = build(network("softmax"))
    trained(model, loss=SPARSE)
    model.save(path / "model.keras")
    copy = keras.models.load_model(path / "model.keras")
    keras.utils.set_random_seed(3)
    further = copy.fit(IMAGES, LABELS, batch_size=16, verbose=0).history
    return further, copy.predict(IMAGES, verbose=0), copy.optimizer.iterations


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.body = keras.Sequential([layers.Flatten(), layers.Dense(5, "tanh"), layers.Dense(3)])

    def call(self, images: tf.Tensor) -> tf.Tensor:
        return self.body(images)


def with_added_loss() -> keras.Model:
    class Bright(layers.Layer):
        def call(self, images: tf.Tensor) -> tf.Tensor:
            self.add_loss(0.1 * tf.reduce_mean(images))
            return images

    inner = network()
    images = keras.Input((4, 4, 1))
    return keras.Model(images, inner(Bright()(images)))


@contextlib.contextmanager
def policy(name: str) -> Iterator[None]:
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy("float32")


def compare(ours: Any, plain: Any) -> None:
    """Everything that the plain model gave, ours gave too."""
    if isinstance(plain, dict):
        for name in plain:
            compare(ours[name], plain[name])
    elif isinstance(plain, tuple) or (isinstance(plain, list) and np.ndim(plain[0])):
        for one, other in zip(ours, plain, strict=True):
            compare(one, other)
    else:
        # float32 sums in another order, over a few steps.
        np.testing.assert_allclose(np.asarray(ours), np.asarray(plain), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", quick(HABITS, *set(HABITS) - SLOW))
def test_the_numbers_of_the_network_alone(name: str, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "ours").mkdir()
    plain = HABITS[name](lambda inner: inner, tmp_path / "plain")
    compare(HABITS[name](RobustClassifier, tmp_path / "ours"), plain)
