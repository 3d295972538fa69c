"""How well an explanation tells what the network does: measures, and one table of all methods."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tfrobust.core.classifier import Model
from tfrobust.errors import InputError
from tfrobust.explanations.adversarial import Adversarial, at_sizes
from tfrobust.explanations.base import Method
from tfrobust.explanations.explanation import Explanation
from tfrobust.explanations.targets import question
from tfrobust.metrics.deletion import deletion, insertion
from tfrobust.metrics.explanation_attack import ExplanationAttack
from tfrobust.metrics.randomization import randomization
from tfrobust.metrics.similarity import rank_correlation
from tfrobust.metrics.table import Table

SIZES = (0.025, 0.05, 0.1)
# Of confidences near 1, float32 tells no finer differences for sure.
ROUNDING = 1e-6


@dataclasses.dataclass(frozen=True)
class Following:
    """Whether the target's confidence follows g_explain+ and g_explain− of growing sizes.

    Args:
        rhos: float (S,), the sizes, RMSE in units of pixels from 0 to 1.
        surer: float32 (S + 1, N), confidence along g_explain+, the image itself first.
        less: float32 (S + 1, N), along g_explain−.
    """

    rhos: np.ndarray
    surer: np.ndarray
    less: np.ndarray

    @property
    def rises(self) -> np.ndarray:
        """bool (N,): g_explain+ of no size is below the image."""
        return (self.surer[1:] >= self.surer[0] - ROUNDING).all(axis=0)

    @property
    def falls(self) -> np.ndarray:
        """bool (N,): g_explain− of no size is above the image."""
        return (self.less[1:] <= self.less[0] + ROUNDING).all(axis=0)

    @property
    def monotonic(self) -> np.ndarray:
        """bool (N,): more is never the other way: up along +, down along −."""
        up, down = np.diff(self.surer, axis=0), np.diff(self.less, axis=0)
        return np.all((up >= -ROUNDING) & (down <= ROUNDING), axis=0)


def following(
    model: Model, images: Any, targets: Any = None, *, rhos: Sequence[float] = SIZES
) -> Following:
    """Walks g_explain+ and − at several sizes and notes the target's confidence.

    Args:
        model: what `as_classifier` takes; its gradient is used.
        images: float (N, H, W, C) in [0, 1].
        targets: int (N,) or a single int; None or −1 for the predicted class.
        rhos: the sizes, RMSE in units of pixels from 0 to 1, rising.

    Returns:
        The confidences.

    Raises:
        InputError: sizes that do not rise, or what `explain` refuses.
    """
    if list(rhos) != sorted(set(rhos)):
        raise InputError(f"expected sizes that rise, got {rhos}")
    curves = []
    for direction in (1, -1):
        found = at_sizes(model, images, targets, rhos=rhos, direction=direction)
        after = [one.confidence_after for one in found]
        curves.append(np.stack([found[0].confidence_before, *after]))
    return Following(np.asarray(rhos), *curves)


def stability(
    model: Model,
    method: Method,
    images: Any,
    targets: Any = None,
    *,
    rmse: float = 0.01,
    draws: int = 3,
    seed: int = 0,
    before: Explanation | None = None,
) -> np.ndarray:
    """How alike a method's maps stay when an image is changed at random.

    Args:
        model: what `as_classifier` takes.
        method: what makes the maps.
        images: float (N, H, W, C) in [0, 1].
        targets: int (N,) or a single int; None or −1 for the class predicted for the image
            without noise.
        rmse: size of the normal noise before it is cut to [0, 1].
        draws: how many noises an image; the mean counts.
        seed: of the noise.
        before: the method's explanation without noise, where that is known.

    Returns:
        float64 (N,), Spearman's correlation of the maps without and with noise: near 1 is right.

    Raises:
        InputError: a negative size, no draw, or what the method refuses.
    """
    if not rmse >= 0 or draws < 1:
        raise InputError(f"expected a size not below 0 and at least 1 draw, got {rmse}, {draws}")
    network, images, targets = question(model, images, targets)
    before = before or method(network, images, targets)
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        noisy = np.clip(images + rng.normal(0, rmse, images.shape), 0, 1)
        found.append(rank_correlation(before.map, method(network, noisy, before.target).map))
    return np.mean(found, axis=0)


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
    followed = None
    rows: dict[str, tuple[np.ndarray | None, ...]] = {}
    for method in methods:
        found = method(classifier, images, targets)
        if isinstance(method, Adversarial) and followed is None:
            way = following(classifier, images, targets, rhos=rhos)
            followed = (way.rises & way.falls, way.monotonic)
        random = randomization(
            classifier, method, images, levels=1, seed=seed, before=found
        ).rank_correlation[-1]
        rows[method.name] = (
            *(followed if isinstance(method, Adversarial) and followed else (None, None)),
            deletion(classifier, images, found.target, found.map, fill=fill),
            insertion(classifier, images, found.target, found.map, fill=fill),
            random,
            stability(classifier, method, images, rmse=noise, seed=seed, before=found),
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


def compare_attacked(
    attack: ExplanationAttack,
    model: Model,
    images: Any,
    methods: Sequence[Method],
    targets: Any = None,
) -> Table:
    """Every method's maps under the same attack on the same images, with intervals.

    Args:
        attack: the attack.
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
        found = attack(model, method, images, targets)
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
        f"top {attack.top_share:.0%} in common, noise",
        f"top {attack.top_share:.0%} in common, attack",
    )
    note = (
        f"{len(images)} images; 95 % bootstrap intervals over images. Maps of the image and "
        f"of the image changed by RMSE {attack.rho:g} at most: by noise, whose class may change, "
        f"and by an attack that keeps the class, with {attack.restarts} × {attack.steps} steps. "
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
