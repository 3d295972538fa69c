"""Several methods by all measures, or under one attack on their maps, as a table."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tfrobust.core.classifier import Model
from tfrobust.errors import InputError
from tfrobust.explanations.adversarial import Adversarial
from tfrobust.explanations.base import Method
from tfrobust.explanations.targets import question
from tfrobust.metrics.faithfulness.deletion import Deletion, Insertion
from tfrobust.metrics.perturbations.monotonicity import SIZES, monotonicity
from tfrobust.metrics.robustness.manipulation import Manipulation
from tfrobust.metrics.robustness.stability import Stability
from tfrobust.metrics.sanity.randomization import Randomization
from tfrobust.metrics.table import Table


def compare(
    network: keras.Model,
    images: Any,
    methods: Sequence[Method],
    targets: Any = None,
    *,
    rhos: Sequence[float] = SIZES,
    noise: float = 0.01,
    fill: float = 0.5,
    seed: int = 0,
) -> Table:
    """Every method on the same images, in one table with 95 % bootstrap intervals over images.

    Args:
        network: a Keras classifier.
        images: float (N, H, W, C) in [0, 1], N at least 1.
        methods: what to compare; their names must differ.
        targets: int (N,) or a single int; None or −1 for the predicted class.
        rhos: sizes at which g_explain+ and − are followed.
        noise: RMSE of the noise that tests stability.
        fill: what covers pixels for deletion and insertion, from 0 to 1.
        seed: of noise and shuffles.

    Returns:
        The table. Only adversarial explanations have a direction in which to follow them.

    Raises:
        InputError: no image, methods of one name, or what the methods refuse.
    """
    classifier, images, targets = question(network, images, targets)
    _check_comparison(images, methods)
    deletion, insertion = Deletion(fill=fill), Insertion(fill=fill)
    randomization, stability = Randomization(levels=1, seed=seed), Stability(rmse=noise, seed=seed)
    followed = None
    rows: dict[str, tuple[np.ndarray | None, ...]] = {}
    for method in methods:
        found = method(classifier, images, targets)
        if isinstance(method, Adversarial) and followed is None:
            way = monotonicity(classifier, images, targets, rhos=rhos)
            followed = (way.rises & way.falls, way.monotonic)
        random = randomization(classifier, method, images, before=found).rank_correlation[-1]
        rows[method.name] = (
            *(followed if isinstance(method, Adversarial) and followed else (None, None)),
            deletion(classifier, images, found.target, found.map),
            insertion(classifier, images, found.target, found.map),
            random,
            stability(classifier, method, images, before=found),
        )
    columns = (
        "confidence follows ↑",
        "monotonic in ρ ↑",
        "deletion ↓",
        "insertion ↑",
        "after randomisation → 0",
        "after noise ↑",
    )
    sizes = ", ".join(f"{rho:g}" for rho in rhos)
    note = (
        f"{len(images)} images; 95 % bootstrap intervals over images. Confidence follows: share "
        f"of images whose target is no less sure along g_explain+ and no surer along − at RMSE "
        f"{sizes}. Deletion and insertion: area under the target's confidence, pixels covered "
        f"with {fill:g}. The last two: Spearman's correlation of maps, all layers' weights "
        f"shuffled; normal noise of RMSE {noise:g}."
    )
    return Table(columns, rows, note)


def compare_manipulated(
    manipulation: Manipulation,
    model: Model,
    images: Any,
    methods: Sequence[Method],
    targets: Any = None,
) -> Table:
    """Every method's maps under the same attack on the same images, with intervals.

    Args:
        manipulation: the attack on the maps.
        model: what `as_classifier` takes.
        images: float (N, H, W, C) in [0, 1], N at least 1.
        methods: whose maps are attacked; their names must differ.
        targets: int (N,) or a single int; None or −1 for the predicted class.

    Returns:
        Rank correlation and top-k overlap with the maps of the images, for noise of the same
        size and for the attack.

    Raises:
        InputError: no image, methods of one name, or what the methods refuse.
    """
    _check_comparison(images, methods)
    rows: dict[str, tuple[np.ndarray | None, ...]] = {}
    ways = []
    for method in methods:
        found = manipulation(model, method, images, targets)
        rows[method.name] = (
            found.noise_rank_correlation,
            found.rank_correlation,
            found.noise_top_k_overlap,
            found.top_k_overlap,
        )
        way = f"gradients of {found.surrogate} for {found.by_gradient.sum()}"
        ways.append(f"{method.name}: {way}")
    columns = (
        "rank correlation, noise",
        "rank correlation, attack",
        f"top {manipulation.top_share:.0%} in common, noise",
        f"top {manipulation.top_share:.0%} in common, attack",
    )
    note = (
        f"{len(images)} images; 95 % bootstrap intervals over images. Maps of the image and "
        f"of the image changed by RMSE {manipulation.rho:g} at most: by noise, whose class may "
        f"change, and by an attack that keeps the class, with {manipulation.restarts} × "
        f"{manipulation.steps} steps. "
        f"Followed ({len(images)} images each, a random search for the rest): {'; '.join(ways)}."
    )
    return Table(columns, rows, note)


def _check_comparison(images: Any, methods: Sequence[Method]) -> None:
    names = [method.name for method in methods]
    if not len(images) or not names or len(set(names)) < len(names):
        raise InputError(
            "expected at least one image, and at least one method, each of another name, got "
            f"{len(images)} images and {names}"
        )
