"""What a network's answer costs: its parameters, and its floating-point operations."""

import dataclasses
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class AnswerCost:
    """Of an answer to one image.

    Args:
        parameters: how many numbers the network is made of.
        operations: floating-point ones as TensorFlow counts them: nearly all are the
            multiplications and additions of convolutions.
    """

    parameters: int
    operations: int


def answer_cost(network: keras.Model) -> AnswerCost:
    """Counts along the graph, so that a mirrored network costs two views.

    Args:
        network: images of one size (B, H, W, C) → logits.
    """
    image = tf.TensorSpec((1, *network.input_shape[1:]))
    answer = tf.function(lambda images: network(images, training=False))
    graph = answer.get_concrete_function(image).graph
    options = tf.compat.v1.profiler.ProfileOptionBuilder
    silent = options(options.float_operation()).with_empty_output().build()
    found = tf.compat.v1.profiler.profile(graph, options=silent)
    return AnswerCost(network.count_params(), found.total_float_ops)
