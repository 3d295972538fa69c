"""The sections of a run's configuration. Each field says where it stands what it may be and means.

The flags of the program, its help, the checks and the files of a run are all made from these
classes. This module does not import TensorFlow.
"""

from typing import Annotated, Literal

from pydantic import Field

from tfrobust.datasets.names import Augmentation, Balance, Draw, Fit
from tfrobust.datasets.sample_bits import MAX_BITS, MIN_BITS
from tfrobust.errors import InputError
from tfrobust.runs.fields import Flat, record

Count = Annotated[int, Field(ge=1)]
Number = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


@record("data")
class DataConfig:
    """The images: which set, and how they are prepared."""

    name: Annotated[str, Flat("dataset")]
    """The data set: fashion_mnist_mini, a set of TensorFlow Datasets such as cifar10 or
    imagenet2012, or folder:/path with one sub-folder per class."""

    data_dir: str | None = None
    """The folder where TensorFlow Datasets keeps its sets. Default: its own."""

    image_size: Annotated[int | None, Field(ge=8)] = None
    """Height and width in pixels that all images are brought to. Default: the set's own."""

    bits: Annotated[int | None, Field(ge=MIN_BITS, le=MAX_BITS)] = None
    """How many bits of each sample carry the picture in 16-bit files of a folder that do not say
    it, such as 12 in radiographs. Default: 16; files that would then be nearly black are
    refused."""

    frame: Annotated[int | None, Field(ge=1)] = None
    """Which frame of a folder's DICOM files is read, from 1. Default: the only one; files of
    several are left out."""

    labels: str | None = None
    """A CSV that says the label of each file of a folder, and perhaps its group, split and weight.
    Default: the sub-folders are the classes."""

    group: str | None = None
    """What must not be on both sides of a folder's split: column:NAME of the CSV, dicom:PatientID,
    pattern:REGEX of the file names, or none. Default: a column called group or patient, else the
    PatientID of DICOM files."""

    fit: Fit = "crop"
    """How pictures of a folder that have other proportions are brought to one size: crop cuts their
    middle out, letterbox keeps all of them between black margins."""

    held_out: Number = 0
    """So many training images, the last ones, are not trained on but measured in the place of the
    test images. Use it to choose between configurations."""

    balance: Balance = "none"
    """What is done about rare classes: sampling shows each class equally often, weights makes them
    weigh the same in the classification loss."""

    augmentation: Augmentation = "crop_flip"
    """How training images are varied; imagenet is a random resized crop and a flip, radiograph
    a shift, a small rotation and a change of contrast."""


@record("training")
class TrainingConfig:
    """How long the training is, and in what steps."""

    epochs: Annotated[int | None, Field(ge=1)] = 200
    """Passes over the training images. Of your own folder the default is six, and more where few
    images would make less than 200 steps."""

    max_steps: Annotated[int | None, Field(ge=1)] = None
    """Stop after so many steps. This is for a smoke run: what follows is no measurement."""

    batch_size: Count = 128
    """Images of a step, over all devices."""

    precision: Literal["float32", "bfloat16"] = "float32"
    """What the layers compute in while training. Weights, logits, the loss, the penalty and ψ
    are always float32, and so is the exported network."""

    checkpoint_every: Count = 100
    """Steps between two checkpoints."""


