"""The recipes that recipe_search.py compares: what each differs in from the published one."""

import argparse
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfrobust.runs.config import Config

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "runs" / "search"
HELD_OUT = 5000
TEACHER = RUNS / "teacher.keras"  # the published network, once it was asked for

# One cycle of the rate, as short trainings want it (arXiv 2001.03994).
SHORT = {
    "optimizer.learning_rate": 0.2,
    "optimizer.learning_rate_schedule": "cosine",
    "optimizer.learning_rate_warmup": 0.2,
    "optimizer.weight_decay": 5e-4,
}
# RMSE: of an L2 of .5, 1 and 2 on 32×32×3 values.
HALF, ONE, TWO = (size / 3072**0.5 for size in (0.5, 1.0, 2.0))
SMALL: dict[str, Any] = {"network.depth": 8, "network.width": 16, **SHORT}
NO_PENALTY: dict[str, Any] = {**SMALL, "penalty.on": False}
MADRY = {**NO_PENALTY, "adversarial.method": "madry_l2", "adversarial.steps": 1}
GROWING = {
    **MADRY, "adversarial.epsilon": ONE, "adversarial.growth": 0.5,
    "training.precision": "bfloat16",
}  # fmt: skip
WIDE = {**GROWING, "network.width": 64, "network.stem_stride": 2}
FIRST: dict[str, dict[str, Any]] = {
    "plain": NO_PENALTY,
    "penalty": SMALL,
    "penalty + l2_min": {**SMALL, "adversarial.method": "l2_min"},
    "penalty + madry_l2 1 step, 1.0": {
        **MADRY, "penalty.on": True, "adversarial.epsilon": ONE, "adversarial.share": 1.0,
    },
    "madry_l2 1 step, 0.5": {**MADRY, "adversarial.epsilon": HALF},
    "penalty, quick ψ": {**SMALL, "psi.initial": 2000.0, "psi.gain": 0.2},
    "wide: growing 1.0, bfloat16, width 64, stem of stride 2": WIDE,
    "wide, ReLU": {**WIDE, "network.activation": "relu"},
    "wide, 2.0": {**WIDE, "adversarial.epsilon": TWO},
}  # fmt: skip

