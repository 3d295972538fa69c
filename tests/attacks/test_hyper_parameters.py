"""Hyper-parameters that no attack can have are refused when it is made."""

from collections.abc import Callable

import pytest

from tfrobust.attacks import (
    DDN,
    FGM,
    FMN,
    MIM,
    PGD,
    SPSA,
    Attack,
    CarliniWagner,
    L2Min,
    LinearizedMargin,
)
from tfrobust.errors import InputError

AT_LEAST_ONE = "expected steps of at least 1 and line_steps not below 0"
BALL = "step_size above 0 and a change above 0 and below 1"


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (L2Min, {"batch_size": 0}, "batch_size of at least 1, got 0"),
        (L2Min, {"bounds": (0.1, 1.0)}, r"expected bounds=\(0, 1\).*got \(0.1, 1.0\)"),
        (PGD, {"bounds": (0, 255)}, r"got \(0, 255\).* by input_range"),
        (L2Min, {"steps": 0}, AT_LEAST_ONE),
        (L2Min, {"path": 0.0}, "a path above 0"),
        (L2Min, {"momentum": 1.0}, "momentum from 0 to below 1"),
        (LinearizedMargin, {"steps": 0}, AT_LEAST_ONE),
        (LinearizedMargin, {"line_steps": -1}, AT_LEAST_ONE),
        (LinearizedMargin, {"rivals": 0}, "rivals of at least 1, got 0"),
        (DDN, {"steps": 0}, AT_LEAST_ONE),
        (DDN, {"radius": 0.0}, "expected a radius and a step_size above 0"),
        (DDN, {"change": 1.0}, BALL),
        (DDN, {"step_size": -1.0}, BALL),
        (DDN, {"line_steps": -1}, AT_LEAST_ONE),
        (FMN, {"steps": 0}, AT_LEAST_ONE),
        (FMN, {"step_size": 0.0}, BALL),
        (FMN, {"change": 0.0}, BALL),
        (FMN, {"line_steps": -1}, AT_LEAST_ONE),
        (PGD, {"steps": 0}, "steps and rounds of at least 1"),
        (PGD, {"rounds": 0}, "steps and rounds of at least 1"),
        (PGD, {"step_size": 0.0}, "a step_size above 0, got 0.0"),
        (FGM, {"norm": 1}, "norm 2 or numpy.inf, got 1"),
        (FGM, {"rounds": 0}, "steps and rounds of at least 1"),
        (MIM, {"decay": -1.0}, "a decay not below 0, got -1.0"),
        (MIM, {"step_size": -0.1}, "a step_size above 0, got -0.1"),
        (CarliniWagner, {"steps": 0}, AT_LEAST_ONE),
        (CarliniWagner, {"searches": 0}, "searches of at least 1, got 0"),
        (CarliniWagner, {"rate": 0.0}, "a rate and a constant above 0, got 0.0"),
        (CarliniWagner, {"constant": -1.0}, "a rate and a constant above 0, got 0.01, -1.0"),
        (SPSA, {"samples": 7}, "an even number of samples from 2, got 7"),
        (SPSA, {"delta": 0.0}, "delta and step_size above 0"),
        (SPSA, {"step_size": 0.0}, "delta and step_size above 0"),
        (SPSA, {"seed": -1}, "a seed not below 0, got 0.01, 0.25, -1"),
    ],
)
def test_refuses_hyper_parameters(kind: Callable[..., Attack], options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        kind(**options)
