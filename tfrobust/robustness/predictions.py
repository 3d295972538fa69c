"""What a network says of each image, and under attack."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy.special import softmax

from tfrobust.core.records import Array, Matrix, brief
from tfrobust.errors import InputError

DIGITS = 6  # significant ones, of a probability
SMALLEST = 1e-300  # probability that has a logarithm
UNKNOWN = -1  # the number of no class


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """What a network says of each image as it is and under attack, and which image it is.

    Args:
        labels: int64 (N,), the true classes.
        predicted: int64 (N,), the classes that the network gives the images as they are.
        attacked: int64 (N,), the classes that it gives them under the smallest perturbation that
            has them misclassified; −1 where no attack found one.
        probabilities: float64 (N, K), the softmax of the logits, with six significant digits.
        files: N file names; empty if they are not known.
        groups: what each image belongs to, such as a patient's number; empty if nothing groups
            them.

    Raises:
        InputError: there is not one of each for each image, or a class is none of the K.
    """

    labels: Array
    predicted: Array
    attacked: Array
    probabilities: Matrix
    files: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    __repr__ = brief

    def __post_init__(self) -> None:
        count, classes = self.probabilities.shape
        for name, lowest in (("labels", 0), ("predicted", 0), ("attacked", UNKNOWN)):
            numbers = getattr(self, name)
            are_classes = numbers.dtype.kind == "i" and np.all(
                (numbers >= lowest) & (numbers < classes)
            )
            if len(numbers) != count or not are_classes:
                raise InputError(
                    f"expected {name} as {count} whole numbers from {lowest} to {classes - 1}, "
                    f"got {numbers!r:.80}"
                )
        checked_names(self.files, count, "files")
        checked_names(self.groups, count, "groups")

    @classmethod
    def of(
        cls,
        logits: np.ndarray,
        labels: np.ndarray,
        attacked: np.ndarray,
        *,
        files: tuple[str, ...] = (),
        groups: tuple[str, ...] = (),
    ) -> "Predictions":
        """The record of a network's answers.

        Args:
            logits: float32 (N, K), the answers to the images as they are.
            labels: int (N,), the true classes.
            attacked: int (N,), as the field of this name.
            files: likewise.
            groups: likewise.
        """
        shares = softmax(logits.astype(np.float64), axis=1)
        # What is written is what all figures are computed from, so it is rounded here.
        rounded = [float(f"{share:.{DIGITS}g}") for share in shares.ravel()]
        return cls(
            labels=labels.astype(np.int64),
            predicted=logits.argmax(axis=1).astype(np.int64),
            attacked=attacked.astype(np.int64),
            probabilities=np.array(rounded).reshape(shares.shape),
            files=files,
            groups=groups,
        )

    def confidence(self, temperature: float = 1.0) -> np.ndarray:
        """The probability of the class that is given, float64 (N,).

        Args:
            temperature: by which the logits are divided first.
        """
        shares = self.at_temperature(temperature)
        found: np.ndarray = shares[np.arange(len(shares)), self.predicted]
        return found

    def at_temperature(self, temperature: float) -> np.ndarray:
        """The probabilities, float64 (N, K), of logits that are divided by a temperature first."""
        # Logarithms of probabilities are logits up to a number that is the same for all classes.
        logits = np.log(np.maximum(self.probabilities, SMALLEST))
        shares: np.ndarray = softmax(logits / temperature, axis=1)
        return shares

    def first(self, count: int, attacked: np.ndarray) -> "Predictions":
        """Those of the first images.

        Args:
            count: how many.
            attacked: int64 (count,), as the field of this name.
        """
        return Predictions(
            labels=self.labels[:count],
            predicted=self.predicted[:count],
            attacked=attacked,
            probabilities=self.probabilities[:count],
            files=self.files[:count],
            groups=self.groups[:count],
        )


def checked_names(names: Sequence[str], count: int, field: str) -> tuple[str, ...]:
    """A name for each image, or none at all.

    Args:
        names: the names; whatever they are is shown as text.
        count: of the images.
        field: what they are given as.

    Raises:
        InputError: there are some, but not one for each image.
    """
    if len(names) not in (0, count):
        raise InputError(f"expected {count} {field}, one for each image, got {len(names)}")
    return tuple(str(name) for name in names)
