"""The recipes for ImageNet: functions that return a configuration. No TensorFlow here."""

from tfrobust.runs.config import Config
from tfrobust.runs.network_section import IMAGENET, NetworkConfig
from tfrobust.runs.penalty_section import PenaltyConfig
from tfrobust.runs.sections import (
    DataConfig,
    MeasureConfig,
    OptimizerConfig,
    PsiConfig,
    TrainingConfig,
)


def imagenet2012_resnet50() -> Config:
    """The robust loss on ImageNet with a ResNet-50; for a machine with several GPUs.

    Paper: arXiv 1906.02896, the robust loss. We do not know the paper's constants for ImageNet:
    those here are our choice.
    Command: ``python tools/train.py --dataset imagenet2012 --data_dir …``.
    Result: the paper reports ARA .0053.
    """
    return Config(
        name="imagenet2012_resnet50",
        data=DataConfig(name="imagenet2012", augmentation="imagenet"),
        network=NetworkConfig(architecture="resnet_imagenet", depth=50),
        training=TrainingConfig(epochs=90, batch_size=256, checkpoint_every=500),
        optimizer=OptimizerConfig(learning_rate_drops=(0.33, 0.67, 0.89)),
        measure=MeasureConfig(images=500),
    )


def imagenet2012_resnet18() -> Config:
    """The same with a ResNet-18; for one GPU, or for large photographs of your own.

    Command: ``python tools/train.py --recipe imagenet2012_resnet18 --data_dir …``, for your own
    photographs with ``--dataset folder:/path/to/images``.
    Result: we know of no figure.
    """
    return imagenet2012_resnet50().replace({"name": "imagenet2012_resnet18", "network.depth": 18})


def imagenet2012_convnext_tiny() -> Config:
    """Fine-tunes a trained ConvNeXt-Tiny by the norm of the loss's input gradient; for one GPU.

    Its activations are smooth (GELU), without which this penalty does little. The new last layer
    is trained alone for one epoch. All numbers are our choice: the paper penalises the L1 norm by
    a fixed weight, where ours is the L2 norm, whose weight ψ holds the loss.

    Paper: arXiv 2409.20139, the penalty.
    Command: ``python tools/train.py --recipe imagenet2012_convnext_tiny --data_dir …``. Keras
    downloads the weights; ``--weights FILE`` takes convnext_tiny_notop.h5 from a disk.
    Result: we know of no figure of this network. The paper's Swin-B holds 51.58 % of ImageNet
    under AutoAttack (L∞, 4/255), and 56.12 % by adversarial training at 1 / .6 of the cost.
    """
    return Config(
        name="imagenet2012_convnext_tiny",
        data=DataConfig(name="imagenet2012", augmentation="imagenet"),
        network=NetworkConfig(
            architecture="keras:ConvNeXtTiny",
            weights=IMAGENET,
            activation="relu",  # as it is: it has none
            frozen_epochs=1,
        ),
        training=TrainingConfig(
            epochs=20, batch_size=256, precision="bfloat16", checkpoint_every=500
        ),
        optimizer=OptimizerConfig(
            learning_rate=0.02,
            learning_rate_schedule="cosine",
            learning_rate_warmup=0.1,
            weight_decay=1e-5,
            weight_average=0.999,
        ),
        penalty=PenaltyConfig(of="loss", exponent=1.0),
        psi=PsiConfig(initial_share=0.05, loss_target=1.5),
        measure=MeasureConfig(images=500),
    )
