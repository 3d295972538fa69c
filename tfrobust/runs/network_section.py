"""The section of a run's configuration that says which network is trained. No TensorFlow here."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from tfrobust.errors import InputError
from tfrobust.models.names import ARCHITECTURES, Activation, Drop
from tfrobust.runs.fields import record

NETWORK_FILES = (".keras", ".h5")
IMAGENET = "imagenet"


@record("network")
class NetworkConfig:
    """The network that is trained."""

    architecture: str = "resnet_cifar"
    """resnet_cifar or resnet_imagenet, which depth, width, stem_stride, activation and synchronized
    describe; lipschitz, which width describes, and whose robustness is certified (train it by
    margin.epsilon); or a network of its own: keras:EfficientNetV2B0 or another of
    keras.applications; keras_hub:PRESET, a trained backbone, with the extra keras-hub; a .keras or
    .h5 file, whose weights are trained on; or python:module:function, where
    function(input_shape, num_classes) gives a Keras model."""

    weights: str | None = None
    """What a keras: network begins with: imagenet, which Keras downloads, or a file of its weights
    without the top, as Keras names them …_no_top.h5. Default: new random weights."""

    depth: Annotated[int, Field(ge=8)] = 44
    """Layers: 6n + 2 for resnet_cifar; 18, 34 or 50 for resnet_imagenet."""

    width: Annotated[int | None, Field(ge=1)] = None
    """Channels of the first group of layers. Default: the architecture's own."""

    stem_stride: Annotated[int, Field(ge=1, le=2)] = 1
    """Stride of resnet_cifar's first convolution, 1 or 2. With 2, a network of twice the width
    costs about the same."""

    activation: Activation = "half_huber_relu"
    """The nonlinearity. The penalty differentiates it twice, which suits half_huber_relu, silu and
    gelu. In a network of its own, half_huber_relu takes the place of every plain ReLU, and trained
    weights need some dozens of steps to fit it; relu leaves all as it is."""

    frozen_epochs: Annotated[int, Field(ge=0)] = 0
    """So many epochs at the start train the last layer alone, of a network with trained weights:
    all others keep their weights and their statistics of batch normalisation."""

    attention: bool = False
    """Whether a ResNet weighs places by learned attention, whose map is one more explanation."""

    drop: Drop = "none"
    """What becomes of a ResNet's blocks at random while it trains: stochastic_depth leaves them
    out, shake_drop multiplies them by random numbers."""

    drop_rate: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """How often the last block is dropped; earlier ones are dropped more rarely."""

    synchronized: bool = False
    """Whether batch normalisation takes its statistics over all devices."""

    mirrored: bool = False
    """Whether the network that is measured and ships answers by an image and its mirror image
    together (`models.mirrored`). The ARA grows; an answer costs twice as much, training does
    not, unless mirrored_training."""

    mirrored_training: bool = False
    """Whether that network is also the one that is trained. A step then costs twice as much."""

    def __post_init__(self) -> None:
        form, name = self.architecture.partition(":")[::2]
        suffix = Path(self.architecture).suffix
        whole = (form in ("keras", "keras_hub", "python") and name) or suffix in NETWORK_FILES
        if self.architecture not in ARCHITECTURES and not whole:
            raise InputError(
                f"expected `network.architecture` to be {', '.join(ARCHITECTURES)}, keras:NAME, "
                "keras_hub:PRESET, a .keras or .h5 file or python:module:function, got "
                f"{self.architecture!r}"
            )
        if self.weights is not None and form != "keras":
            raise InputError(
                "expected `network.architecture` to be keras:NAME where there is "
                f"`network.weights`, got {self.architecture!r}: a file brings its own weights"
            )
        if self.frozen_epochs and (not whole or (form == "keras" and self.weights is None)):
            raise InputError(
                "expected a network with trained weights where there is `network.frozen_epochs`: "
                "`network.architecture` as a file or a function, or keras:NAME with "
                f"`network.weights`; got {self.architecture!r} with new weights"
            )
        if self.frozen_epochs and self.activation != "relu":
            raise InputError(
                "expected `network.activation` to be 'relu', which leaves all activations, where "
                "there is `network.frozen_epochs`: weights that are kept would not fit others"
            )
        if self.stem_stride != 1 and self.architecture != "resnet_cifar":
            raise InputError(
                "expected `network.architecture` to be resnet_cifar where `network.stem_stride` "
                f"is not 1, got {self.architecture!r}"
            )
        if self.mirrored and self.architecture == "lipschitz":
            raise InputError(
                "expected `network.architecture` to be another than 'lipschitz' where there is "
                "`network.mirrored`: it has no global pool, at which both views could meet"
            )
        if self.mirrored_training and not self.mirrored:
            raise InputError(
                "expected `network.mirrored` where there is `network.mirrored_training`"
            )
        of_resnets = {
            "activation": self.activation in ("silu", "gelu"),
            "synchronized": self.synchronized,
            "attention": self.attention,
            "drop": self.drop != "none",
        }
        for field, is_set in of_resnets.items():
            if is_set and (whole or self.architecture == "lipschitz"):
                raise InputError(
                    f"expected `network.{field}` with a ResNet of this package only, got the "
                    f"architecture {self.architecture!r}"
                )
        if self.mirrored and self.attention:
            raise InputError(
                "expected either `network.mirrored` or `network.attention`: both views of an image "
                "meet in a global average pool, in whose place attention stands"
            )
