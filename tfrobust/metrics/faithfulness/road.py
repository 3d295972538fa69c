"""ROAD: remove and debias. What is removed is filled in from its neighbours, not by one colour.

A patch of one colour is itself a sign that networks react to, and its shape tells them what was
there. Filled in from the neighbours, what was removed leaves no such traces.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.linalg import spsolve

from tfrobust.errors import InputError
from tfrobust.metrics.map_measure import Judged, MapMeasure
from tfrobust.metrics.similarity import ranks_from_the_top

# Rows down, columns across, and weights: direct neighbours count twice as much as diagonal ones.
NEIGHBOURS = [
    (down, across, 1 / 6 if 0 in (down, across) else 1 / 12)
    for down in (-1, 0, 1)
    for across in (-1, 0, 1)
    if (down, across) != (0, 0)
]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Road(MapMeasure):
    """The mean score while the most important pixels are removed and filled in.

    The smaller, the better the map.

    Args:
        shares: float (S,), which shares of the pixels are removed, above 0 and below 1.
        noise: standard deviation of the noise on what is filled in, at least 0.
        seed: of the noise.

    `score` and `batch_size` are those of every `MapMeasure`.

    Source: Rong et al., arXiv 2202.00449, section 4 (noisy linear imputation; most relevant first).
    """

    shares: Sequence[float] = (0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
    noise: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        right = len(self.shares) and all(0 < share < 1 for share in self.shares)
        if not right or not self.noise >= 0:
            raise InputError(
                "expected shares above 0 and below 1 and a noise of at least 0, got "
                f"{tuple(self.shares)}, {self.noise}"
            )

    def _judge(self, asked: Judged) -> np.ndarray:
        rng = np.random.default_rng(self.seed)
        place = ranks_from_the_top(asked.maps)
        found = []
        for share in self.shares:
            # One pixel at least stays, to fill the others in from.
            gone = place < min(round(share * asked.pixels), asked.pixels - 1)
            filled = np.stack([impute(*pair) for pair in zip(asked.images, gone, strict=True)])
            shaken = filled + rng.normal(0, self.noise, filled.shape) * gone[..., None]
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