@record("optimizer")
class OptimizerConfig:
    """What takes the steps, and its learning rate over the training."""

    name: Annotated[Literal["sgd", "muon"], Flat("optimizer")] = "sgd"
    """sgd is stochastic gradient descent with momentum; muon makes each kernel's step orthogonal
    (Muon), wants a smaller learning rate, such as 0.01, and takes Adam's steps for all else."""

    learning_rate: Positive = 0.1
    """The learning rate, or the largest of its schedule."""

    learning_rate_schedule: Literal["drops", "cosine"] = "drops"
    """drops divides the rate by 10 at learning_rate_drops; cosine lowers it to 0 along half a
    cosine."""

    learning_rate_warmup: Share = 0.0
    """The share of the training in which the rate rises from 0, before cosine."""

    learning_rate_drops: tuple[float, ...] = (0.85, 0.975)
    """The shares of the training after which drops divides the rate by 10, such as 0.5,0.8."""

    momentum: Share = 0.9
    """The momentum."""

    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    """L2 regularisation as PyTorch has it: this times the weight is added to its gradient. Of muon
    it is decoupled: a step takes the learning rate times this from each weight."""

    weight_average: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The decay per step of a moving average of the weights. The average is what is measured and
    ships; 0 means the last weights themselves."""

    def __post_init__(self) -> None:
        drops = self.learning_rate_drops
        if list(drops) != sorted(drops) or not all(0 < share < 1 for share in drops):
            raise InputError(
                "expected `optimizer.learning_rate_drops` to be ascending shares between 0 and 1, "
                f"got {drops}"
            )
        if self.learning_rate_warmup and self.learning_rate_schedule != "cosine":
            raise InputError(
                "expected `optimizer.learning_rate_schedule` to be 'cosine' where there is "
                f"`optimizer.learning_rate_warmup`, got {self.learning_rate_schedule!r}"
            )


@record("psi")
class PsiConfig:
    """The controller of ψ, the weight of the penalty."""

    initial: Positive = 220.0
    """ψ0, the weight at the start. 220 fits the ResNets of this package."""

    initial_share: Annotated[float | None, Field(gt=0, lt=1)] = None
    """The most that the penalty may be of the loss at the start: in the first 20 steps ψ0 is
    lowered to it. Default: ψ0 stays as it is; tfrobust-train takes 0.05 for a network that is not
    of this package, and for the penalty of the loss."""

    gain: Annotated[float, Field(ge=0)] = 0.02
    """k in ψ = ψ0·exp(k·r), where r rises while the loss is better than its target."""

    loss_target: Annotated[float | None, Field(gt=0), Flat("loss_target")] = None
    """The classification loss that ψ holds, in nats. Default: 0.65 times that of a guess,
    ln K for K classes that come equally often."""


@record("adversarial")
class AdversarialConfig:
    """Adversarial training: how training images are perturbed."""

    method: Annotated[
        Literal["none", "l2", "l2_min", "madry_l2", "madry_linf", "trades", "trades_l2"],
        Flat("adversarial"),
    ] = "none"
    """The method: l2 and l2_min are those of arXiv 1906.02896, madry_l2 and madry_linf are PGD in
    a ball of that norm, trades (in L∞) and trades_l2 are TRADES."""

    epsilon: Annotated[float | None, Field(gt=0)] = None
    """The size of the perturbations, for pixels from 0 to 1: an RMSE, or for madry_linf and trades
    the largest change of a pixel. Default: the method's own (0.01; for l2_min 0.1; in L∞
    8/255)."""

    steps: Annotated[int | None, Field(ge=1)] = None
    """How many gradients are taken. Default: the method's own (7; for trades 10)."""

    growth: Annotated[float | None, Field(gt=0, le=1)] = None
    """The share of the training in which the perturbations grow from nothing to their whole
    size. Default: they have it from the start."""

    share: Annotated[float | None, Field(gt=0, le=1)] = None
    """The share of a batch's images that are perturbed, drawn anew for each batch. Default: 0.5
    together with the penalty, else 1, and 1 for trades."""

    beta: Annotated[float | None, Field(gt=0), Flat("trades_beta")] = None
    """β, the weight of the divergence in trades and trades_l2. Default: 6."""

    def __post_init__(self) -> None:
        for field in ("epsilon", "steps", "growth", "share"):
            if self.method == "none" and getattr(self, field) is not None:
                raise InputError(
                    "expected `adversarial.method` to be another than 'none' where there is "
                    f"`adversarial.{field}`"
                )
        if self.beta is not None and not self.method.startswith("trades"):
            raise InputError(
                "expected `adversarial.method` to be 'trades' or 'trades_l2' where there is "
                f"`adversarial.beta`, got {self.method!r}"
            )


@record("measure")
class MeasureConfig:
    """What is measured of the trained network."""

    images: Count = 100
    """How many test images are attacked."""

    draw: Draw | None = None
    """Which test images those are: drawn by label (stratified), or the first of the stored order
    (first). Default: stratified for a folder; first for a published set, on whose first images its
    published figures rest."""

    preset: Literal["fast", "standard", "thorough"] = "standard"
    """The attacks; see `tfrobust.robustness.presets`."""

    full_card: Annotated[bool, Flat("full_card")] = False
    """Whether the model card also gets the robust accuracy in [0, 1] at the customary L2 sizes,
    and a certificate of the smoothed network; of several labels, both for each."""


@record("watch")
class WatchConfig:
    """What can be seen of a training while it runs."""

    explain_every: Number = 0
    """Epochs between two pictures of explanations in TensorBoard; 0: no pictures."""

    ara_every: Number = 0
    """Epochs between two quick attack ARAs of a few test images, in metrics.csv and TensorBoard;
    0: none."""

    keep_best: Literal["none", "accuracy", "auc", "ara"] = "none"
    """By what the best weights are chosen that the training had at the end of an epoch: the
    accuracy, the AUC (the mean over classes, each against the rest, or over labels) or the quick
    ARA (see ara_every) on images for validation. While ψ grows, robustness does and the accuracy
    may fall: with the penalty take ara. none takes the last weights."""

    patience: Annotated[int | None, Field(ge=1)] = None
    """Epochs without anything better than the best, after which the training stops. Default: it
    never stops early."""

    def __post_init__(self) -> None:
        if self.keep_best == "ara" and not self.ara_every:
            raise InputError("expected `watch.ara_every` where `watch.keep_best` is 'ara', got 0")
        if self.patience is not None and self.keep_best == "none":
            raise InputError(
                "expected `watch.keep_best` to be 'accuracy', 'auc' or 'ara' where there is "
                "`watch.patience`, got 'none'"
            )
