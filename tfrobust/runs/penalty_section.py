"""The section of a run's configuration that says which gradient is penalised, and how."""

from typing import Annotated, Literal

from pydantic import Field

from tfrobust.errors import InputError
from tfrobust.runs.fields import Flat, record
from tfrobust.runs.sections import Positive, Share


@record("penalty")
class PenaltyConfig:
    """The gradient penalty of the robust loss (arXiv 1906.02896), and its variants."""

    on: Annotated[bool, Flat("penalty")] = True
    """Whether there is a penalty. Without it the other fields here, and psi, have no effect."""

    exponent: Positive = 2.0
    """z, the power to which the entries of the input gradient are raised, or the gradient's norm
    where the penalty is that of the loss."""

    tandem: Annotated[Share, Flat("tandem")] = 0.2
    """ζ, the probability with which the penalty takes an image's margin instead of one of its
    logits drawn at random."""

    of: Literal["logits", "loss"] = "logits"
    """Whose gradient is penalised: logits is the paper's penalty, the mean of its entries' powers;
    loss is the L2 norm of the gradient of the cross-entropy, or a power of it (arXiv 2409.20139).
    With loss, psi_initial means another thing: tfrobust-train then takes psi_initial_share 0.05
    unless one of the two is given."""

    method: Literal["double_backward", "finite_differences"] = "double_backward"
    """How the penalty's own gradient is found: by a second derivative, or by the difference along
    the gradient (arXiv 1905.11468)."""

    step: Annotated[float | None, Field(gt=0)] = None
    """The L2 length of the step of finite_differences, for pixels from 0 to 1. Default: 0.01,
    and 0.3 where the layers compute in bfloat16."""

    fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The share of a batch whose images are penalised. They are drawn anew in each step, so that
    the penalty stays the same in expectation."""

    def __post_init__(self) -> None:
        if self.step is not None and self.method != "finite_differences":
            raise InputError(
                "expected `penalty.method` to be 'finite_differences' where there is "
                f"`penalty.step`, got {self.method!r}"
            )
        differences = self.method == "finite_differences"
        if differences and self.of == "logits" and self.exponent != 2:
            raise InputError(
                "expected `penalty.exponent` to be 2 with 'finite_differences' of 'logits', which "
                f"find the gradient's norm and not its entries, got {self.exponent}"
            )
