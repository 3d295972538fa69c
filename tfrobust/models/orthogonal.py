"""Weights that are kept orthogonal while they are trained."""

import keras
import tensorflow as tf

# So many steps of Björck's iteration bring weights back that one step of training moved away.
STEPS = 2
# Below it the iteration's own step brings singular values to 1; above √3 it would drive them away.
SAFE = 1.2


@keras.saving.register_keras_serializable(package="tfrobust")
class Orthogonal(keras.constraints.Constraint):
    """Keeps a kernel's matrix orthogonal, so that its layer lengthens nothing.

    Keras applies a constraint after each step of the optimizer. The kernel of a dense layer, or of
    a convolution, is taken as a matrix of (all but the last axis) × (last axis). Björck's iteration
    W ← W·(3·I − WᵀW)/2 moves all its singular values towards 1. So the step of training and the
    way back are a step on the manifold of orthogonal matrices, and no gradient goes through the
    iteration. A layer whose convolution's windows overlap is not 1-Lipschitz by this: give it a
    kernel of size 1, or strides as large as the kernel.

    The layers stay those of Keras. An export holds plain weights.

    Source: Cissé et al., arXiv 1704.08847, Parseval networks, for one step after each update; Anil,
    Lucas, Grosse, arXiv 1811.05381, for Björck's iteration.
    """

    def __call__(self, kernel: tf.Tensor) -> tf.Tensor:
        """Brings a kernel (…, D) back; its shape stays."""
        matrix = tf.reshape(kernel, (-1, kernel.shape[-1]))
        if matrix.shape[0] < matrix.shape[1]:
            return tf.reshape(tf.transpose(_orthogonal(tf.transpose(matrix))), kernel.shape)
        return tf.reshape(_orthogonal(matrix), kernel.shape)


def _orthogonal(matrix: tf.Tensor) -> tf.Tensor:
    """A matrix with at least as many rows as columns, with its columns nearly orthonormal."""
    gram = tf.matmul(matrix, matrix, transpose_a=True)
    unit = tf.eye(gram.shape[0], dtype=gram.dtype)
    largest = tf.reduce_max(tf.reduce_sum(tf.abs(gram), axis=1))  # bounds the squared norm
    scale = tf.where(largest > SAFE, tf.math.rsqrt(largest), 1.0)
    # Everything happens in the small Gram matrix; the large one is multiplied once.
    gram, whole = gram * scale**2, unit * scale
    for _ in range(STEPS):
        step = 1.5 * unit - 0.5 * gram
        whole, gram = whole @ step, step @ gram @ step
    return matrix @ whole
