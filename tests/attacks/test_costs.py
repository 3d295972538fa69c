"""What attacks say that they cost, against what a network is really asked."""

import numpy as np
import pytest
import tensorflow as tf

from tfrobust.attacks import (
    DDN,
    FGM,
    FMN,
    PGD,
    SPSA,
    Attack,
    Blend,
    CarliniWagner,
    FiniteDifferences,
    L2Min,
    LinearizedMargin,
    Opaque,
    SecondOpinion,
    Square,
    Transfer,
)
from tfrobust.core.door import as_classifier

SHAPE = (2, 3, 1)
rng = np.random.default_rng(0)
PLANE = rng.normal(size=(6, 3)).astype(np.float32)
IMAGES = rng.random((1, *SHAPE), np.float32)
POOL = rng.random((9, *SHAPE), np.float32)


def plane(images: tf.Tensor) -> tf.Tensor:
    return tf.reshape(images - 0.5, (-1, 6)) @ PLANE


LABELS = np.argmax(plane(IMAGES), axis=-1)


class Counted:
    """A network that counts the images of which a gradient is taken."""

    def __init__(self) -> None:
        self.taken = tf.Variable(0, trainable=False)

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        @tf.custom_gradient
        def watched(images: tf.Tensor):
            def gradient(upstream: tf.Tensor) -> tf.Tensor:
                self.taken.assign_add(tf.shape(upstream)[0])
                return upstream

            return tf.identity(images), gradient

        return plane(watched(images))


@pytest.mark.parametrize(
    "attack",
    [
        DDN(steps=5, batch_size=1),
        FMN(steps=5, batch_size=1),
        L2Min(steps=5, batch_size=1),
        LinearizedMargin(steps=24, rivals=4, batch_size=1),
        SecondOpinion(batch_size=1),
        LinearizedMargin(steps=7, rivals=2, batch_size=1),
        PGD(steps=3, rounds=2, batch_size=1),
        FGM(rounds=3, batch_size=1),
        CarliniWagner(steps=4, searches=2, batch_size=1),
    ],
    ids=lambda attack: attack.name,
)
def test_gradients(attack: Attack) -> None:
    network = Counted()
    classifier = as_classifier(network)
    classifier.compiles = False  # it is asked as often
    attack(classifier, IMAGES, LABELS)
    before = int(network.taken)
    attack(classifier, IMAGES, LABELS)
    # The first call also asked whether the network has a gradient at all.
    assert int(network.taken) - before == attack.gradients


@pytest.mark.parametrize(
    "attack",
    [
        SPSA(steps=3, rounds=2, samples=4, batch_size=1),
        Blend(POOL, batch_size=1),
        Square(steps=9, batch_size=1),
        FiniteDifferences(attack=LinearizedMargin(steps=6, batch_size=1), directions=4),
        # A last search that is longer than all else.
        FiniteDifferences(
            attack=LinearizedMargin(steps=6, line_steps=60, batch_size=1), directions=1
        ),
        FiniteDifferences(attack=FMN(steps=3, batch_size=1), directions=1),
        FiniteDifferences(attack=PGD(steps=2, rounds=30, batch_size=1), directions=1),
        Transfer(surrogate=plane, attack=LinearizedMargin(steps=6, batch_size=1)),
    ],
    ids=lambda attack: attack.name,
)
def test_queries(attack: Attack) -> None:
    asked = 0

    def counted(images: np.ndarray) -> np.ndarray:
        nonlocal asked
        asked += len(images)
        return (images - 0.5).reshape(-1, 6) @ PLANE

    network = Opaque(counted, input_shape=(None, *SHAPE), num_classes=3)
    attack(network, IMAGES, LABELS)
    asked = 0
    attack(network, IMAGES, LABELS)
    # A walk that arrives early asks for less.
    assert attack.queries is not None and 0 < asked <= attack.queries
