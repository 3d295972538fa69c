"""What is used of tf-explain 0.3.1, each with what has to be done differently around it.

Two of its computations are called as they are: the mean gradient over points around an image, and
Grad-CAM's weighted sum of features. Its `explain` methods are not used, for these reasons:

- They take one class for a whole batch, and probabilities for logits.
- Gradients, Gradients×Inputs and SmoothGrad standardise the gradient's size and cast it to 8 bits,
  which wraps around. SmoothGrad draws its noise anew at each call, with a deviation of 1.
- Integrated Gradients counts both ends of its path in full, and does not multiply by
  (image − baseline).
- Grad-CAM looks for its layer by an attribute that Keras 3 does not have. It drops negative
  gradients by default, which the method's paper does not. It stretches each map from its minimum
  to its maximum, so that even evidence against the class lights up.
- OcclusionSensitivity covers with 127.5, which is right for pixels up to 255 only, and swaps the
  rows and columns of images that are not square. `occlusion.Occlusion` computes it anew.
"""

import tensorflow as tf
from tf_explain.core.grad_cam import GradCAM
from tf_explain.core.integrated_gradients import IntegratedGradients

from tfrobust.core.classifier import Model


def mean_gradient(model: Model, points: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """The gradient of the target's logit, averaged over points around each image.

    Args:
        model: gives logits (B, K) for images.
        points: float32 (B, S, H, W, C), S points for each of B images.
        targets: int32 (B,), the class of each image.

    Returns:
        float32 (B, H, W, C).
    """
    samples = points.shape[1]
    classes = tf.repeat(targets, samples)

    def score(inputs: tf.Tensor) -> tf.Tensor:
        # tf-explain follows one column for the whole batch. So each image's own class becomes it.
        return tf.gather(model(inputs), classes, batch_dims=1)[:, None]

    # tf-explain's tf.function would trace every model anew, and keep the graph for good.
    plain = IntegratedGradients.get_integrated_gradients.python_function
    return plain(tf.reshape(points, (-1, *points.shape[2:])), score, 0, samples)


def weighted_features(features: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """The sum of a layer's features, each weighted by the mean of its gradient.

    Args:
        features: (B, h, w, channels), the layer's output.
        gradients: (B, h, w, channels), of a logit with respect to the features.

    Returns:
        (B, h, w).
    """
    # tf-explain iterates over images. In a graph that is possible with a list, not with a tensor.
    count = features.shape[0]
    maps = GradCAM.generate_ponderated_output(
        tf.unstack(features, count), tf.unstack(gradients, count)
    )
    return tf.stack(maps)
