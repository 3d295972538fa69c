"""What a method says of images, as a record. It does not load TensorFlow."""

import dataclasses
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from tfrobust.core.files import write_atomically
from tfrobust.core.presenters import Presented, present
from tfrobust.core.records import brief
from tfrobust.errors import InputError

if TYPE_CHECKING:
    import pandas


@dataclasses.dataclass(frozen=True)
class Explanation(Presented):
    """Explanations of N images.

    The first fields have the names of the exported signature. A method that looks at an image
    without changing it (Grad-CAM, Integrated Gradients, …) gives the image itself as explanation,
    with a difference and a size of 0.

    Args:
        explanation: float32 (N, H, W, C), the image as the network would need to see it. It may
            leave [0, 1].
        difference: float32 (N, H, W, C), the explanation minus the image: the evidence.
        target: int32 (N,), the class that is explained.
        confidence_before: float32 (N,), the target's softmax for the image, at the network's
            temperature (`Classifier.at_temperature`), which is 1 if nobody says another.
        confidence_after: float32 (N,), that for the explanation.
        rmse: float32 (N,), the size of the difference, RMSE of pixels from 0 to 1.
        rho: the size that was asked for, one number or float32 (N,); 0 if none was.
        reached: bool (N,), whether the explanation reached its goal, which is the size or the
            class that was asked for.
        attribution: float32 (N, H, W, C), or (N, H, W, 1) from methods that see whole pixels:
            what the method says of each value, with its sign.
        map: float32 (N, H, W), how much each pixel matters. The most important pixel has the
            largest value.
        method: the name of the method, for figures and tables.
    """

    explanation: np.ndarray
    difference: np.ndarray
    target: np.ndarray
    confidence_before: np.ndarray
    confidence_after: np.ndarray
    rmse: np.ndarray
    rho: float | np.ndarray
    reached: np.ndarray
    attribution: np.ndarray
    map: np.ndarray
    method: str = ""

    __repr__ = brief

    @property
    def explanations(self) -> np.ndarray:
        """`explanation` under the plural's name."""
        return self.explanation

    @property
    def image(self) -> np.ndarray:
        """float32 (N, H, W, C), the images that are explained, but for rounding."""
        return self.explanation - self.difference

    @property
    def falls_short(self) -> np.ndarray:
        """bool (N,), whether the goal was not reached, as happens where gradients vanish."""
        return ~self.reached

    @property
    def changes_images(self) -> bool:
        """Whether the method changes images; a map only says where the evidence is."""
        return bool(np.any(self.difference) or np.any(self.rho) or not np.all(self.reached))

    def to_npz(self, path: str | Path) -> None:
        """Writes the record as a NumPy archive: an array for each field, without pickles.

        Args:
            path: the file; its folder is made if it does not exist.

        Raises:
            InputError: the file cannot be written.
        """
        file = io.BytesIO()
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        np.savez_compressed(file, **fields)
        write_atomically(path, file.getvalue())

    @classmethod
    def from_npz(cls, path: str | Path) -> Self:
        """Reads what `to_npz` wrote.

        Args:
            path: the file.

        Raises:
            InputError: there is no such file, it is damaged, or it holds something else.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                values = {name: file[name] for name in file.files}
            # A size or a name comes back as an array without axes.
            return cls(**{name: one if one.ndim else one.item() for name, one in values.items()})
        except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(
                f"expected {path} to hold an explanation, as to_npz writes it; got: {error}"
            ) from error

    def to_png(self, path: str | Path, class_names: Sequence[str] = ()) -> None:
        """Writes a picture with a row for each image: the image, and what the method makes of it.

        Args:
            path: the file; its folder is made if it does not exist.
            class_names: K names; without them classes have numbers.

        Raises:
            InputError: the file cannot be written, there is no image, the images are neither grey
                nor colour, or a target has no name.
        """
        write_atomically(path, present(self, "png")(class_names))

    def to_html(self, path: str | Path, class_names: Sequence[str] = ()) -> None:
        """Writes that picture, with a table of the figures, as one self-contained page.

        Args:
            path: the file; its folder is made if it does not exist.
            class_names: K names; without them classes have numbers.

        Raises:
            InputError: as for `to_png`.
        """
        write_atomically(path, present(self, "html")(class_names).encode())

    def to_dataframe(self, class_names: Sequence[str] = ()) -> "pandas.DataFrame":
        """The figures as a pandas data frame, a row for each image.

        Args:
            class_names: K names; with them the frame has a column of the targets' names.

        Raises:
            ImportError: pandas is not installed.
            InputError: a target has no name.
        """
        return present(self, "dataframe")(class_names)
