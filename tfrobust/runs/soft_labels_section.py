"""The section of a run's configuration on labels that share their weight. No TensorFlow here."""

from typing import Annotated

from pydantic import Field

from tfrobust.errors import InputError
from tfrobust.runs.fields import Flat, record


@record("soft_labels")
class SoftLabelsConfig:
    """Labels that give a part of their weight to other classes."""

    smoothing: Annotated[float, Field(ge=0, lt=1), Flat("label_smoothing")] = 0.0
    """The part of a label's weight that is spread over all classes equally (arXiv 1512.00567)."""

    teacher: Annotated[str | None, Flat("teacher")] = None
    """A network whose answers to the clean images are learned: a path or a name, as
    `tfrobust.load` takes it. Of a robust one robustness is learned too (arXiv 2108.07969)."""

    share: Annotated[float | None, Field(gt=0, le=1), Flat("teacher_share")] = None
    """The part of a label's weight that the teacher's answer has. Default: 0.8."""

    def __post_init__(self) -> None:
        if self.share is not None and self.teacher is None:
            raise InputError("expected `soft_labels.teacher` where there is `soft_labels.share`")
