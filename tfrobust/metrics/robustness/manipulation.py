"""Manipulation of explanations: the picture looks the same, the class stays, the map does not.

What the attacker wants, a goal, is followed step by step along its own gradient, inside a ball
around the image, as in Ghorbani et al., arXiv 1710.10547. The gradient of a gradient of a ReLU
network is zero almost everywhere, so it is taken of the same network with softplus in the place
of ReLU, as in Dombrowski et al., arXiv 1906.07983. Where there is none even so, a random search
stands in. Integrated Gradients of many steps are followed at fewer (`Method.coarse`). What counts
in the end are the whole method's maps of the network itself.
"""

import dataclasses
import functools
from typing import Any

import numpy as np

from tfrobust.core.batching import batches
from tfrobust.core.classifier import Classifier, Model
from tfrobust.core.config import Configured
from tfrobust.core.door import as_classifier
from tfrobust.errors import InputError
from tfrobust.explanations.base import Method
from tfrobust.explanations.explanation import Explanation
from tfrobust.explanations.targets import question
from tfrobust.metrics.robustness.goals.goal import Goal
from tfrobust.metrics.robustness.goals.rank_order import RankOrder
from tfrobust.metrics.robustness.map_walk import Ball, Walk
from tfrobust.metrics.similarity import rank_correlation, top_k_overlap
from tfrobust.models.convert import softplus


@dataclasses.dataclass(frozen=True)
class ManipulatedExplanation:
    """What an attack made of a method's explanations of N images.

    Args:
        adversarials: float32 (N, H, W, C) in [0, 1]; the network predicts what it did, or another
            class where the goal asks for one. The image itself where nothing was found.
        rmse: float32 (N,), size of the change in units of pixels from 0 to 1.
        before: the explanations of the images.
        after: those of `adversarials`, of the same targets.
        rank_correlation: float64 (N,), Spearman's correlation of the maps before and after.
        top_k_overlap: float64 (N,), the part of the most important pixels that stayed so.
        loss: float64 (N,), what the goal came to: see `Goal.loss`.
        noise_rank_correlation: float64 (N,), for noise of the size allowed, to compare with.
        noise_top_k_overlap: float64 (N,), likewise.
        noise_loss: float64 (N,), likewise.
        by_gradient: bool (N,), whether the map had a gradient to follow; a random search if not.
        surrogate: whose gradient was followed: "the network" or "the network with softplus".
    """

    adversarials: np.ndarray
    rmse: np.ndarray
    before: Explanation
    after: Explanation
    rank_correlation: np.ndarray
    top_k_overlap: np.ndarray
    loss: np.ndarray
    noise_rank_correlation: np.ndarray
    noise_top_k_overlap: np.ndarray
    noise_loss: np.ndarray
    by_gradient: np.ndarray
    surrogate: str


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Manipulation(Configured):
    """Looks for the change of a given size that keeps the class and changes a map the most.

    Args:
        goal: what the change is to reach; `RankOrder()` when None.
        rho: the largest change, RMSE in units of pixels from 0 to 1.
        steps: gradients taken per start.
        restarts: random starts; the best of all counts.
        sharpness: β of the softplus that stands for ReLU while gradients are taken.
        top_share: the most important pixels' share of all, for the overlap.
        seed: of starts and random directions.
        batch_size: images that the network sees at a time.

    Source: arXiv 1710.10547.
    """

    goal: Goal | None = None
    rho: float = 0.01
    steps: int = 50
    restarts: int = 2
    sharpness: float = 30.0
    top_share: float = 0.1
    seed: int = 0
    batch_size: int = 32

    def __post_init__(self) -> None:
        if not 0 < self.rho <= 1 or not self.sharpness > 0 or not 0 < self.top_share <= 1:
            raise InputError(
                "expected a size and a share above 0 and at most 1 and a sharpness above 0, got "
                f"{self.rho}, {self.top_share}, {self.sharpness}"
            )
        if min(self.steps, self.restarts, self.batch_size) < 1:
            raise InputError(
                "expected steps, restarts and a batch_size of at least 1, got "
                f"{self.steps}, {self.restarts}, {self.batch_size}"
            )

    def __call__(
        self, model: Model, method: Method, images: Any, targets: Any = None
    ) -> ManipulatedExplanation:
        """Attacks a method's explanations of images.

        Args:
            model: what `as_classifier` takes.
            method: whose maps are to change.
            images: float (N, H, W, C) in [0, 1].
            targets: int (N,) or a single int, the class explained; None or −1 for the predicted.

        Returns:
            The changed images and how far their maps are from what they were.

        Raises:
            InputError: what the method or the goal refuses.
        """
        network, images, targets = question(model, images, targets)
        goal = self.goal or RankOrder()
        before = method(network, images, targets)
        reference = goal.reference(before.map)
        surrogate = _smooth(network, self.sharpness)
        followed_method = method.coarse()
        size = max(1, min(len(images), self.batch_size // followed_method.passes(images)))
        rng, ball = np.random.default_rng(self.seed), Ball(self.rho)
        best, lowest = images.copy(), goal.loss(before.map, before.map)
        lowest = lowest if goal.keeps_class else np.full(len(images), np.inf)
        by_gradient, noise = np.zeros(len(images), bool), images
        for restart in range(self.restarts):
            start = ball.inside(images, ball.surface(rng.normal(size=images.shape)))
            noise = np.clip(images + start, 0, 1) if restart == 0 else noise
            found = np.empty_like(images)
            for rows, count in batches(len(images), size):
                walk = Walk(
                    followed_method,
                    goal,
                    network,
                    surrogate,
                    ball,
                    self.steps,
                    (self.seed, int(rows[0])),
                )
                walked, followed = walk(
                    images[rows], before.target[rows], reference[rows], start[rows]
                )
                found[rows[:count]] = walked[:count]
                by_gradient[rows[:count]] |= followed[:count]
            reached = goal.loss(before.map, method(network, found, before.target).map)
            better = reached < lowest
            if not goal.keeps_class:
                better &= (found != images).any(axis=(1, 2, 3))
            best[better], lowest[better] = found[better], reached[better]
        after = method(network, best, before.target)
        by_noise = method(network, noise, before.target)
        return ManipulatedExplanation(
            adversarials=best,
            rmse=np.sqrt(np.mean(np.square(best - images), axis=(1, 2, 3))),
            before=before,
            after=after,
            rank_correlation=rank_correlation(before.map, after.map),
            top_k_overlap=top_k_overlap(before.map, after.map, share=self.top_share),
            loss=goal.loss(before.map, after.map),
            noise_rank_correlation=rank_correlation(before.map, by_noise.map),
            noise_top_k_overlap=top_k_overlap(before.map, by_noise.map, share=self.top_share),
            noise_loss=goal.loss(before.map, by_noise.map),
            by_gradient=by_gradient,
            surrogate="the network" if surrogate is network else "the network with softplus",
        )


def _smooth(network: Classifier, sharpness: float) -> Classifier:
    """The network with softplus for ReLU; itself where it has no plain ReLU that is known."""
    twin = _twin(network, sharpness)
    if twin is not network and twin.network is not None and network.network is not None:
        # The network may have been trained on since its twin was made.
        twin.network.set_weights(network.network.get_weights())
    return twin


@functools.lru_cache(maxsize=8)
def _twin(network: Classifier, sharpness: float) -> Classifier:
    """Made once for a network, so that programs of the twin are compiled once as well."""
    if network.network is None:
        return network
    try:
        return as_classifier(softplus(network.network, sharpness=sharpness))
    except InputError:
        return network
