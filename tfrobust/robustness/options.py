"""How an evaluation is done, and what its report calls things."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfrobust.attacks import Attack
from tfrobust.core.bounds import Bounds
from tfrobust.core.input_range import Range


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What is said of an evaluation besides its network and images; see `evaluate`."""

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
    partial_dir: str | Path | None = None
    progress: bool = True
    smoke: bool = False
    seed: int = 0


DEFAULT = Options()
