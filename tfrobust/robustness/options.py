"""How an evaluation is done, and what its report calls things."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfrobust.attacks import Attack
from tfrobust.core.bounds import Bounds
from tfrobust.core.input_range import Range
from tfrobust.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What is said of an evaluation besides its network and images; see `evaluate`.

    Args:
        batch_size: images attacked at a time by a preset; None for what suits the device.

    Raises:
        InputError: a seed below 0, or a pool or a batch size beside attacks, which would not be
            used.
    """

    input_range: Range | None = None
    preset: str = "standard"
    attacks: Sequence[Attack] | None = None
    bounds: Bounds | None = None
    name: str | None = None
    data: str = ""
    class_names: Sequence[str] = ()
    files: Sequence[str] = ()
    groups: Sequence[str] = ()
    pool: np.ndarray | None = None
    temperature: float | None = None
    batch_size: int | None = None
    partial_dir: str | Path | None = None
    progress: bool = True
    smoke: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise InputError(f"expected a seed of at least 0, got {self.seed}")
        if self.attacks is not None and self.pool is not None:
            raise InputError(
                "expected a pool or attacks, got both: a preset blends with the pool. Add "
                "Blend(pool) to the attacks"
            )
        if self.attacks is not None and self.batch_size is not None:
            raise InputError("expected a batch_size or attacks, got both: attacks have their own")

    def settled(self, found: int) -> "Options":
        """The same with the batch size that an evaluation found, which no other needs to look for.

        Args:
            found: images at a time. Attacks keep their own.
        """
        size = found if self.attacks is None else None
        return dataclasses.replace(self, batch_size=size)


DEFAULT = Options()
