"""The recipes by name: functions that return a configuration. No TensorFlow here."""

import re
from pathlib import Path

from tfrobust.runs.config import Config
from tfrobust.runs.imagenet_recipes import (
    imagenet2012_convnext_tiny,
    imagenet2012_resnet18,
    imagenet2012_resnet50,
)
from tfrobust.runs.margin_section import MarginConfig
from tfrobust.runs.network_section import NetworkConfig
from tfrobust.runs.penalty_section import PenaltyConfig
from tfrobust.runs.sections import (
    AdversarialConfig,
    DataConfig,
    MeasureConfig,
    OptimizerConfig,
    PsiConfig,
    TrainingConfig,
)


def fashion_mnist_mini() -> Config:
    """The default: a robust ResNet-8 on the embedded images, in minutes on two CPU cores.

    Paper: arXiv 1906.02896, the robust loss.
    Command: ``python tools/train.py``.
    Result: the row "fashion_mnist_mini" in the README's table of figures.
    """
    return Config(
        name="fashion_mnist_mini",
        # Six epochs are too few for augmentation to help.
        data=DataConfig(name="fashion_mnist_mini", augmentation="none"),
        network=NetworkConfig(depth=8),
        training=TrainingConfig(epochs=6, batch_size=100),
        optimizer=OptimizerConfig(learning_rate_drops=(0.7,)),
        psi=PsiConfig(loss_target=0.7),
    )


def fashion_mnist_mini_plain() -> Config:
    """The plain twin of the robust network: ReLU and no penalty, all else equal.

    Command: ``python tools/train.py --recipe fashion_mnist_mini_plain``.
    Result: the row "fashion_mnist_mini_plain" in the README's table of figures.
    """
    return fashion_mnist_mini().replace(
        {
            "name": "fashion_mnist_mini_plain",
            "network.activation": "relu",
            "penalty.on": False,
        }
    )


def fashion_mnist_lipschitz() -> Config:
    """A 1-Lipschitz network on the embedded images, whose robustness is certified.

    Paper: arXiv 1811.05381 and 2601.18513, the network; arXiv 2208.03160, the loss.
    Command: ``python tools/train.py --recipe fashion_mnist_lipschitz``.
    Result: the row "fashion_mnist_lipschitz" in saved_models/README.md.
    """
    return Config(
        name="fashion_mnist_lipschitz",
        data=DataConfig(name="fashion_mnist_mini", augmentation="none"),
        network=NetworkConfig(architecture="lipschitz"),
        training=TrainingConfig(epochs=12),
        optimizer=OptimizerConfig(
            learning_rate_schedule="cosine", learning_rate_warmup=0.1, weight_decay=0.0
        ),
        margin=MarginConfig(epsilon=1.0),
        penalty=PenaltyConfig(on=False),
        measure=MeasureConfig(images=1000, full_card=True),
    )


def cifar10_published_standard() -> Config:
    """The published standard network: ResNet-44 on CIFAR-10, 200 epochs; for a GPU.

    Paper: arXiv 1906.02896, published example. We assume that its two networks without the
    robust loss have plain ReLU.
    Command: ``python tools/train.py --recipe cifar10_published_standard``.
    Result: the published network reached accuracy .9384, attack ARA .0013 and BTR ARA .0015 on
    the original CIFAR-10, by the paper's attack.
    """
    return Config(
        name="cifar10_published_standard",
        data=DataConfig(name="cifar10"),
        network=NetworkConfig(activation="relu"),
        penalty=PenaltyConfig(on=False),
    )


def cifar10_published_adversarial() -> Config:
    """The published network that was adversarially trained by the paper's "L2"; for a GPU.

    Paper: arXiv 1906.02896, published example. ReLU is our assumption.
    Command: ``python tools/train.py --recipe cifar10_published_adversarial``.
    Result: the published network reached accuracy .8643, attack ARA .0100 and BTR ARA .0157 on
    the original CIFAR-10, by the paper's attack.
    """
    return cifar10_published_standard().replace(
        {"name": "cifar10_published_adversarial", "adversarial.method": "l2"}
    )


def cifar10_published_robust() -> Config:
    """The published network of the robust loss; for a GPU. CIFAR-10's recipe if none is named.

    Paper: arXiv 1906.02896, published example.
    Command: ``python tools/train.py --dataset cifar10``.
    Result: the published network reached accuracy .6758, attack ARA .0142 and BTR ARA .0395 on
    the original CIFAR-10, by the paper's attack; its training ended at ψ = 33,778.
    """
    return Config(name="cifar10_published_robust", data=DataConfig(name="cifar10"))


def cifar10_published_all() -> Config:
    """The published network of the robust loss with "L2,min" on half the images; for a GPU.

    Paper: arXiv 1906.02896, published example.
    Command: ``python tools/train.py --recipe cifar10_published_all``.
    Result: the published network reached accuracy .679, attack ARA .0188 and BTR ARA .0414 on
    the original CIFAR-10, by the paper's attack; its training ended at ψ = 14,240.
    """
    return cifar10_published_robust().replace(
        {"name": "cifar10_published_all", "adversarial.method": "l2_min"}
    )


