"""Square attack: random search by squares, on models that only answer."""

import dataclasses
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrobust.attacks.base import Block, at_least
from tfrobust.attacks.minimum_norm import Best, MinimumNormAttack
from tfrobust.core.classifier import Classifier, answers
from tfrobust.core.distances import clip, rmse64

# The radius, RMSE, at which a search begins that knows no perturbation. It doubles after so many
# visits without one, but not beyond the widest: there bounds would cut nearly all of it.
FIRST, PATIENCE, WIDEST = 0.1, 50, 0.4
SHRINK = 0.98  # after each success
# At the beginning squares have this share of the image's area. It halves at each of these shares
# of all visits, as the source has it for 10,000.
AREA = 0.1
HALVED = (0.001, 0.005, 0.02, 0.1, 0.2, 0.4, 0.6, 0.8)
TILES = 5  # along each side, of the pattern that a search begins with


class _State(NamedTuple):
    """Where each of B searches stands.

    Args:
        delta: float32 (B, H, W, C), the perturbation that is kept.
        value: float32 (B,), its margin, or what is expected of it at the radius that comes next.
        clean: float32 (B,), the margin of the image as it is.
        radius: float64 (B,), the L2 norm of perturbations that are tried.
        idle: int (B,), visits at this radius while nothing was found at any.
        draws: a generator of random numbers for each image.
    """

    delta: np.ndarray
    value: np.ndarray
    clean: np.ndarray
    radius: np.ndarray
    idle: np.ndarray
    draws: list[np.random.Generator]


@dataclasses.dataclass(kw_only=True, eq=False)
class Square(MinimumNormAttack):
    """Random search for a perturbation of a given L2 norm, which shrinks with every success.

    Each visit moves the perturbation's mass from one square into another and asks once whether the
    criterion's margin falls. The source's attack has one size. Here the radius begins at a
    perturbation that is known, or at 0.1 RMSE, doubles while nothing is found, and is 2 % smaller
    after each success. It needs logits and no gradient, and no smoothness either.

    An image's draws depend on the seed and on its number.

    Args:
        steps: answers that are asked for.
        seed: of the draws, not below 0.
        line_steps: forward passes of a last search between the clean image and the smallest
            perturbation found.

    `bounds` and `batch_size` are those of every `Attack`.

    Source: Andriushchenko et al., arXiv 1912.00049, Algorithm 3. The shrinking radius is ours.
    """

    needs_gradient = False

    steps: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(0, seed=self.seed)
        super().__post_init__()

    @property
    def name(self) -> str:
        """E.g. "Square-L2 (1000 queries)"."""
        return f"Square-L2 ({self.steps} queries)"

    @property
    def gradients(self) -> int:
        """None."""
        return 0

    @property
    def queries(self) -> int:
        """One for each visit, and the bisection."""
        return self.visits + self.line_steps + 4

    def init(self, model: Classifier, block: Block) -> tuple[_State, Best]:
        """A pattern of tiles, or the perturbation that is known."""
        best = self.known(model, block)
        known = np.isfinite(best.size.numpy())
        draws = [np.random.default_rng([self.seed, int(number)]) for number in block.numbers]
        shape = block.images.shape[1:]
        unit = np.sqrt(np.prod(shape))
        radius = np.where(known, SHRINK * rmse64(best.delta.numpy()), FIRST) * unit
        begun = np.stack([_tiles(shape, rng) for rng in draws])
        delta = np.where(known[:, None, None, None], best.delta, begun)
        clean = block.criterion.margin(answers(model, block.images), block.classes).numpy()
        # The first visit tries what the search begins with, and takes it.
        nothing = np.full(len(draws), np.inf), clean, radius, np.zeros(len(draws), int)
        return _State(delta, *nothing, draws), best

    def step(
        self, model: Classifier, block: Block, state: _State, best: Best, visit: int
    ) -> tuple[_State, Best]:
        """Tries one other perturbation for each image."""
        if visit == 0:
            tried = state.delta
        else:
            share = AREA / 2 ** sum(visit >= at * self.steps for at in HALVED)
            moves = zip(state.delta, state.radius, state.draws, strict=True)
            tried = np.stack([_moved(delta, radius, share, rng) for delta, radius, rng in moves])
        tried = _of_length(tried, state.radius)
        tried = clip(block.images, tf.constant(tried), self.bounds).numpy()
        logits = answers(model, block.images + tried)
        value = block.criterion.margin(logits, block.classes).numpy()
        met = block.criterion.met(logits, block.classes).numpy()
        best = best.or_smaller(tf.constant(tried), tf.where(met, self.size(tried), np.inf))
        better = met | (value < state.value)
        delta = np.where(better[:, None, None, None], tried, state.delta)
        value = np.where(better, value, state.value)
        idle = np.where(np.isfinite(best.size.numpy()), 0, state.idle + 1)
        unit = np.sqrt(state.delta[0].size)
        wider = (idle == PATIENCE) & (state.radius < WIDEST * unit)
        times = np.where(met, SHRINK, np.where(wider, 2.0, 1.0))
        # Within bounds a perturbation may be smaller than its radius.
        reached = np.where(met, np.sqrt(np.square(tried).sum(axis=(1, 2, 3))), state.radius)
        # Along a line from the clean image the margin falls about evenly.
        value = value + (1 - times) * (state.clean - value)
        idle = np.where(idle == PATIENCE, 0, idle)
        return _State(delta, value, state.clean, times * reached, idle, state.draws), best


