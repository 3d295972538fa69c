"""A report made by hand."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tfrobust.robustness import AraReport, AttackRecord, accuracy_robustness_area


@pytest.fixture
def make_report() -> Callable[..., AraReport]:
    """Builds a report of 20 images whose fields the test may override."""

    def make(
        scale: float = 1.0, unfound: int = 1, warnings: tuple[str, ...] = (), **fields: Any
    ) -> AraReport:
        rng = np.random.default_rng(0)
        rmse = np.append(scale * rng.gamma(2.0, 0.02, 20 - unfound), np.full(unfound, np.inf))
        ara = accuracy_robustness_area(rmse, 10)
        records = [
            AttackRecord(name=name, goal=goal, ara=ara, rmse=rmse, won=10, late=0, seconds=1.5)
            for goal in ("attack", "btr")
            for name in ("L2,min (450 steps)", "linearized margin (40 steps)")
        ]
        return AraReport(
            **{
                "name": "robust",
                "data": "20 test images",
                "num_classes": 10,
                "image_shape": (4, 4, 1),
                "bounds": None,
                "clean_accuracy": 0.95,
                "attack_ara": ara,
                "btr_ara": ara,
                "attack_rmse": rmse,
                "btr_rmse": rmse,
                "attack_linf": 2 * rmse,
                "attacks": tuple(records),
                "checks": {"good": (), "bad": warnings},
                "image_hash": "ab" * 32,
                "smoke": False,
                "seed": 0,
                "command": "evaluate.py --model robust",
                "versions": {"tensorflow": "2.21.0"},
                "seconds": 6.0,
                **fields,
            }
        )

    return make
