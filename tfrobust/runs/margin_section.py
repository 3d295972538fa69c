"""The section of a run's configuration on the margin loss. This needs no TensorFlow."""

from typing import Annotated

from pydantic import Field

from tfrobust.errors import InputError
from tfrobust.runs.fields import record


@record("margin")
class MarginConfig:
    """The margin loss, for a network whose margins are certified (arXiv 2208.03160)."""

    epsilon: Annotated[float | None, Field(gt=0)] = None
    """ε, the L2 radius that is asked for, for pixels from 0 to 1. Default: the loss is the plain
    cross-entropy."""

    temperature: Annotated[float | None, Field(gt=0)] = None
    """What the logits are divided by. Default: 0.25."""

    def __post_init__(self) -> None:
        if self.temperature is not None and self.epsilon is None:
            raise InputError("expected `margin.epsilon` where there is `margin.temperature`")
