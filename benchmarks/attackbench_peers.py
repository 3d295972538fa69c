"""Minimum-norm attacks of PyTorch's libraries, each with as many steps as a budget has room for.

Their other settings are the libraries' own, but for what AttackBench says: ALMA's learning rate is
that of a first step of length 1, and DDN does not round pixels.
"""

import dataclasses
import functools
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import torch


def _stub(name: str, **parts: Any) -> None:
    sys.modules.setdefault(name, module := types.ModuleType(name))
    vars(module).update(parts)


# adv-lib imports them for an attack and a logger that are not used here. PyPI's torchvision does
# not import beside PyTorch's CPU build.
_stub("torchvision", models=None)
_stub("visdom")
np.find_common_type = np.result_type  # type: ignore[attr-defined]  # which NumPy 2 has no more

import foolbox  # noqa: E402
import torchattacks  # noqa: E402
from adv_lib import attacks  # noqa: E402
from art.attacks import evasion  # noqa: E402
from art.estimators.classification import PyTorchClassifier  # noqa: E402

CLASSES = 10
# Forward passes of the last search, which is in every attack's budget.
ENDING = 8
FIRST_SIZE = 1.0
Run = Callable[[Any, torch.Tensor, torch.Tensor, int], object]


@dataclasses.dataclass(frozen=True)
class Peer:
    """An attack of a library.

    Args:
        library: its name and version.
        run: attacks (model, images, labels) in so many propagations. What it gives is not looked
            at, as every answer of the model is.
        least: the smallest budget in which it can be run.
    """

    library: str
    run: Run
    least: int = 25


def ending(model: Any, trail: Any) -> None:
    """Shortens what was found, on its line to the image, by ENDING forward passes."""
    images = torch.from_numpy(trail.images)
    found = torch.from_numpy(trail.points.copy())
    low, high = (torch.full((len(images), 1, 1, 1), value) for value in (0.9, 1.0))
    for number in range(ENDING):
        middle = low if number == 0 else (low + high) / 2
        labels = model(torch.lerp(images, found, middle)).argmax(1).numpy()
        met = torch.from_numpy(labels != trail.labels)[:, None, None, None]
        if number == 0:  # most are within a tenth of the boundary
            low, high = torch.where(met, 0.0, low), torch.where(met, low, high)
        else:
            low, high = torch.where(met, low, middle), torch.where(met, middle, high)


def _alma(model: Any, images: Any, labels: Any, budget: int) -> object:
    # The smoothing that its paper has for 100 and for 1,000 steps.
    smoothing = 0.5 if budget < 1000 else 0.9
    return attacks.alma(
        model, images, labels, num_steps=budget // 2, α=smoothing, init_lr_distance=1.0
    )


def _fab_targeted(model: Any, images: Any, labels: Any, budget: int) -> object:
    # A step takes two forwards and one backward for a class.
    classes = min(CLASSES - 1, max(1, budget // 36))
    steps = max(1, (budget - 1) // classes // 3 - 1)
    return attacks.fab(
        model, images, labels, norm=2, n_iter=steps, restarts=classes, targeted_restarts=True
    )


def _apgd(model: Any, images: Any, labels: Any, budget: int, targeted: bool = False) -> None:
    """APGD at sizes that are halved between those that failed and those found, for each image."""
    rounds = 3 if budget < 50 else 5 if budget < 190 else 8 if budget < 1000 else 12
    attack, classes, more = attacks.apgd, 1, {}
    if targeted:
        attack, classes = attacks.apgd_targeted, 2 if budget < 1000 else 4
        more["num_targets"] = classes
    steps = max(1, (budget // rounds // classes - 4) // 2)
    low, eps = torch.zeros(len(images)), torch.full((len(images),), FIRST_SIZE)
    for _ in range(rounds):
        attack(model, images, labels, eps=eps, norm=2, n_iter=steps, **more)
        best = torch.from_numpy(model.trail.best).float()
        low = torch.where(best > eps, torch.maximum(low, eps), low)
        eps = torch.where(best.isfinite(), (low + best) / 2, 2 * eps)


def _brendel_bethge(model: Any, images: Any, labels: Any, budget: int) -> object:
    """It begins where DDN led to, or at another image of another class."""
    first = 20
    attacks.ddn(model, images, labels, steps=first, levels=None)
    trail = model.trail
    starts = trail.points.copy()
    for row in np.flatnonzero(~np.isfinite(trail.best)):
        starts[row] = trail.images[np.flatnonzero(trail.labels != trail.labels[row])[0]]
    attack = foolbox.attacks.L2BrendelBethgeAttack(steps=(budget - 2 * first - 14) // 2)
    return attack.run(_foolbox(model), images, labels, starting_points=torch.from_numpy(starts))


def _foolbox(model: Any) -> Any:
    return foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")


def _art(model: Any, images: Any) -> Any:
    return PyTorchClassifier(
        model=model,
        loss=torch.nn.CrossEntropyLoss(),
        input_shape=tuple(images.shape[1:]),
        nb_classes=CLASSES,
        clip_values=(0.0, 1.0),
        device_type="cpu",
    )


def _art_carlini(model: Any, images: Any, labels: Any, budget: int) -> object:
    searches = 5 if budget < 1000 else 9
    attack = evasion.CarliniL2Method(
        _art(model, images),
        binary_search_steps=searches,
        max_iter=max(2, budget // searches // 4),
        batch_size=len(images),
        verbose=False,
    )
    return attack.generate(images.numpy(), labels.numpy())


def _torchattacks_fab(model: Any, images: Any, labels: Any, budget: int) -> object:
    steps = max(1, budget // 12)  # two forwards and ten backwards
    attack = torchattacks.FAB(model, norm="L2", eps=FIRST_SIZE, steps=steps, n_classes=CLASSES)
    return attack(images, labels)


_ADV_LIB, _ART, _FOOLBOX = "adv-lib 0.2.8", "ART 1.20.1", "Foolbox 3.3.4"
PEERS: dict[str, Peer] = {
    "DDN": Peer(_ADV_LIB, lambda m, x, y, b: attacks.ddn(m, x, y, steps=b // 2, levels=None)),
    "FMN": Peer(_ADV_LIB, lambda m, x, y, b: attacks.fmn(m, x, y, norm=2, steps=b // 2)),
    "ALMA": Peer(_ADV_LIB, _alma),
    "FAB-T": Peer(_ADV_LIB, _fab_targeted),
    "SuperDeepFool": Peer(_ADV_LIB, lambda m, x, y, b: attacks.sdf(m, x, y)),
    "APGD": Peer(_ADV_LIB, _apgd),
    "APGD-T": Peer(_ADV_LIB, functools.partial(_apgd, targeted=True), 200),
    "PDPGD": Peer(_ADV_LIB, lambda m, x, y, b: attacks.pdpgd(m, x, y, norm=2, num_steps=b // 2)),
    "trust region": Peer(
        _ADV_LIB,
        lambda m, x, y, b: attacks.tr(m, x, y, p=2, adaptive=True, iter=max(1, (b - 11) // 4)),
    ),
    "FAB": Peer("torchattacks 3.5.1", _torchattacks_fab),
    "DeepFool": Peer(
        _FOOLBOX,
        lambda m, x, y, b: foolbox.attacks.L2DeepFoolAttack().run(_foolbox(m), x, y),
    ),
    "Brendel-Bethge": Peer(_FOOLBOX, _brendel_bethge, 200),
    "Carlini-Wagner": Peer(_ART, _art_carlini, 200),
}
