"""AttackBench's figures: what an attack found after how many propagations, and its optimality.

A propagation is a forward or a backward pass of one image, as AttackBench counts them
(arXiv 2404.19460). This module needs NumPy only.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

# Up to how many propagations the best so far is kept.
KEPT = (10, 25, 40, 60, 100, 140, 200, 400, 800, 2000)
BUDGETS = (25, 60, 200, 2000)
# A pixel may leave [0, 1] by the rounding of float32.
ROUNDING = 1e-6


class Spent(Exception):
    """All images have used up their propagations."""


class Trail:
    """Counts the propagations of each image, and keeps the smallest perturbation so far.

    Args:
        images: float32 (N, C, H, W) in [0, 1], correctly classified.
        labels: int (N,).
        limit: propagations an image, beyond which `forward` raises `Spent`; None for no limit.

    Attributes:
        forwards, backwards: int (N,).
        best: float64 (N,), the smallest L2 norm so far; infinite where nothing was found.
        points: float32 (N, C, H, W), where it was found.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, limit: int | None = None) -> None:
        self.images, self.labels, self.limit = images, labels, limit
        self.forwards, self.backwards = np.zeros((2, len(images)), int)
        self.best = np.full(len(images), np.inf)
        self.points = images.copy()
        self._found: list[list[tuple[int, float]]] = [[] for _ in images]

    @property
    def propagations(self) -> np.ndarray:
        """Forwards and backwards so far, int (N,)."""
        return self.forwards + self.backwards

    def owners(self, points: np.ndarray) -> np.ndarray:
        """Of which image each of M points is a perturbation, int (M,).

        As many points as images are in the images' order, unless most of them lie nearer to
        other images. Of another number each belongs to the image that it is nearest to.
        """
        flat, taken = self.images.reshape(len(self.images), -1), points.reshape(len(points), -1)
        apart = (taken**2).sum(1)[:, None] - 2 * taken @ flat.T + (flat**2).sum(1)
        nearest, order = apart.argmin(axis=1), np.arange(len(points))
        in_order = len(points) == len(self.images) and (nearest == order).mean() >= 0.5
        return order if in_order else nearest

    def forward(self, points: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """Takes note of a forward pass.

        Args:
            points: float32 (M, C, H, W), what was asked about.
            logits: float (M, K), the answers.

        Returns:
            int (M,), what `backward` is told when a gradient of these answers is taken. It is −1
            for a point that fills a batch up, as it is there already.
        """
        owners = self.owners(points)
        seen: set[tuple[int, bytes]] = set()
        for row, owner in enumerate(owners):
            if (key := (int(owner), points[row].tobytes())) in seen:
                owners[row] = -1
            seen.add(key)
        rows = np.flatnonzero(owners >= 0)
        np.add.at(self.forwards, owners[rows], 1)
        for row in rows:
            point, owner = points[row], owners[row]
            inside = point.min() >= -ROUNDING and point.max() <= 1 + ROUNDING
            if inside and logits[row].argmax() != self.labels[owner]:
                self._keep(owner, point)
        return owners

    def backward(self, owners: np.ndarray) -> None:
        """Takes note of a backward pass of what `forward` gave."""
        np.add.at(self.backwards, owners[owners >= 0], 1)

    def check(self) -> None:
        """Raises `Spent` where no image has propagations left."""
        if self.limit is not None and self.propagations.min() >= self.limit:
            raise Spent

    def at(self, budget: int) -> np.ndarray:
        """The smallest L2 norms within so many propagations an image, float64 (N,)."""
        known = [[size for used, size in one if used <= budget] for one in self._found]
        return np.array([min(one, default=np.inf) for one in known])

    def _keep(self, owner: int, point: np.ndarray) -> None:
        size = float(np.linalg.norm((point.astype(np.float64) - self.images[owner]).ravel()))
        if size < self.best[owner]:
            self.best[owner], self.points[owner] = size, point
            self._found[owner].append((int(self.propagations[owner]), size))


def envelope(distances: Sequence[np.ndarray]) -> np.ndarray:
    """For each image the smallest distance of all attacks."""
    return np.min(np.stack(list(distances)), axis=0)


def optimality(distances: np.ndarray, best: np.ndarray) -> float:
    """AttackBench's local optimality: 1 for the envelope, 0 for an attack that finds nothing.

    It is 1 − (A − A*)/(A₀ − A*). A is the area under robust accuracy against distance, up to the
    distance ε₀ at which the envelope reaches zero; A* is the envelope's, and A₀ that of no attack.
    Robust accuracy is a step function, whose area is taken exactly: the mean of min(d, ε₀).
    AttackBench's code takes trapezoids from the first distance on, which is the same for many
    images.

    Args:
        distances: float (N,), infinite where nothing was found.
        best: float (N,), the envelope's. Images for which it is infinite are left out.

    Source: arXiv 2404.19460, the third stage of its framework.
    """
    known = np.isfinite(best)
    distances, best = distances[known], best[known]
    if not len(best) or best.max() == 0:
        return 1.0
    farthest = best.max()
    area, least = np.minimum(distances, farthest).mean(), best.mean()
    none = farthest * (best > 0).mean()
    return 1.0 if none <= least else float(1 - (area - least) / (none - least))


def distances_of(row: Mapping[str, Any], budget: int) -> np.ndarray:
    """What a row of the results found within a budget, float64 (N,)."""
    kept = max(int(one) for one in row["distances"] if int(one) <= budget)
    return np.array([np.inf if one is None else one for one in row["distances"][str(kept)]])


def local(rows: Sequence[Mapping[str, Any]], budget: int) -> dict[tuple[str, str], float]:
    """The optimality of each (model, attack) within a budget.

    An attack may have been run several times, with settings for several budgets: the run that is
    best at this budget counts. The envelope is that of all runs at their ends.
    """
    found: dict[tuple[str, str], float] = {}
    for model in dict.fromkeys(row["model"] for row in rows):
        own = [row for row in rows if row["model"] == model]
        best = envelope([distances_of(row, KEPT[-1]) for row in own])
        for row in own:
            key = (model, row["attack"])
            value = optimality(distances_of(row, budget), best)
            found[key] = max(value, found.get(key, -np.inf))
    return found


def models_of(rows: Sequence[Mapping[str, Any]], budget: int) -> list[str]:
    """The models on which at least three quarters of the attacks were run for a budget."""
    counts = Counter(row["model"] for row in rows if row["budget"] == budget)
    return [model for model, count in counts.items() if 4 * count >= 3 * max(counts.values())]


def compiled(rows: Sequence[Mapping[str, Any]], fields: Sequence[str]) -> list[dict[str, Any]]:
    """One record for each (model, attack), as AttackBench's site is made of.

    Args:
        rows: the results.
        fields: what a record takes over from the run that is best within the largest budget. Its
            optimality is added.
    """
    records: dict[tuple[str, str], dict[str, Any]] = {}
    for model in dict.fromkeys(row["model"] for row in rows):
        own = [row for row in rows if row["model"] == model]
        best = envelope([distances_of(row, KEPT[-1]) for row in own])
        for row in own:
            value = round(optimality(distances_of(row, KEPT[-1]), best), 4)
            known = records.get((model, row["attack"]))
            if known is None or value > known["optimality"]:
                records[model, row["attack"]] = {
                    **{name: row[name] for name in fields},
                    "optimality": value,
                }
    return list(records.values())


def overall(
    rows: Sequence[Mapping[str, Any]], models: Sequence[str], budget: int, kept: int
) -> dict[str, float]:
    """Global optimality: the mean over models.

    Args:
        rows: the results.
        models: which; an attack must have been run for the budget on each of them.
        budget: the one that attacks were run for.
        kept: the propagations that they are judged by, at most `budget`.
    """
    found = local(rows, kept)
    run = {(row["model"], row["attack"]) for row in rows if row["budget"] == budget}
    names = dict.fromkeys(row["attack"] for row in rows)
    return {
        name: float(np.mean([found[model, name] for model in models]))
        for name in names
        if all((model, name) in run for model in models)
    }
