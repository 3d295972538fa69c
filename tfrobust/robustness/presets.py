"""Presets: sets of attacks with a name."""

import dataclasses
import warnings
from collections.abc import Callable, Sequence

import numpy as np

from tfrobust.attacks import (
    PGD,
    Attack,
    Blend,
    FiniteDifferences,
    L2Min,
    LinearizedMargin,
    SecondOpinion,
    Square,
)
from tfrobust.core.bounds import Bounds
from tfrobust.core.classifier import Classifier
from tfrobust.core.images import checked_images
from tfrobust.datasets.source import DataSource
from tfrobust.errors import InputError
from tfrobust.robustness.block_size import batch_size_of, block_size, memory_is_full
from tfrobust.robustness.options import Options
from tfrobust.robustness.partials import claimed_batch_size, keep_batch_size, kept_batch_size

# A blend goes towards one of so many, in so much memory.
POOL, POOL_VALUES = 512, 32_000_000
# For each name a function of bounds and batch size that gives the attacks, the cheap ones first.
PRESETS: dict[str, Callable[[Bounds | None, int], list[Attack]]] = {
    "fast": lambda bounds, batch_size: [
        LinearizedMargin(steps=24, rivals=4, bounds=bounds, batch_size=batch_size)
    ],
    "standard": lambda bounds, batch_size: [
        LinearizedMargin(steps=60, rivals=6, bounds=bounds, batch_size=batch_size),
        SecondOpinion(bounds=bounds, batch_size=batch_size),
    ],
    # The published figures come from L2,min with 450 steps.
    "thorough": lambda bounds, batch_size: [
        LinearizedMargin(steps=200, rivals=9, bounds=bounds, batch_size=batch_size),
        PGD(steps=10, bounds=bounds, batch_size=batch_size),
        L2Min(steps=450, bounds=bounds, batch_size=batch_size),
        SecondOpinion(bounds=bounds, batch_size=batch_size),
    ],
}
# The same for networks without gradients. What each asks for an image is in its `queries`.
WITHOUT_GRADIENTS: dict[str, Callable[[Bounds | None, int], list[Attack]]] = {
    "fast": lambda bounds, batch_size: _by_answers(bounds, batch_size, 12, 3, 100, 200),
    "standard": lambda bounds, batch_size: _by_answers(bounds, batch_size, 24, 4, 196, 500),
    "thorough": lambda bounds, batch_size: _by_answers(bounds, batch_size, 60, 5, 784, 5000),
}


def _by_answers(
    bounds: Bounds | None, batch_size: int, steps: int, rivals: int, directions: int, squares: int
) -> list[Attack]:
    """A walk on finite differences, and a search that needs no smooth network."""
    walk = LinearizedMargin(steps=steps, rivals=rivals, bounds=bounds, batch_size=batch_size)
    return [
        FiniteDifferences(attack=walk, directions=directions),
        Square(steps=squares, bounds=bounds, batch_size=batch_size),
    ]


def searches(
    preset: str, bounds: Bounds | None, batch_size: int, gradients: bool = True
) -> list[Attack]:
    """A preset's attacks that search for each image by itself.

    Args:
        preset, bounds, gradients: as for `preset_attacks`.
        batch_size: images attacked at a time.
    """
    return (PRESETS if gradients else WITHOUT_GRADIENTS)[preset](bounds, batch_size)


