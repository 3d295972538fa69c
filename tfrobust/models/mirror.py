"""Makes a network that looks at an image and at its mirror image."""

import keras
from keras import ops

from tfrobust.core.logits import has_graph
from tfrobust.errors import InputError
from tfrobust.models.copies import duplicate

POOL = keras.layers.GlobalAveragePooling2D
WIDTH = 2  # the axis of (B, H, W, C)


def mirrored(network: keras.Model) -> keras.Model:
    """Copies a network so that it gives an image and its mirror image the same logits.

    The copy computes the features of both before the global average pool. The mirror image's
    features are mirrored back, so that Grad-CAM still shows the right place, and both are averaged.
    If a linear layer follows the pool, as in the ResNets here, the logits are the mean of both
    images' logits. An answer costs twice as much.

    A perturbation now has to change both views, so the ARA grows without any training. Use it
    where left and right mean the same, as in most photographs, but not for letters.

    Args:
        network: a built functional or Sequential model, float32 images (B, H, W, C) → logits
            (B, K), with one `GlobalAveragePooling2D` among its own layers.

    Returns:
        A functional model of the same shapes with copies of the weights, in the same order.

    Raises:
        InputError: the model is subclassed or was not built, its images have no fixed size, it
            does not have one such layer, or another does not say how it was made.
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
    twin = duplicate(network)
    pools = [layer for layer in twin.layers if isinstance(layer, POOL)]
    if len(pools) != 1:
        raise InputError(
            f"expected a network with one {POOL.__name__} to mirror, got {len(pools)} "
            f"in {network.name}"
        )
    (pool,) = pools
    features_of = keras.Model(twin.inputs[0], pool.input, name="both")
    # A model made from the list `twin.outputs` would give lists when it is nested in other models.
    logits_of = keras.Model(pool.input, twin.outputs[0], name="logits")
    images = keras.Input(network.input_shape[1:], name="images")
    # One pass over a batch of both makes half as large a graph as two passes.
    both = ops.stack([images, ops.flip(images, axis=WIDTH)])
    both = features_of(ops.reshape(both, (-1, *images.shape[1:])))
    there, back = ops.unstack(ops.reshape(both, (2, -1, *both.shape[1:])))
    average = keras.layers.Average(name="features", dtype=pool.dtype_policy)
    features = average([there, ops.flip(back, axis=WIDTH)])
    return keras.Model(images, logits_of(features), name=network.name)
