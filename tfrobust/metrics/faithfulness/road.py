"""ROAD: remove and debias. What is removed is filled in from its neighbours, not by one colour.

A patch of one colour is itself a sign that networks react to, and its shape tells them what was
there. Filled in from the neighbours, what was removed leaves no such traces.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.linalg import spsolve

from tfrobust.core.classifier import Model
from tfrobust.errors import InputError
from tfrobust.metrics.scores import Score, judged
from tfrobust.metrics.similarity import ranks_from_the_top

SHARES = (0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
# Rows down, columns across, and weights: direct neighbours count twice as much as diagonal ones.
NEIGHBOURS = [
    (down, across, 1 / 6 if 0 in (down, across) else 1 / 12)
    for down in (-1, 0, 1)
    for across in (-1, 0, 1)
    if (down, across) != (0, 0)
]


def road(
    model: Model,
    images: Any,
    targets: Any,
    maps: np.ndarray,
    *,
    shares: Sequence[float] = SHARES,
    noise: float = 0.01,
    score: Score = "confidence",
    seed: int = 0,
    batch_size: int = 32,
) -> np.ndarray:
    """The mean score while the most important pixels are removed and filled in.

    Args:
        model, images, targets: as for `deletion`.
        maps: float (N, H, W).
        shares: float (S,), which shares of the pixels are removed, above 0 and below 1.
        noise: standard deviation of the noise on what is filled in, at least 0.
        score: what is followed: "confidence" or "logit".
        seed: of the noise.
        batch_size: images that the network sees at a time.

    Returns:
        float64 (N,): the smaller, the better the map.

    Raises:
        InputError: what `deletion` refuses, or an option out of range.

    Source: Rong et al., arXiv 2202.00449, section 4 (noisy linear imputation; most relevant first).
    """
    asked = judged(model, images, targets, maps, score, batch_size)
    if not len(shares) or not all(0 < share < 1 for share in shares) or not noise >= 0:
        raise InputError(
            "expected shares above 0 and below 1 and a noise of at least 0, got "
            f"{tuple(shares)}, {noise}"
        )
    if not len(asked.images):
        return np.zeros(0)
    rng = np.random.default_rng(seed)
    place = ranks_from_the_top(asked.maps)
    found = []
    for share in shares:
        # One pixel at least stays, to fill the others in from.
        gone = place < min(round(share * asked.maps[0].size), asked.maps[0].size - 1)
        filled = np.stack([impute(*pair) for pair in zip(asked.images, gone, strict=True)])
        shaken = filled + rng.normal(0, noise, filled.shape) * gone[..., None]
        found.append(asked.scores(np.clip(shaken, 0, 1)))
    return np.mean(found, axis=0)


def impute(image: np.ndarray, gone: np.ndarray) -> np.ndarray:
    """Fills in pixels so that each is the weighted mean of its neighbours.

    Args:
        image: float (H, W, C).
        gone: bool (H, W), which pixels are to be filled in; not all of them.

    Returns:
        float32 (H, W, C).
    """
    filled = np.array(image, np.float32)
    rows, columns = np.nonzero(gone)
    if not len(rows):
        return filled
    height, width = gone.shape
    number = np.full(gone.shape, -1)
    number[rows, columns] = np.arange(len(rows))
    diagonal = np.zeros(len(rows))
    known = np.zeros((len(rows), image.shape[-1]))
    entries: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for down, across, weight in NEIGHBOURS:
        there, beside = rows + down, columns + across
        inside = (there >= 0) & (there < height) & (beside >= 0) & (beside < width)
        diagonal += weight * inside
        at = np.nonzero(inside)[0]
        other = number[there[at], beside[at]]
        missing = other >= 0
        entries.append((at[missing], other[missing], np.full(missing.sum(), -weight)))
        given = at[~missing]
        known[given] += weight * image[there[given], beside[given]]
    places = np.arange(len(rows))
    entries.append((places, places, diagonal))
    down_, across_, values = (np.concatenate(part) for part in zip(*entries, strict=True))
    system = coo_array((values, (down_, across_)), shape=(len(rows), len(rows))).tocsc()
    solved = spsolve(system, known)
    filled[rows, columns] = np.reshape(solved, known.shape)
    return filled
