"""A classifier's last layer: a new one, or the only one that is trained."""

from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras import layers

from tfrobust.errors import InputError
from tfrobust.models import resnet_cifar
from tfrobust.models.head import freeze_body, parts, thaw, with_classes

IMAGES = np.random.default_rng(0).random((4, 8, 8, 1), np.float32)


def dense() -> keras.Model:
    body = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Conv2D(2, 3), layers.BatchNormalization(), layers.Flatten()]
    )
    return keras.Sequential([keras.Input((8, 8, 1)), body, layers.Dense(5), layers.Softmax()])


def convolution() -> keras.Model:
    return resnet_cifar(depth=8, width=2, num_classes=5, input_shape=(8, 8, 1))


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.last = layers.Dense(5)

    def call(self, images: keras.KerasTensor) -> keras.KerasTensor:
        return self.last(keras.ops.reshape(images, (-1, 64)))


@pytest.mark.parametrize("make", [dense, convolution])
def test_another_number_of_classes_keeps_all_other_weights(make: Callable[[], keras.Model]) -> None:
    network = make()
    twin = with_classes(network, 3)
    assert twin(IMAGES).shape == (4, 3) and network(IMAGES).shape == (4, 5)
    body, other = (keras.Model(one.inputs[0], parts(one)[-1].input) for one in (network, twin))
    np.testing.assert_array_equal(body(IMAGES), other(IMAGES))
    # The copy has weights of its own.
    parts(twin)[0].trainable_variables[0].assign_add(
        np.ones_like(parts(twin)[0].trainable_variables[0])
    )
    assert np.abs(np.asarray(body(IMAGES)) - np.asarray(other(IMAGES))).max() > 0.1


def test_a_last_layer_of_another_kind_is_refused() -> None:
    subclassed = Subclassed()
    subclassed(IMAGES)
    images = keras.Input((8, 8, 1))
    normal = keras.Model(images, layers.BatchNormalization()(layers.Flatten()(images)))
    with pytest.raises(InputError, match="got a Subclassed with layers that only its code knows"):
        with_classes(subclassed, 3)
    with pytest.raises(InputError, match="got a Functional with BatchNormalization"):
        with_classes(normal, 3)


def test_a_frozen_body_keeps_weights_and_statistics() -> None:
    network = dense()
    first = parts(network)[0]
    before = [np.asarray(variable) for variable in network.variables]
    frozen = freeze_body(network)
    assert [variable.path for variable in network.trainable_variables] == [
        variable.path for variable in parts(network)[-1].variables
    ]
    network.compile("sgd", "sparse_categorical_crossentropy")
    network.train_on_batch(IMAGES, np.arange(4))
    moved = [
        np.abs(np.asarray(a) - b).max() > 0 for a, b in zip(network.variables, before, strict=True)
    ]
    assert moved == [False] * 6 + [True] * 2
    thaw(frozen)
    network.compile("sgd", "sparse_categorical_crossentropy")
    network.train_on_batch(IMAGES, np.arange(4))
    assert np.abs(np.asarray(first.kernel) - before[0]).max() > 0


def test_what_was_frozen_already_stays_so() -> None:
    network = dense()
    parts(network)[0].trainable = False
    thaw(freeze_body(network))
    assert not parts(network)[0].trainable and parts(network)[1].trainable


def test_frozen_statistics_stay_without_scale_and_shift_too() -> None:
    normal = layers.BatchNormalization(center=False, scale=False)
    network = keras.Sequential(
        [keras.Input((8, 8, 1)), normal, layers.Flatten(), layers.Dense(5, activation="softmax")]
    )
    before = normal.get_weights()
    freeze_body(network)
    network.compile("sgd", "sparse_categorical_crossentropy")
    network.train_on_batch(IMAGES, np.arange(4))
    np.testing.assert_array_equal(normal.get_weights(), before)