def pyramid(side: int) -> np.ndarray:
    """Two halves of opposite signs, each largest in its middle: the source's η, of length 1.

    Args:
        side: of the square.

    Returns:
        float64 (side, side).
    """
    first = side // 2
    whole = np.concatenate([_half(side, first), -_half(side, side - first)], axis=1)
    return whole / np.sqrt(np.square(whole).sum())


def _half(height: int, width: int) -> np.ndarray:
    """Equation 2 of the source: rings of 1/(n + 1 − k)², summed from the outside."""
    middle = height // 2
    rows = np.abs(np.arange(height) - middle)[:, None]
    columns = np.abs(np.arange(width) - width // 2)
    rings = np.maximum(middle - np.maximum(rows, columns), 0)
    return np.cumsum(1 / (middle + 1 - np.arange(middle + 1)) ** 2)[rings]


def _tiles(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """An image full of pyramids of random signs, float32 (H, W, C)."""
    height, width, channels = shape
    side = max(2, min(height, width) // TILES)
    down, across = -(-height // side), -(-width // side)
    signs = rng.choice([-1.0, 1.0], (down, across, channels))
    tile = pyramid(side)
    whole = np.einsum("rkc,hw->rhkwc", signs, tile).reshape(down * side, across * side, channels)
    return whole[:height, :width].astype(np.float32)


def _moved(delta: np.ndarray, radius: float, share: float, rng: np.random.Generator) -> np.ndarray:
    """The mass of one square moved into another: Algorithm 3 of the source, for one image."""
    height, width, channels = delta.shape
    side = int(np.clip(round(np.sqrt(share * height * width)), 3, min(height, width)))
    ends = height - side + 1, width - side + 1
    (into, out) = (tuple(int(rng.integers(end)) for end in ends) for _ in range(2))
    window, other = (
        (slice(row, row + side), slice(column, column + side)) for row, column in (into, out)
    )
    moved = delta.astype(np.float64)
    pattern = pyramid(side)
    if rng.random() < 0.5:
        pattern = pattern.T
    unused = max(radius**2 - np.square(moved).sum(), 0) / channels
    covered = np.zeros((height, width), bool)
    covered[window] = covered[other] = True
    mass = np.sqrt(np.square(moved[covered]).sum(axis=0) + unused)
    old = moved[window]
    new = pattern[..., None] * rng.choice([-1.0, 1.0], channels)
    new = new + old / (np.sqrt(np.square(old).sum(axis=(0, 1))) + 1e-20)
    new *= mass / (np.sqrt(np.square(new).sum(axis=(0, 1))) + 1e-20)
    moved[other] = 0
    moved[window] = new
    return moved.astype(np.float32)


def _of_length(delta: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Perturbations (B, H, W, C), each scaled to its L2 norm (B,)."""
    lengths = np.sqrt(np.square(delta).sum(axis=(1, 2, 3)))
    return (delta * (radius / (lengths + 1e-20))[:, None, None, None]).astype(np.float32)
