"""The section of a run's configuration on adversarial weight perturbation. No TensorFlow here."""

from typing import Annotated, Literal

from pydantic import Field

from tfrobust.errors import InputError
from tfrobust.runs.fields import record


@record("weight_perturbation")
class WeightPerturbationConfig:
    """Gradients that are taken at worse weights than those that are trained."""

    gamma: Annotated[float | None, Field(gt=0)] = None
    """How far each kernel is moved uphill before a step's gradient is taken, in parts of its norm,
    such as 0.005 (arXiv 2004.05884). Default: not at all."""

    along: Literal["gradient", "momentum"] = "gradient"
    """What it is moved along: gradient takes one more pass forth and back, momentum takes none."""

    def __post_init__(self) -> None:
        if self.along != "gradient" and self.gamma is None:
            raise InputError(
                "expected `weight_perturbation.gamma` where there is `weight_perturbation.along`"
            )
