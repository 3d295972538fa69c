"""The section of a run's configuration on marks that people made. This needs no TensorFlow."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from tfrobust.datasets import annotations
from tfrobust.errors import InputError
from tfrobust.runs.fields import Flat, record


@record("annotations")
class AnnotationsConfig:
    """Marks of evidence that people made, which the network is to heed (arXiv 1703.03717)."""

    folder: Annotated[str | None, Flat("annotations")] = None
    """The folder that tfrobust-annotate wrote. The loss penalises the input gradient where its
    pictures have no evidence. Default: there are no marks."""

    weight: Annotated[float | None, Field(gt=0)] = None
    """λ, the weight of that penalty. Default: 10."""

    def __post_init__(self) -> None:
        if self.weight is not None and self.folder is None:
            raise InputError("expected `annotations.folder` where there is `annotations.weight`")

    def check(self) -> None:
        """Refuses a folder that is not there, or has no marks.

        Raises:
            InputError: says which.
        """
        if self.folder is not None:
            annotations.read_folder(Path(self.folder))

    def digest(self) -> str | None:
        """What tells that the marks have changed under their name; None without marks."""
        return None if self.folder is None else annotations.digest(Path(self.folder))
