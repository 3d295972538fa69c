"""A training step that XLA does not compile ends in the same bytes each time."""

import subprocess
import sys

import pytest

# From the same weights and images again and again. Width, depth and size are those at which the
# gradient of one kernel is a sum of three, which rounded in three ways, in two of three steps.
STEPS = """
import hashlib
from tfrobust.cli import program
program.import_tensorflow(one_at_a_time=True)
import keras, numpy as np, tensorflow as tf
from tfrobust.training import InputGradientPenalty, RobustClassifier
from tfrobust.models import resnet_cifar
from tfrobust.training.optimizer import L2SGD
random = np.random.default_rng(0)
images = tf.constant(random.random((64, 32, 32, 3), np.float32))
labels = tf.constant(random.integers(10, size=64), tf.int32)
keras.utils.set_random_seed(0)
network = resnet_cifar(depth=14, width=16, input_shape=(32, 32, 3))
classifier = RobustClassifier(network, penalty=InputGradientPenalty())
classifier.compile(optimizer=L2SGD(0.1))
classifier.optimizer.build(classifier.trainable_variables)
step = tf.function(classifier.optimize)
state = [*network.variables, *classifier.optimizer.variables, *classifier.psi.variables]
start = [variable.numpy() for variable in state]
for _ in range(16):
    for variable, value in zip(state, start, strict=True):
        variable.assign(value)
    step(images, labels)
    print(hashlib.sha256(b"".join(one.numpy().tobytes() for one in state)).hexdigest())
"""


@pytest.mark.slow
def test_one_operator_at_a_time_rounds_the_same_way_each_time() -> None:
    answers = [
        subprocess.run([sys.executable, "-c", STEPS], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    every = [line for answer in answers for line in answer.stdout.splitlines()]
    assert len(every) == 32
    assert len(set(every)) == 1
