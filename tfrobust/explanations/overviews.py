"""An overview of what a network sees in images: for each, the explanations that figures show."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfrobust.core.classifier import Classifier, Model
from tfrobust.core.door import as_classifier
from tfrobust.core.files import write_atomically
from tfrobust.core.presenters import present
from tfrobust.errors import InputError
from tfrobust.explanations.adversarial import explain
from tfrobust.explanations.base import Method
from tfrobust.explanations.explanation import Explanation
from tfrobust.explanations.grad_cam import GradCAM
from tfrobust.explanations.smallest_change import SmallestChange
from tfrobust.explanations.targets import rivals


@dataclasses.dataclass(frozen=True, kw_only=True)
class Overview:
    """Explanations of N images side by side, as in the figures of arXiv 1906.02896.

    Args:
        images: float32 (N, H, W, C) in [0, 1].
        logits: float32 (N, K), the network's answers to the images.
        surer: g_explain+ of each image's target.
        less_sure: g_explain− of each image's target.
        rival: g_explain+ of the class that is likeliest beside the target.
        others: for each further method's name its explanation, or None if the method cannot
            explain this network.
    """

    images: np.ndarray
    logits: np.ndarray
    surer: Explanation
    less_sure: Explanation
    rival: Explanation
    others: Mapping[str, Explanation | None]

    def to_png(
        self, path: str | Path, class_names: Sequence[str] = (), *, labels: Any = None
    ) -> None:
        """Writes a picture with a row for each image.

        Args:
            path: the file; its folder is made if it does not exist.
            class_names: K names; without them classes have numbers.
            labels: int (N,), the true classes; None if they are not known.

        Raises:
            InputError: the file cannot be written, there is no image, the images are neither grey
                nor colour, or names or labels do not fit.
        """
        write_atomically(path, present(self, "png")(class_names, labels=labels))


def overview(
    network: Model,
    images: Any,
    targets: Any = None,
    *,
    rho: float = 0.1,
    methods: Sequence[Method] | None = None,
) -> Overview:
    """Explains images in the ways that a figure sets side by side.

    Args:
        network: what `as_classifier` takes; its gradient is used.
        images: float (N, H, W, C) in [0, 1].
        targets: int (N,) or a single int, the class to explain; None or −1 for the predicted.
        rho: the size of the adversarial explanations, RMSE of pixels from 0 to 1.
        methods: further methods; None takes Grad-CAM. `SmallestChange` is asked for any other
            class, the others for the target.

    Returns:
        The overview.

    Raises:
        InputError: what `explain` refuses.
    """
    network, images = as_classifier(network), np.asarray(images, np.float32)
    surer = explain(network, images, targets, rho=rho)
    less_sure = explain(network, images, surer.target, rho=rho, direction=-1)
    rival = explain(network, images, rivals(network, images, surer.target), rho=rho)
    return Overview(
        images=images,
        logits=np.asarray(network(images)),
        surer=surer,
        less_sure=less_sure,
        rival=rival,
        others=by_methods(
            [GradCAM()] if methods is None else methods, network, images, surer.target
        ),
    )


def by_methods(
    methods: Sequence[Method], network: Classifier, images: np.ndarray, targets: np.ndarray
) -> dict[str, Explanation | None]:
    """Explains images by several methods.

    Args:
        methods: `SmallestChange` is asked for any other class, the others for the target.
        network: the classifier.
        images: float32 (N, H, W, C) in [0, 1].
        targets: int32 (N,), the classes to explain.

    Returns:
        For each method's name its explanation; None if it cannot explain this network.
    """
    found: dict[str, Explanation | None] = {}
    for method in methods:
        asked = None if isinstance(method, SmallestChange) else targets
        try:
            found[method.name] = method(network, images, asked)
        except InputError:
            # For instance, Grad-CAM needs a layer that a small network may lack.
            found[method.name] = None
    return found