def cifar10() -> Config:
    """CIFAR-10 on two CPU cores in an hour and a half: the network that is shipped.

    Adversarial training of one step in a growing ball, of a wide network at half the resolution,
    which then also looks at the mirror image. It was chosen by benchmarks/recipe_search.py.

    Paper: arXiv 2001.03994, adversarial training of one step.
    Command: ``python tools/train.py --recipe cifar10 --nojit --data_dir …``. Without XLA a step
    is faster on a CPU.
    Result: the row "cifar10" in saved_models/README.md.
    """
    return Config(
        name="cifar10",
        data=DataConfig(name="cifar10"),
        network=NetworkConfig(depth=8, width=56, stem_stride=2, mirrored=True),
        training=TrainingConfig(epochs=42, precision="bfloat16"),
        optimizer=OptimizerConfig(
            learning_rate=0.2,
            learning_rate_schedule="cosine",
            learning_rate_warmup=0.1,
            weight_decay=5e-4,
            weight_average=0.99,
        ),
        penalty=PenaltyConfig(on=False),
        adversarial=AdversarialConfig(
            method="madry_l2",
            epsilon=1.6 / 3072**0.5,  # an L2 of 1.6
            steps=1,
            growth=0.5,
        ),
        measure=MeasureConfig(images=1000, full_card=True),
    )


def folder() -> Config:
    """Your own folder of small images, with one sub-folder per class, by the small network.

    Command: ``python tools/train.py --dataset folder:/path/to/images``.
    Result: it depends on the images. The epochs are few, six or as many as make 200 steps: see
    ``--epochs``, ``--depth``, ``--image_size``, and ``--network`` for networks of Keras or of your
    own.
    """
    return fashion_mnist_mini().replace(
        {
            "name": "folder",
            "data.name": "folder:/path/to/images",
            "data.augmentation": "crop_flip",
            "training.epochs": None,
            "psi.loss_target": None,
        }
    )


def radiographs() -> Config:
    """Your own radiographs: never flipped, turned and lightened a little, kept whole, balanced.

    Command: ``python tools/train.py --recipe radiographs --dataset folder:/path/to/images``, with
    ``--labels labels.csv`` if no sub-folders say the classes.
    Result: it depends on the images. A real study needs a larger ``--image_size``, ``--width`` and
    more ``--epochs``.
    """
    return folder().replace(
        {
            "name": "radiographs",
            "data.augmentation": "radiograph",
            "data.fit": "letterbox",
            "data.balance": "sampling",
        }
    )


RECIPES = {
    recipe.__name__: recipe
    for recipe in (
        fashion_mnist_mini,
        fashion_mnist_mini_plain,
        fashion_mnist_lipschitz,
        cifar10_published_standard,
        cifar10_published_adversarial,
        cifar10_published_robust,
        cifar10_published_all,
        cifar10,
        imagenet2012_resnet50,
        imagenet2012_resnet18,
        imagenet2012_convnext_tiny,
        folder,
        radiographs,
    )
}
# What psi.initial_share is for a network of its own. The published ResNet-44 begins with .044 on
# CIFAR-10 (JPEG copy): ψ0 = 220 was chosen for it. A MobileNetV3Small would begin with .80.
SHARE_OF_OTHERS = 0.05
_BY_DATASET = {
    "fashion_mnist_mini": fashion_mnist_mini,
    "cifar10": cifar10_published_robust,
    "imagenet2012": imagenet2012_resnet50,
    "folder": folder,
}


def for_dataset(dataset: str) -> Config:
    """The recipe that a data set gets if only its name is known.

    Args:
        dataset: what `datasets.load` takes; a version after a colon changes nothing. A set without
            a recipe of its own gets the one for folders of small images, without flips if its
            images are digits. For a folder of large photographs, take `imagenet2012_resnet18`.

    Returns:
        The recipe's configuration with that data set.
    """
    known = _BY_DATASET.get(dataset.split(":")[0])
    if known is folder:
        # The models of each folder are versions of a name of their own.
        own = re.sub(r"[^\w-]+", "_", Path(dataset.removeprefix("folder:")).name) or "root"
        return folder().replace({"name": f"folder_{own}", "data.name": dataset})
    if known is not None:
        return known().replace({"data.name": dataset})
    words = dataset.replace("/", "_").replace(":", "_").split("_")
    digits = "fashion" not in words and not {"mnist", "svhn", "emnist", "kmnist"}.isdisjoint(words)
    return folder().replace(
        {
            "name": "_".join(words),
            "data.name": dataset,
            "data.augmentation": "crop" if digits else "crop_flip",
        }
    )