# The fair search: one network for every way of being robust. It computes in float32, because the
# machine that it runs on has no AVX512_BF16, without which bfloat16 is slow. Its averaged weights
# forget with the tenth of a training: see `averaged`.
BASE: dict[str, Any] = {**NO_PENALTY, "network.width": 64, "network.stem_stride": 2}
ATTACK = {
    **BASE, "adversarial.method": "madry_l2", "adversarial.steps": 1,
    "adversarial.epsilon": ONE, "adversarial.growth": 0.5,
}  # fmt: skip
ATTACK3 = {**ATTACK, "adversarial.steps": 3}
TRADES = {**ATTACK, "adversarial.method": "trades_l2"}
# Attacks beside a penalty are of all images, not of half of them.
SHARED = {"adversarial.share": 1.0}
PENALTY = {"penalty.on": True}
QUICK = {**PENALTY, "psi.initial": 2000.0, "psi.gain": 0.2}
FINITE = {"penalty.method": "finite_differences"}
# ψ is a weight that stays: 1 asks of ‖∇x CE‖₂ what an attack of L2 1.0 asks to first order.
NORM = {
    **PENALTY, "penalty.of": "loss", "penalty.exponent": 1.0, "psi.initial": 1.0, "psi.gain": 0.0,
}  # fmt: skip
SQUARE = {**NORM, "penalty.exponent": 2.0}
# ψ begins with a twentieth of the loss, and grows by a tenth a step while the loss is on target.
GROWN = {"psi.initial_share": 0.05, "psi.initial": 1.0, "psi.gain": 0.1}
SILU, GELU = {"network.activation": "silu"}, {"network.activation": "gelu"}
MUON = {"optimizer.name": "muon", "optimizer.learning_rate": 0.01, "optimizer.momentum": 0.95}
MIRROR = {"network.mirrored": True}
FAIR: dict[str, dict[str, Any]] = {
    "attack of 1 step": ATTACK,
    "penalty, quick ψ": {**BASE, **QUICK},
    "norm of the loss's gradient": {**BASE, **NORM},
    "norm, finite differences": {**BASE, **NORM, **FINITE},
    "attack of 3 steps": ATTACK3,
    "TRADES of 1 step": TRADES,
    "TRADES of 3 steps": {**TRADES, "adversarial.steps": 3},
    "penalty as published": {**BASE, **PENALTY},
    "penalty, quick ψ, finite differences": {**BASE, **QUICK, **FINITE},
    "penalty, quick ψ, + attack of 1 step": {**ATTACK, **QUICK, **SHARED},
    "penalty, quick ψ, + attack of 3 steps": {**ATTACK3, **QUICK, **SHARED},
    "penalty, growing from a share": {**BASE, **PENALTY, **GROWN},
    "square of the norm": {**BASE, **SQUARE},
    "square of the norm, finite differences": {**BASE, **SQUARE, **FINITE},
    "norm, finite differences, growing": {**BASE, **NORM, **FINITE, **GROWN},
    "norm, finite differences, + attack of 1 step": {**ATTACK, **NORM, **FINITE, **SHARED},
    "norm, finite differences, + attack of 3 steps": {**ATTACK3, **NORM, **FINITE, **SHARED},
    "attack of 1 step, SiLU": {**ATTACK, **SILU},
    "attack of 1 step, GELU": {**ATTACK, **GELU},
    "attack of 1 step, ReLU": {**ATTACK, "network.activation": "relu"},
    "norm, finite differences, SiLU": {**BASE, **NORM, **FINITE, **SILU},
    "norm, finite differences, GELU": {**BASE, **NORM, **FINITE, **GELU},
    "penalty, quick ψ, SiLU": {**BASE, **QUICK, **SILU},
    "attack of 1 step, smoothed labels": {**ATTACK, "soft_labels.smoothing": 0.1},
    "attack of 1 step, moved weights": {**ATTACK, "weight_perturbation.gamma": 0.005},
    "attack of 1 step, weights moved by momentum": {
        **ATTACK, "weight_perturbation.gamma": 0.005, "weight_perturbation.along": "momentum",
    },
    "attack of 1 step, Muon": {**ATTACK, **MUON},
    "attack of 1 step, Muon, rate 0.03": {**ATTACK, **MUON, "optimizer.learning_rate": 0.03},
    "attack of 1 step, Muon, images as they are": {
        **ATTACK, **MUON, "data.augmentation": "none",
    },
    "attack of 1 step, Muon, flips only": {**ATTACK, **MUON, "data.augmentation": "flip"},
    "TRADES of 1 step, Muon": {**TRADES, **MUON},
    "norm, finite differences, Muon": {**BASE, **NORM, **FINITE, **MUON},
    "penalty, quick ψ, Muon": {**BASE, **QUICK, **MUON},
    "attack of 1 step, taught by the published network": {
        **ATTACK, "soft_labels.teacher": str(TEACHER),
    },
    "attack of 1 step, taught by the shipped network": {
        **ATTACK, "soft_labels.teacher": "cifar10",
    },
    "attack of 1 step, mirrored when measured": {**ATTACK, **MIRROR},
    "attack of 1 step, mirrored in training": {
        **ATTACK, **MIRROR, "network.mirrored_training": True,
    },
    "attack of 1 step, 2.0": {**ATTACK, "adversarial.epsilon": TWO},
    "norm, finite differences, 2.0": {**BASE, **NORM, **FINITE, "psi.initial": 2.0},
    "plain, wide": BASE,
}  # fmt: skip
# A name is a recipe of one of the two: those of the first search are told with it.
RECIPES = {**{f"first: {name}": recipe for name, recipe in FIRST.items()}, **FAIR}


def config_of(name: str, flags: argparse.Namespace) -> "Config":
    """A recipe's whole configuration, its steps and what depends on them aside."""
    from tfrobust.runs import recipes

    changes = {
        "data.name": flags.dataset,
        "data.data_dir": flags.data_dir,
        "data.held_out": HELD_OUT,
    }
    return recipes.cifar10_published_robust().replace({**changes, **RECIPES[name]})


def about(name: str, flags: argparse.Namespace) -> dict[str, Any]:
    """What a row means beside its recipe's name and time: two rows are one if it is equal.

    Returns:
        The data set, the seed, and a hash of all settings, wherever the data and this clone are.
    """
    config = config_of(name, flags).replace({"data.data_dir": None, **averaged(name, 100)})
    told = json.dumps(config.to_json(), sort_keys=True).replace(f"{ROOT}{os.sep}", "")
    settings = hashlib.sha256(told.encode()).hexdigest()[:12]
    return {"dataset": flags.dataset, "seed": config.seed, "settings": settings}


def averaged(name: str, steps: int) -> dict[str, Any]:
    """The decay of the weights' average: at the end the first weights have e⁻¹⁰ of it."""
    return {"optimizer.weight_average": max(0.0, 1 - 10 / steps)} if name in FAIR else {}


def make_teacher(reference: Path) -> None:
    """Writes the published network to where recipes name it, once.

    Args:
        reference: the folder of resnet44-all.npz.
    """
    if TEACHER.exists():
        return
    import turns

    from tfrobust.models import published

    network = published.load(reference / "resnet44-all.npz")
    turns.save(network, TEACHER)
