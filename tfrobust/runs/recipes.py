"""A run's whole configuration, and the recipes by name. No TensorFlow here.

A recipe goes to JSON and back, and two runs of one recipe on one machine are the same run.
"""

import dataclasses
import json
import math
import re
from pathlib import Path
from typing import Any

from tfrobust.datasets.names import AUGMENTATIONS
from tfrobust.errors import InputError
from tfrobust.models.names import ACTIVATIONS, ARCHITECTURES

PRECISIONS = ("float32", "bfloat16")
EVAL_PRESETS = ("fast", "standard", "thorough")
SCHEDULES = ("drops", "cosine")
ADVERSARIAL = ("none", "l2", "l2_min", "madry_l2", "madry_linf", "trades", "trades_l2")


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
        held_out: the last so many training images are not trained on, and are measured in the
            place of the test images: to choose between recipes.
        augmentation: none, crop, crop_flip or imagenet (random resized crop and flip).
        architecture: resnet_cifar or resnet_imagenet.
        depth: layers: 6n + 2 for resnet_cifar; 18, 34 or 50 for resnet_imagenet.
        width: channels of the first group; default: the architecture's own.
        stem_stride: 1 or 2, of resnet_cifar's first convolution; 2 pays for twice the width.
        activation: half_huber_relu or relu.
        epochs: passes over the training images.
        max_steps: stop after so many steps: a smoke run, no measurement.
        batch_size: images a step, over all replicas.
        learning_rate: of SGD; with a schedule, its largest.
        learning_rate_schedule: drops, or cosine: down to 0 along half a cosine.
        learning_rate_warmup: share of the training in which the rate rises from 0, before cosine.
        learning_rate_drops: shares of the training after which "drops" divides the rate by 10.
        momentum: of SGD.
        weight_decay: L2 as PyTorch's: this times the weight is added to its gradient.
        weight_average: decay a step of the moving average of the weights that is measured and
            ships in the place of the last ones; 0: the last ones.
        mirrored: whether the network that is measured and ships sees each image and its mirror
            image (`models.mirrored`): a larger ARA at twice the cost of an answer, not of training.
        penalty: whether the gradient penalty is on; off, the rest of its numbers say nothing.
        penalty_exponent: z, the power of the input gradient's entries.
        tandem: ζ, the share of images whose scalar is the margin, not a random logit.
        psi_initial: ψ0, the penalty's weight at the start.
        psi_gain: k in ψ = ψ0·exp(k·r).
        loss_target: the classification loss that ψ holds; default: 0.65·ln K.
        adversarial: what images are perturbed by in training: none, l2 or l2_min (the paper's),
            madry_l2 or madry_linf (PGD), trades (in L∞) or trades_l2.
        adversarial_epsilon: how far, pixels from 0 to 1: RMSE, or the largest change of a pixel
            for madry_linf and trades; default: the method's own (.01, for l2_min .1, in L∞ 8/255).
        adversarial_steps: gradients taken; default: the method's own (7, for trades 10).
        adversarial_growth: share of the training in which perturbations grow, from nothing to all
            of what the method finds; default: none, they are whole from the start.
        adversarial_share: probability of an image to be perturbed; default: 0.5 with the
            penalty, else 1, and 1 for trades.
        trades_beta: β, the weight of the divergence in trades; default: 6.
        seed: of weights, order, augmentation, the random logits and perturbations.
        checkpoint_every: steps between checkpoints.
        explain_every: epochs between pictures of explanations in TensorBoard; 0: none.
        ara_every: epochs between cheap attack ARAs of a few test images, in metrics.csv and
            TensorBoard; 0: none.
        eval_images: test images that are attacked at the end.
        eval_preset: the attacks: "fast", "standard" or "thorough".
        full_card: also measure robust accuracy in [0, 1] at customary L2 sizes, on the same images,
            and certify the smoothed network on some, for the model card.
        synchronized: batch statistics over all replicas.
        precision: what layers compute in while training: float32 or bfloat16. Weights, logits,
            loss, penalty and ψ are float32 always, as is the exported network.
    """

    name: str
    dataset: str
    data_dir: str | None = None
    image_size: int | None = None
    held_out: int = 0
    augmentation: str = "crop_flip"
    architecture: str = "resnet_cifar"
    depth: int = 44
    width: int | None = None
    stem_stride: int = 1
    activation: str = "half_huber_relu"
    epochs: int = 200
    max_steps: int | None = None
    batch_size: int = 128
    learning_rate: float = 0.1
    learning_rate_schedule: str = "drops"
    learning_rate_warmup: float = 0.0
    learning_rate_drops: tuple[float, ...] = (0.85, 0.975)
    momentum: float = 0.9
    weight_decay: float = 1e-4
    weight_average: float = 0.0
    mirrored: bool = False
    penalty: bool = True
    penalty_exponent: float = 2.0
    tandem: float = 0.2
    psi_initial: float = 220.0
    psi_gain: float = 0.02
    loss_target: float | None = None
    adversarial: str = "none"
    adversarial_epsilon: float | None = None
    adversarial_steps: int | None = None
    adversarial_growth: float | None = None
    adversarial_share: float | None = None
    trades_beta: float | None = None
    seed: int = 0
    checkpoint_every: int = 100
    explain_every: int = 0
    ara_every: int = 0
    eval_images: int = 100
    eval_preset: str = "standard"
    full_card: bool = False
    synchronized: bool = False
    precision: str = "float32"

    def __post_init__(self) -> None:
        for field, low in _AT_LEAST.items():
            value = getattr(self, field)
            if value is not None and not value >= low:
                raise InputError(f"expected --{field} of at least {low}, got {value}")
        if self.seed > 2**31 - 1:
            raise InputError(f"expected --seed of at most {2**31 - 1}, got {self.seed}")
        for field, choices in _ONE_OF.items():
            if getattr(self, field) not in choices:
                raise InputError(
                    f"expected --{field} to be one of {', '.join(choices)}; "
                    f"got {getattr(self, field)!r}"
                )
        shares = ("tandem", "momentum", "learning_rate_warmup", "weight_average")
        for field in (*shares, "adversarial_share", "adversarial_growth"):
            value = getattr(self, field)
            if value is not None and not 0 <= value <= 1:
                raise InputError(f"expected --{field} from 0 to 1, got {value}")
        drops = self.learning_rate_drops
        if list(drops) != sorted(drops) or not all(0 < share < 1 for share in drops):
            raise InputError(
                f"expected --learning_rate_drops as ascending shares from 0 to 1, got {drops}"
            )
        for field in _ABOVE_0:
            value = getattr(self, field)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise InputError(f"expected --{field} above 0, got {value}")
        if self.weight_average == 1:
            raise InputError("expected --weight_average below 1, which would never move")
        if self.learning_rate_warmup and self.learning_rate_schedule != "cosine":
            raise InputError("expected --learning_rate_schedule cosine with --learning_rate_warmup")
        for field in _OF_PERTURBER:
            if self.adversarial == "none" and getattr(self, field) is not None:
                raise InputError(
                    f"expected --adversarial with --{field}: one of {', '.join(ADVERSARIAL[1:])}"
                )
        if self.stem_stride != 1 and self.architecture != "resnet_cifar":
            raise InputError(
                f"expected --architecture resnet_cifar with --stem_stride, got {self.architecture}"
            )
        if self.stem_stride not in (1, 2):
            raise InputError(f"expected --stem_stride of 1 or 2, got {self.stem_stride}")
        if self.trades_beta is not None and not self.adversarial.startswith("trades"):
            raise InputError(
                "expected --adversarial trades or trades_l2 with --trades_beta, "
                f"got {self.adversarial}"
            )

    def plain_twin(self) -> "Recipe":
        """The same network and training with ReLU, no penalty and no adversarial images.

        What says nothing without them, or only of the measurement, is at its default.
        """
        default = Recipe(name="", dataset="")
        idle = {
            field.name: getattr(default, field.name)
            for field in dataclasses.fields(Recipe)
            if field.name in _OF_ROBUSTNESS or field.name in _OF_MEASUREMENT
        }
        plain = {"name": "plain", "activation": "relu", "penalty": False}
        return dataclasses.replace(self, **{**idle, **plain})

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


_OF_PERTURBER = (
    "adversarial_epsilon",
    "adversarial_steps",
    "adversarial_growth",
    "adversarial_share",
)
_OF_ROBUSTNESS = (
    *_OF_PERTURBER,
    "penalty_exponent",
    "tandem",
    "psi_initial",
    "psi_gain",
    "loss_target",
    "adversarial",
    "trades_beta",
)
_OF_MEASUREMENT = (
    "data_dir",
    "max_steps",
    "checkpoint_every",
    "eval_images",
    "eval_preset",
    "explain_every",
    "ara_every",
    "full_card",
)
_AT_LEAST: dict[str, float] = {
    "image_size": 8,
    "held_out": 0,
    "depth": 8,
    "width": 1,
    "epochs": 1,
    "max_steps": 1,
    "batch_size": 1,
    "weight_decay": 0,
    "psi_gain": 0,
    "seed": 0,
    "checkpoint_every": 1,
    "explain_every": 0,
    "ara_every": 0,
    "eval_images": 1,
    "adversarial_steps": 1,
}
_ABOVE_0 = (
    "learning_rate",
    "psi_initial",
    "penalty_exponent",
    "loss_target",
    "adversarial_epsilon",
    "adversarial_growth",
    "adversarial_share",
    "trades_beta",
)
_ONE_OF: dict[str, tuple[str, ...]] = {
    "augmentation": AUGMENTATIONS,
    "architecture": ARCHITECTURES,
    "learning_rate_schedule": SCHEDULES,
    "activation": ACTIVATIONS,
    "adversarial": ADVERSARIAL,
    "eval_preset": EVAL_PRESETS,
    "precision": PRECISIONS,
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


def cifar10_published_standard() -> Recipe:
    """The published standard network: ResNet-44 on CIFAR-10, 200 epochs; for a GPU.

    Paper: arXiv 1906.02896, published example. Command: ``python tools/train.py --recipe
    cifar10_published_standard``. The published network reached accuracy .9384, attack ARA .0013,
    BTR ARA .0015, by the paper's attack on the original CIFAR-10. That the two networks without
    the robust loss have plain ReLU is our assumption.
    """
    return Recipe(
        name="cifar10_published_standard", dataset="cifar10", activation="relu", penalty=False
    )


def cifar10_published_adversarial() -> Recipe:
    """The published network adversarially trained by the paper's "L2": for a GPU.

    Paper: arXiv 1906.02896, published example. Command: ``python tools/train.py --recipe
    cifar10_published_adversarial``. The published network reached accuracy .8643, attack ARA
    .0100, BTR ARA .0157, by the paper's attack on the original CIFAR-10. ReLU is our assumption.
    """
    return dataclasses.replace(
        cifar10_published_standard(), name="cifar10_published_adversarial", adversarial="l2"
    )


def cifar10_published_robust() -> Recipe:
    """The published network of the robust loss, and what CIFAR-10 is trained by: for a GPU.

    Paper: arXiv 1906.02896, published example. Command: ``python tools/train.py --dataset
    cifar10``. The published network reached accuracy .6758, attack ARA .0142, BTR ARA .0395, by
    the paper's attack on the original CIFAR-10, and ended at ψ = 33,778.
    """
    return Recipe(name="cifar10_published_robust", dataset="cifar10")


def cifar10_published_all() -> Recipe:
    """The published network of the robust loss with "L2,min" on half the images: for a GPU.

    Paper: arXiv 1906.02896, published example. Command: ``python tools/train.py --recipe
    cifar10_published_all``. The published network reached accuracy .679, attack ARA .0188, BTR
    ARA .0414, by the paper's attack on the original CIFAR-10, and ended at ψ = 14,240.
    """
    return dataclasses.replace(
        cifar10_published_robust(), name="cifar10_published_all", adversarial="l2_min"
    )


def cifar10() -> Recipe:
    """CIFAR-10 on two CPU cores in an hour and a half: the network that is shipped.

    Adversarial training by one step (arXiv 2001.03994) in a growing ball, of a wide network at
    half the resolution, which then sees the mirror image as well. Command: ``python
    tools/train.py --recipe cifar10 --nojit --data_dir …``; without XLA the step is faster on a
    CPU. Expect what saved_models/README.md says; benchmarks/recipe_search.py is how it was chosen.
    """
    return Recipe(
        name="cifar10",
        dataset="cifar10",
        depth=8,
        width=56,
        stem_stride=2,
        epochs=42,
        learning_rate=0.2,
        learning_rate_schedule="cosine",
        learning_rate_warmup=0.1,
        weight_decay=5e-4,
        weight_average=0.99,
        mirrored=True,
        penalty=False,
        adversarial="madry_l2",
        adversarial_epsilon=1.6 / 3072**0.5,  # an L2 of 1.6
        adversarial_steps=1,
        adversarial_growth=0.5,
        precision="bfloat16",
        eval_images=1000,
        full_card=True,
    )


def imagenet2012_resnet50() -> Recipe:
    """The robust loss on ImageNet with a ResNet-50: for a machine with several GPUs.

    The paper's ImageNet constants are not known to us: those here are our choice. Command:
    ``python tools/train.py --dataset imagenet2012 --data_dir …``. The paper reports ARA .0053.
    """
    return Recipe(
        name="imagenet2012_resnet50",
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


def imagenet2012_resnet18() -> Recipe:
    """The same with a ResNet-18: for one GPU, or for large photographs of one's own.

    Command: ``python tools/train.py --recipe imagenet2012_resnet18 --data_dir …``; add
    ``--dataset folder:/path/to/images`` for one's own. No figure is known to us.
    """
    return dataclasses.replace(imagenet2012_resnet50(), name="imagenet2012_resnet18", depth=18)


def folder() -> Recipe:
    """A user's own folder of small images, one sub-folder per class, by the small network.

    Command: ``python tools/train.py --dataset folder:/path/to/images``. What to expect depends
    on the images; the default's six epochs are few: see `--epochs`, `--depth`, `--image_size`.
    """
    return dataclasses.replace(
        fashion_mnist_mini(),
        name="folder",
        dataset="folder:/path/to/images",
        loss_target=None,
        augmentation="crop_flip",
    )


RECIPES = {
    recipe.__name__: recipe
    for recipe in (
        fashion_mnist_mini,
        fashion_mnist_mini_plain,
        cifar10_published_standard,
        cifar10_published_adversarial,
        cifar10_published_robust,
        cifar10_published_all,
        cifar10,
        imagenet2012_resnet50,
        imagenet2012_resnet18,
        folder,
    )
}
_BY_DATASET = {
    "fashion_mnist_mini": fashion_mnist_mini,
    "cifar10": cifar10_published_robust,
    "imagenet2012": imagenet2012_resnet50,
    "folder": folder,
}


def for_dataset(dataset: str) -> Recipe:
    """The recipe that a data set's name alone asks for.

    Args:
        dataset: what `datasets.load` takes; a version after a colon changes nothing. A name
            without a recipe of its own gets the small network's, no flip where the images are
            digits. For a folder of large photographs `--recipe imagenet2012_resnet18` is the
            choice.

    Returns:
        A recipe with that data set.
    """
    known = _BY_DATASET.get(dataset.split(":")[0])
    if known is folder:
        # Each folder's models are versions of a name of their own.
        own = re.sub(r"[^\w-]+", "_", Path(dataset.removeprefix("folder:")).name) or "root"
        return dataclasses.replace(folder(), name=f"folder_{own}", dataset=dataset)
    if known is not None:
        return dataclasses.replace(known(), dataset=dataset)
    words = dataset.replace("/", "_").replace(":", "_").split("_")
    digits = "fashion" not in words and not {"mnist", "svhn", "emnist", "kmnist"}.isdisjoint(words)
    return dataclasses.replace(
        folder(),
        name="_".join(words),
        dataset=dataset,
        augmentation="crop" if digits else "crop_flip",
    )


def read(path: Path) -> Recipe:
    """The recipe that a run folder's recipe.json holds.

    Raises:
        InputError: the file is missing or no recipe.
    """
    try:
        return Recipe.from_json(json.loads(path.read_text())["recipe"])
    except (OSError, KeyError, TypeError, InputError, ValueError) as error:
        raise InputError(
            f"expected a run's recipe at {path}, but it cannot be read ({error}); "
            "name another --run_dir, or take that folder away"
        ) from None
