"""Certified radii by the Lipschitz constant: a bound on the network itself, without chance.

If no margin f_y − f_k can fall faster than L with the L2 distance, then no perturbation smaller
than margin/L changes the class. The bound on L is the product over the layers. It is close for
networks whose layers are kept orthogonal, such as `models.lipschitz_network` makes, and useless for
others, whose layers are much steeper together than any image shows.

Source: Tsuzuku, Sato, Sugiyama, arXiv 1802.04034, Lipschitz-margin; Anil, Lucas, Grosse, arXiv
1811.05381, for networks made for it.
"""

import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrobust.certification.lipschitz_bound import Seen, margins_growth
from tfrobust.certification.lipschitz_certificate import LipschitzCertificate
from tfrobust.certification.sampling import checked_inputs, portion
from tfrobust.core.ara import accuracy_robustness_area
from tfrobust.core.classifier import Model, logits_of
from tfrobust.core.door import as_classifier
from tfrobust.core.input_range import Range
from tfrobust.errors import InputError
from tfrobust.models.convert import full_precision

# A margin that cannot change at all has a finite radius all the same.
FLAT = 1e-12
# Radii are a little smaller than computed: margins and radii are themselves rounded, in float64.
SAFELY = 1 - 2.0**-20


def certify_lipschitz(
    network: Model,
    images: Any,
    labels: Any = None,
    *,
    input_range: Range | None = None,
    seed: int = 0,
) -> LipschitzCertificate:
    """Certifies a network around images by the Lipschitz constants of its layers.

    The radius of an image is its smallest (f_y − f_k − r)/(L·‖w_y − w_k‖) over the other classes:
    the margin is computed in float64, L bounds what the layers before the last do to distances, w
    are the last layer's rows, and r is how much rounding to float32 can move the margin of the
    perturbed image. Without a last dense layer √2 takes the place of the rows' distance. Where one
    output makes two classes, its row takes this place, or 1: the other logit does not move. L comes
    from the Gram iteration in float64, which never falls below the true one.

    Args:
        network: what `as_classifier` takes, with a Keras network behind it that is made of dense
            and convolutional layers, ReLUs, `MaxMin`, pools, batch normalisation, sums and the
            like. An error names the layer that is not known.
        images: float (N, H, W, C) in [0, 1] or uint8, at least one; or a tf.data.Dataset of pairs
            of images and labels.
        labels: int (N,), the true classes, from 0 to K − 1; None beside a data set.
        input_range: the lowest and the highest pixel that the network takes, as (0, 255), for a
            network that does not take pixels from 0 to 1. Radii are of pixels from 0 to 1 all the
            same.
        seed: the seed of the bootstrap.

    Returns:
        The certificate. An image has radius 0 if the network is wrong.

    Raises:
        InputError: the input does not fit, the network is no Keras network, or nothing is known
            of one of its layers.

    Source: arXiv 1802.04034, proposition 1.
    """
    network = as_classifier(network, input_range=input_range)
    network, images, labels, _, num_classes = checked_inputs(network, images, labels, None)
    if network.network is None:
        raise InputError(
            f"expected a Keras network, whose layers can be seen, but {network.name} is none: load "
            "its network.keras, or use `certify`, which needs no more than answers"
        )
    _check_precision(network.network)
    began = time.perf_counter()
    exact = full_precision(network.network, "float64")
    norms, logits = _exact_pass(exact, images)
    rows = np.arange(len(labels))
    margins = logits[rows, labels, None] - logits
    margins[rows, labels] = np.inf

    def radii(reach: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Without and with rounding, if no image moves farther than its reach; and the slopes."""
        slopes, rounded = margins_growth(exact, labels, Seen(norms, reach))
        slopes = np.maximum(slopes, FLAT)
        exactly, certainly = (
            (left / slopes).min(axis=1).clip(0.0) for left in (margins, margins - rounded / SAFELY)
        )
        return exactly, certainly * SAFELY, slopes

    reach, _, _ = radii(np.zeros(len(labels)))
    exactly, l2, slopes = radii(reach)
    given = logits_of(network, images, portion(images.shape[1:])).argmax(axis=1)
    rmse = l2 / np.sqrt(images[0].size)
    return LipschitzCertificate(
        ara=accuracy_robustness_area(rmse, num_classes, seed=seed),
        accuracy=float(np.mean(given == labels)),
        l2=l2,
        rmse=rmse,
        slope=float(slopes[np.isfinite(margins)].max()),
        rounding=float(np.mean(exactly - l2)),
        seconds=time.perf_counter() - began,
        seed=seed,
    )


def _check_precision(network: keras.Model) -> None:
    """Refuses layers that round more than float32 does."""
    for layer in network._flatten_layers(include_self=False):
        if layer.compute_dtype not in ("float32", "float64"):
            raise InputError(
                f"expected layers that compute in float32, but {layer.name} computes in "
                f"{layer.compute_dtype}: take tfrobust.models.convert.full_precision(network)"
            )


def _exact_pass(
    network: keras.Model, images: np.ndarray
) -> tuple[dict[int, np.ndarray], np.ndarray]:
    """The L2 norm of every tensor for every image, by the tensor's identity, and the logits.

    Args:
        network: in float64.
        images: float32 (N, H, W, C).
    """
    graph = getattr(network, "_functional", None) or network
    nodes = [node for depth in graph._nodes_by_depth.values() for node in depth]
    tensors = [*network.outputs, *(one for node in nodes for one in node.outputs)]
    ask = keras.Model(network.inputs, tensors)
    norms, logits = [], []
    size = portion(images.shape[1:])
    for start in range(0, len(images), size):
        found = ask(tf.constant(images[start : start + size]), training=False)
        logits.append(found[0].numpy())
        flat = [tf.reshape(tf.cast(one, tf.float64), (len(one), -1)) for one in found]
        norms.append([tf.norm(one, axis=1).numpy() for one in flat])
    each = [np.concatenate(parts) for parts in zip(*norms, strict=True)]
    known = zip(tensors, each, strict=True)
    return {id(tensor): norm for tensor, norm in known}, np.concatenate(logits).astype(np.float64)
