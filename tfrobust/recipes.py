"""A run's whole configuration, and the recipes by name. No TensorFlow here.

A recipe goes to JSON and back, and two runs of one recipe on one machine are the same run.
"""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

from tfrobust.errors import InputError

AUGMENTATIONS = ("none", "crop", "crop_flip", "imagenet")
ARCHITECTURES = ("resnet_cifar", "resnet_imagenet")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained and measured.

    Constants follow the paper's published CIFAR-10 example (arXiv 1906.02896) unless a
    recipe says otherwise.

    Args:
        name: the recipe's name; it begins the run folder's.
        dataset: fashion_mnist_mini, a set of TensorFlow Datasets such as cifar10 or imagenet2012,
            or folder:/path with one sub-folder per class.
        data_dir: where TensorFlow Datasets keeps its sets; default: its own.
        image_size: height and width in pixels to bring images to; default: the set's own.
        augmentation: none, crop, crop_flip or imagenet (random resized crop and flip).
        architecture: resnet_cifar or resnet_imagenet.
        depth: layers: 6n + 2 for resnet_cifar; 18, 34 or 50 for resnet_imagenet.
        width: channels of the first group; default: the architecture's own.
        activation: half_huber_relu or relu.
        epochs: passes over the training images.
        max_steps: stop after so many steps: a smoke run, no measurement.
        batch_size: images a step, over all replicas.
        learning_rate: of SGD.
        learning_rate_drops: shares of the training after which the rate is divided by 10.
        momentum: of SGD.
        weight_decay: L2 as PyTorch's: this times the weight is added to its gradient.
        penalty: whether the gradient penalty is on; off, the rest of its numbers say nothing.
        penalty_exponent: z, the power of the input gradient's entries.
        tandem: ζ, the share of images whose scalar is the margin, not a random logit.
        psi_initial: ψ0, the penalty's weight at the start.
        psi_gain: k in ψ = ψ0·exp(k·r).
        loss_target: the classification loss that ψ holds; default: 0.65·ln K.
        seed: of weights, order, augmentation and the random logits.
        checkpoint_every: steps between checkpoints.
        eval_images: test images that are attacked at the end.
        attack_steps: S of the paper's attack.
        pgd_steps: steps of each PGD attack of the bisection over sizes.
        synchronized: batch statistics over all replicas.
    """

    name: str
    dataset: str
    data_dir: str | None = None
    image_size: int | None = None
    augmentation: str = "crop_flip"
    architecture: str = "resnet_cifar"
    depth: int = 44
    width: int | None = None
    activation: str = "half_huber_relu"
    epochs: int = 200
    max_steps: int | None = None
    batch_size: int = 128
    learning_rate: float = 0.1
    learning_rate_drops: tuple[float, ...] = (0.85, 0.975)
    momentum: float = 0.9
    weight_decay: float = 1e-4
    penalty: bool = True
    penalty_exponent: float = 2.0
    tandem: float = 0.2
    psi_initial: float = 220.0
    psi_gain: float = 0.02
    loss_target: float | None = None
    seed: int = 0
    checkpoint_every: int = 100
    eval_images: int = 100
    attack_steps: int = 450
    pgd_steps: int = 10
    synchronized: bool = False

    def __post_init__(self) -> None:
        for field, low in _AT_LEAST.items():
            value = getattr(self, field)
            if value is not None and not value >= low:
                raise InputError(f"expected --{field} of at least {low}, got {value}")
        for field, choices in _ONE_OF.items():
            if getattr(self, field) not in choices:
                raise InputError(
                    f"expected --{field} to be one of {', '.join(choices)}; "
                    f"got {getattr(self, field)!r}"
                )
        for field in ("tandem", "momentum"):
            if not 0 <= getattr(self, field) <= 1:
                raise InputError(f"expected --{field} from 0 to 1, got {getattr(self, field)}")
        drops = self.learning_rate_drops
        if list(drops) != sorted(drops) or not all(0 < share < 1 for share in drops):
            raise InputError(
                f"expected --learning_rate_drops as ascending shares from 0 to 1, got {drops}"
            )
        for field in ("learning_rate", "psi_initial", "penalty_exponent", "loss_target"):
            value = getattr(self, field)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise InputError(f"expected --{field} above 0, got {value}")

    def to_json(self) -> dict[str, Any]:
        """The recipe as JSON's own types."""
        return {**dataclasses.asdict(self), "learning_rate_drops": list(self.learning_rate_drops)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Recipe":
        """A recipe from what `to_json` gave.

        Raises:
            InputError: a name that no recipe has, or a value out of range.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(values) - known):
            raise InputError(f"expected a recipe's fields, got also {', '.join(unknown)}")
        drops = tuple(values.get("learning_rate_drops", cls.learning_rate_drops))
        return cls(**{**values, "learning_rate_drops": drops})

    def differences(self, other: "Recipe") -> list[str]:
        """Where two recipes differ, one line a field: "epochs: 6 here, 8 there"."""
        mine, theirs = self.to_json(), other.to_json()
        return [
            f"{field}: {mine[field]} here, {theirs[field]} there"
            for field in mine
            if mine[field] != theirs[field]
        ]


_AT_LEAST: dict[str, float] = {
    "image_size": 8,
    "depth": 8,
    "width": 1,
    "epochs": 1,
    "max_steps": 1,
    "batch_size": 1,
    "weight_decay": 0,
    "psi_gain": 0,
    "seed": 0,
    "checkpoint_every": 1,
    "eval_images": 1,
    "attack_steps": 1,
    "pgd_steps": 1,
}
_ONE_OF: dict[str, tuple[str, ...]] = {
    "augmentation": AUGMENTATIONS,
    "architecture": ARCHITECTURES,
    "activation": ("half_huber_relu", "relu"),
}


def fashion_mnist_mini() -> Recipe:
    """The default: a robust ResNet-8 on the embedded images in minutes on two CPU cores.

    Paper: arXiv 1906.02896, the robust loss. Command: ``python tools/train.py``. Expect what
    the README's table of figures says.
    """
    return Recipe(
        name="fashion_mnist_mini",
        dataset="fashion_mnist_mini",
        # Six epochs are too few to pay for augmentation.
        augmentation="none",
        depth=8,
        epochs=6,
        batch_size=100,
        learning_rate_drops=(0.7,),
        loss_target=0.7,
    )


def fashion_mnist_mini_plain() -> Recipe:
    """The robust network's plain twin: ReLU, no penalty, all else equal.

    Command: ``python tools/train.py --recipe fashion_mnist_mini_plain``.
    """
    return dataclasses.replace(
        fashion_mnist_mini(), name="fashion_mnist_mini_plain", activation="relu", penalty=False
    )


def cifar10() -> Recipe:
    """The robust loss on CIFAR-10 with the paper's ResNet-44, 200 epochs: for a GPU.

    Paper: arXiv 1906.02896, published example. Command: ``python tools/train.py --dataset
    cifar10``. The published network reached accuracy .676, attack ARA .0142, BTR ARA .0395 by
    the paper's attack on the original CIFAR-10.
    """
    return Recipe(name="cifar10", dataset="cifar10", depth=44)


def imagenet2012() -> Recipe:
    """The robust loss on ImageNet with a ResNet-50: for a machine with several GPUs.

    The paper's ImageNet constants are not known to us: those here are our choice. Command:
    ``python tools/train.py --dataset imagenet2012 --data_dir …``. The paper reports ARA .0053.
    """
    return Recipe(
        name="imagenet2012",
        dataset="imagenet2012",
        augmentation="imagenet",
        architecture="resnet_imagenet",
        depth=50,
        epochs=90,
        batch_size=256,
        learning_rate_drops=(0.33, 0.67, 0.89),
        checkpoint_every=500,
        eval_images=500,
    )


RECIPES = {
    recipe.__name__: recipe
    for recipe in (fashion_mnist_mini, fashion_mnist_mini_plain, cifar10, imagenet2012)
}


def for_dataset(dataset: str) -> Recipe:
    """The recipe that a data set's name alone asks for.

    Args:
        dataset: what `datasets.load` takes. A name without a recipe of its own gets the small
            network's for small sets, no flip where the images are digits; the size of a
            folder's images is unknown here, and `--recipe imagenet2012` is the choice for
            large photographs.

    Returns:
        A recipe with that data set.
    """
    if dataset in RECIPES:
        return RECIPES[dataset]()
    if dataset.startswith("folder:"):
        words = ["folder"]
    else:
        words = dataset.replace("/", "_").replace(":", "_").split("_")
    digits = "fashion" not in words and not {"mnist", "svhn", "emnist", "kmnist"}.isdisjoint(words)
    return dataclasses.replace(
        fashion_mnist_mini(),
        name="_".join(words),
        dataset=dataset,
        loss_target=None,
        augmentation="crop" if digits else "crop_flip",
    )


def read(path: Path) -> Recipe:
    """The recipe that a run folder's recipe.json holds.

    Raises:
        InputError: the file is missing or no recipe.
    """
    try:
        return Recipe.from_json(json.loads(path.read_text())["recipe"])
    except (OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise InputError(
            f"expected a run's recipe at {path}, but it cannot be read ({error}); "
            "name another --run_dir, or take that folder away"
        ) from None
