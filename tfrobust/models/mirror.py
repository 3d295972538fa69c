"""A network that sees each image and its mirror image at once."""

import keras
from keras import ops

from tfrobust.core.logits import has_graph
from tfrobust.errors import InputError

POOL = keras.layers.GlobalAveragePooling2D
WIDTH = 2  # of (B, H, W, C)


def mirrored(network: keras.Model) -> keras.Model:
    """A copy of a network that gives an image and its mirror image the same logits.

    The features before the global average pool are the mean of the image's and, mirrored back, of
    its mirror image's, so that the map of features, and with it Grad-CAM, still lies on the image.
    With a linear layer after the pool, as in the ResNets here, the logits are the mean of both
    images'. It is one differentiable network, attacked through both, with the weights of the first
    and twice its cost. Where left and right mean the same, as in photographs but not in letters,
    smaller perturbations of one view no longer suffice, and the ARA grows without any training.

    Args:
        network: a functional or Sequential model with a `GlobalAveragePooling2D` as one of its own
            layers, float32 images (B, H, W, C) → logits (B, K).

    Returns:
        A functional model of the same shapes with copies of the weights, in the same order.

    Raises:
        InputError: a subclassed model, one that was not built, of images of free size, or without
            one such layer.
    """
    if not isinstance(network, keras.Model) or not has_graph(network):
        raise InputError(
            "expected a built functional or Sequential model to mirror, got a "
            f"{type(network).__name__}"
        )
    if len(network.inputs) != 1 or None in network.inputs[0].shape[1:]:
        raise InputError(
            "expected a network of images of one size (None, H, W, C) to mirror, got inputs of "
            f"{[each.shape for each in network.inputs]}"
        )
    twin = keras.models.clone_model(network)
    twin.set_weights(network.get_weights())
    pools = [layer for layer in twin.layers if isinstance(layer, POOL)]
    if len(pools) != 1:
        raise InputError(
            f"expected a network with one {POOL.__name__} to mirror, got {len(pools)} "
            f"in {network.name}"
        )
    (pool,) = pools
    features_of = keras.Model(twin.inputs[0], pool.input, name="both")
    # Not `outputs`: a model of a list of one answers with a list inside other models.
    logits_of = keras.Model(pool.input, twin.outputs[0], name="logits")
    images = keras.Input(network.input_shape[1:], name="images")
    # One pass over both, in a batch twice as large, is half the graph of two passes.
    both = ops.stack([images, ops.flip(images, axis=WIDTH)])
    both = features_of(ops.reshape(both, (-1, *images.shape[1:])))
    there, back = ops.unstack(ops.reshape(both, (2, -1, *both.shape[1:])))
    average = keras.layers.Average(name="features", dtype=pool.dtype_policy)
    features = average([there, ops.flip(back, axis=WIDTH)])
    return keras.Model(images, logits_of(features), name=network.name)
