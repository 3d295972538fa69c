"""Randomized smoothing: certified radii of the smoothed network.

The smoothed network gives an image the class that the network gives most often when Gaussian noise
is added to the image. It is another classifier than the network. The radii bound its robustness,
and say nothing about the network itself. The network should be trained on noise to do well here.

Source: Cohen, Rosenfeld, Kolter, arXiv 1902.02918.
"""

import time
from typing import Any

import numpy as np

from tfrobust.certification.certificate import (
    ABSTAINED,
    ALPHA,
    CHOOSING_DRAWS,
    Certificate,
    certified_radius,
    check_settings,
)
from tfrobust.certification.sampling import Use, checked_inputs
from tfrobust.certification.votes import Poll
from tfrobust.core.ara import accuracy_robustness_area
from tfrobust.core.classifier import Model
from tfrobust.core.door import as_classifier
from tfrobust.core.input_range import Range


def certify(
    network: Model,
    images: Any,
    labels: Any = None,
    *,
    input_range: Range | None = None,
    sigma: float = 0.25,
    n0: int = CHOOSING_DRAWS,
    n: int = 1000,
    alpha: float = ALPHA,
    seed: int = 0,
    numbers: Any = None,
    progress: bool = True,
) -> Certificate:
    """Certifies the smoothed network around images.

    For each image n0 draws choose a class, and n other draws count how often the network gives
    it. Clopper and Pearson's limit turns the count into a probability that the class has at least,
    and the probability gives the radius. An image's draws depend on the seed and the image's number
    alone. So a data set can be certified in parts, and the certificate is the same.

    The largest radius that n draws can certify is σ·Φ⁻¹(α^(1/n)). If many images reach it, more
    draws give a larger area.

    Args:
        network: what `as_classifier` takes; it needs no gradient.
        images: float (N, H, W, C) in [0, 1] or uint8, at least one; or a tf.data.Dataset of pairs
            of images and labels.
        labels: int (N,), the true classes, from 0 to K − 1; None beside a data set.
        input_range: the lowest and the highest pixel that the network takes, as (0, 255), for a
            network that does not take pixels from 0 to 1. The images are from 0 to 1 all the same.
        sigma: σ, the standard deviation of the noise, above 0, in units of pixels from 0 to 1.
        n0: how many draws choose the class, at least 1.
        n: how many draws estimate its probability, more than log2(1/α).
        alpha: for each image the probability that its radius is wrong, between 0 and 1. All N
            radii are right with a probability of at least 1 − Nα.
        seed: the seed of the draws, 0 or above.
        numbers: int (N,), which image of its data set each one is; None for 0 to N − 1.
        progress: whether to show a bar with the rate on stderr.

    Returns:
        The certificate. An image has radius 0 if the smoothed network is wrong or abstains.

    Raises:
        InputError: the input cannot be certified, which is said before the long work begins; or
            the network gives logits that are not finite.

    Source: arXiv 1902.02918, CERTIFY.
    """
    check_settings(sigma=sigma, n0=n0, n=n, alpha=alpha, seed=seed)
    network = as_classifier(network, input_range=input_range)
    network, images, labels, numbers, num_classes = checked_inputs(network, images, labels, numbers)
    began = time.perf_counter()
    chosen, votes = [], []
    with Poll(network, sigma, seed, len(images) * (n0 + n), "certifying", progress) as poll:
        for image, number in zip(images, numbers.tolist(), strict=True):
            chosen.append(int(poll(image, number, Use.CHOOSE, n0).argmax()))
            votes.append(poll(image, number, Use.ESTIMATE, n)[chosen[-1]])
    radius = certified_radius(np.array(votes), n, sigma=sigma, alpha=alpha)
    predicted = np.where(radius > 0, chosen, ABSTAINED)
    right = predicted == labels
    l2 = np.where(right, radius, 0.0)
    rmse = l2 / np.sqrt(images[0].size)
    return Certificate(
        ara=accuracy_robustness_area(rmse, num_classes, seed=seed),
        accuracy=float(right.mean()),
        abstained=int((predicted == ABSTAINED).sum()),
        predicted=predicted,
        votes=np.array(votes),
        l2=l2,
        rmse=rmse,
        sigma=float(sigma),
        n0=n0,
        n=n,
        alpha=float(alpha),
        num_classes=num_classes,
        seed=seed,
        seconds=time.perf_counter() - began,
    )