def preset_attacks(
    preset: str,
    images: np.ndarray,
    bounds: Bounds | None,
    gradients: bool = True,
    pool: np.ndarray | None = None,
    batch_size: int | None = None,
) -> list[Attack]:
    """A preset's attacks, and at last a blend with other images, which finds something for most.

    Args:
        preset: a name in PRESETS.
        images: float32 (N, H, W, C), at least one.
        bounds: the lowest and highest value of an attacked pixel, as (0, 1); None for no bounds.
        gradients: whether the network gives gradients; an `Opaque` one does not.
        pool: float32 (M, H, W, C), the images to blend with, such as training images; None for the
            images themselves.
        batch_size: images attacked at a time; None for what suits their size and number on a CPU.

    Raises:
        InputError: the pool's images are of another size.
    """
    pool = images if pool is None else pool
    if pool.shape[1:] != images.shape[1:]:
        size = ", ".join(map(str, images.shape[1:]))
        raise InputError(
            f"expected a pool of images (M, {size}), as large as those that are measured, got "
            f"{pool.shape}"
        )
    batch_size = batch_size or batch_size_of(len(images), images[0].size)
    return [
        *searches(preset, bounds, batch_size, gradients),
        Blend(pool, bounds=bounds, batch_size=batch_size),
    ]


def chosen_attacks(
    options: Options, network: Classifier, images: np.ndarray, bounds: Bounds | None
) -> list[Attack]:
    """The attacks of an evaluation: those that were given, or a preset's.

    A preset attacks as many images at a time as the options say, or as suits the device; and no
    more than the partial_dir says, if it keeps a part of the evaluation.

    Args:
        options: of the evaluation.
        network: what is attacked.
        images: float32 (N, H, W, C), at least one.
        bounds: of attacked pixels.

    Raises:
        InputError: attacks that one report cannot hold, or a pool that does not fit.
    """
    attacks = options.attacks
    if attacks is None:
        pool = None if options.pool is None else checked_images(options.pool, at_least_one=True)
        size, directory = options.batch_size, options.partial_dir
        kept = kept_batch_size(directory) if directory is not None else None
        if kept is None:
            kept = size or block_size(network, images, bounds)
            if directory is not None:
                kept = claimed_batch_size(directory, kept)
        size = min(kept, size or kept)
        gradients = network.has_gradient
        attacks = preset_attacks(options.preset, images, bounds, gradients, pool, size)
    check_attacks(attacks, bounds)
    return list(attacks)


def with_fewer(
    error: Exception,
    size: int,
    options: Options,
    network: Classifier,
    images: np.ndarray,
    bounds: Bounds | None,
) -> list[Attack]:
    """A preset's attacks on half as many images at a time, where a device's memory was full.

    It says so, and the partial_dir keeps the number, so that whoever goes on begins with it.

    Args:
        error: what the attacks ended with.
        size: images at a time so far.
        options, network, images, bounds: as for `chosen_attacks`.

    Raises:
        Exception: the error, if it is another one, the attacks were given, or one image is too
            many.
        InputError: the folder cannot be written.
    """
    if options.attacks is not None or size == 1 or not memory_is_full(error):
        raise error
    fewer = size // 2
    warnings.warn(
        f"the device's memory was full with {size} images at a time; it goes on with {fewer}",
        stacklevel=2,
    )
    if options.partial_dir is not None:
        keep_batch_size(options.partial_dir, fewer)
    options = dataclasses.replace(options, batch_size=fewer)
    return chosen_attacks(options, network, images, bounds)


def pool_of(source: DataSource) -> np.ndarray | None:
    """Training images to blend with, float32 (M, H, W, C); None where a set has none."""
    height, width, channels = source.info.image_shape
    pool = source.training_images(max(1, min(POOL, POOL_VALUES // (height * width * channels))))
    return pool if len(pool) else None


def check_attacks(attacks: Sequence[Attack], bounds: Bounds | None) -> None:
    """Refuses attacks that one report cannot hold.

    Args:
        attacks: the attacks.
        bounds: the bounds of the report.

    Raises:
        InputError: there is no attack, two have the same name, or one has other bounds.
    """
    names = [attack.name for attack in attacks]
    if not names or len(set(names)) < len(names):
        raise InputError(f"expected at least one attack, each of another name, got {names}")
    if other := [attack.name for attack in attacks if attack.bounds != bounds]:
        raise InputError(
            f"expected attacks with bounds={bounds}, as evaluate was given; {', '.join(other)} "
            "have others"
        )
