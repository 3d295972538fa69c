"""What an evaluation found, as a record."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
import pydantic

from tfrobust.certification.certificate import Certificate
from tfrobust.certification.estimate import Clever
from tfrobust.certification.lipschitz_certificate import LipschitzCertificate
from tfrobust.core.ara import Ara
from tfrobust.core.files import write_atomically
from tfrobust.core.presenters import Presented, present
from tfrobust.core.records import Array, Record, brief
from tfrobust.errors import InputError
from tfrobust.robustness.attack_record import AttackRecord, gradients_of
from tfrobust.robustness.examples import Example
from tfrobust.robustness.predictions import Predictions
from tfrobust.robustness.second_opinion import told

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class AraReport(Record, Presented):
    """How robust a network is: its Accuracy-Robustness Areas, and all that they rest on.

    Sizes are RMSE in units of pixels from 0 to 1. A size is 0 where the image meets the goal as
    it is, and infinite where no attack found a perturbation.

    Args:
        name: the network's name.
        data: a few words that say which images were attacked.
        num_classes: K.
        image_shape: (H, W, C).
        bounds: the lowest and highest value that an attacked pixel could have; None if there were
            no bounds.
        clean_accuracy: the share of images that the network gives their label.
        attack_ara: the area for the goal "misclassified".
        btr_ara: the area for the goal "no more likely than a guess" (BTR, "better than random").
        attack_rmse: float64 (N,), for each image the smallest size over all attacks that has it
            misclassified.
        btr_rmse: float64 (N,), the same for the goal BTR.
        attack_linf: float64 (N,), for each image the smallest L∞ size by which an attack has it
            misclassified, in units of pixels from 0 to 1; None where no attack searched in L∞.
        attacks: a record for each attack and goal.
        checks: for the name of each check that was made, sentences that give reasons not to trust
            the figures. An empty tuple is the good case.
        unchecked: for the name of each check that was not made, why.
        image_hash: a hash of images and labels. Reports of the same images have the same hash.
        smoke: whether the run only tried the program, and measured nothing.
        seed: the seed of the bootstrap.
        command: the command that made the report.
        versions: for each package its version.
        seconds: the time that all attacks took.
        certificate: what randomized smoothing certifies of the smoothed network, which is another
            network. Add it by dataclasses.replace(report, certificate=certify(…)).
        clever: CLEVER's estimated sizes, added in the same way.
        lipschitz: what the Lipschitz constant certifies of this very network, on the same images,
            added in the same way. Then the ARA is known from both sides.
        examples: the images that were hardest and easiest to change, for the page. The JSON
            leaves them out.
        class_names: K names; empty if they are not known.
        predictions: what the network says of each image; None in a report that was kept from before
            there were such.
        temperature: by which logits are divided so that confidences are right, from
            `fit_temperature` on images that are neither trained on nor measured; None if it is not
            fitted. A run fits it, and `tfrobust-evaluate` reads it from the model card; else add it
            by dataclasses.replace, as the certificate. No other figure rests on it.

    Raises:
        InputError: the predictions or names are of other images or classes, the seed is below 0,
            the temperature is not above 0, or an image is certified to a size at which an attack
            has changed it.

    Source: arXiv 1906.02896, "Accuracy-Robustness Area".
    """

    # 4 has bounds, 5 predictions, 6 lipschitz, 7 the temperature, 8 what attacks cost, checks that
    # were not made, and L∞ sizes only where they were looked for.
    SCHEMA: ClassVar[int] = 8
    DERIVED: ClassVar[tuple[str, ...]] = (
        "images", "attack_median", "btr_median", "attack_gradients", "btr_gradients", "warnings",
        "second_opinion",
    )  # fmt: skip

    name: str
    data: str
    num_classes: int
    image_shape: tuple[int, ...]
    bounds: tuple[float, float] | None
    clean_accuracy: float
    attack_ara: Ara
    btr_ara: Ara
    attack_rmse: Array
    btr_rmse: Array
    attack_linf: Array | None
    attacks: tuple[AttackRecord, ...]
    checks: dict[str, tuple[str, ...]]
    unchecked: dict[str, str]
    image_hash: str
    smoke: bool
    seed: int
    command: str
    versions: dict[str, str]
    seconds: float
    certificate: Certificate | None = None
    clever: Clever | None = None
    lipschitz: LipschitzCertificate | None = None
    examples: Annotated[
        tuple[Example, ...], pydantic.PlainValidator(tuple), pydantic.Field(exclude=True)
    ] = ()
    class_names: tuple[str, ...] = ()
    predictions: Predictions | None = None
    temperature: float | None = None

    __repr__ = brief

    def __post_init__(self) -> None:
        if len(self.class_names) not in (0, self.num_classes):
            raise InputError(
                f"expected {self.num_classes} class names, got {len(self.class_names)}"
            )
        wanted = (self.images, self.num_classes)
        if self.predictions is not None and self.predictions.probabilities.shape != wanted:
            raise InputError(
                f"expected predictions of (images, classes) {wanted}, got "
                f"{self.predictions.probabilities.shape}"
            )
        if self.seed < 0 or not (self.temperature is None or 0 < self.temperature < np.inf):
            raise InputError(
                "expected a seed of at least 0 and a temperature above 0, got "
                f"{self.seed} and {self.temperature}"
            )
        if self.lipschitz is not None:
            _check_between(self.lipschitz.rmse, self.attack_rmse)

    @property
    def images(self) -> int:
        """How many images were attacked."""
        return len(self.attack_rmse)

    @property
    def groups(self) -> tuple[str, ...]:
        """What each image belongs to; empty if nothing groups them."""
        return () if self.predictions is None else self.predictions.groups

    @property
    def warnings(self) -> tuple[str, ...]:
        """All sentences of the checks: reasons not to trust the figures."""
        return tuple(warning for found in self.checks.values() for warning in found)

    @property
    def attack_names(self) -> tuple[str, ...]:
        """The name of each attack, once."""
        return tuple(dict.fromkeys(record.name for record in self.attacks))

    @property
    def attack_gradients(self) -> int | None:
        """How many gradients for each image, at most, the attack ARA rests on: of both goals.

        None where an attack does not count them.
        """
        return gradients_of(self.attacks)

    @property
    def btr_gradients(self) -> int | None:
        """How many gradients for each image, at most, the BTR ARA rests on; None as above."""
        return gradients_of([record for record in self.attacks if record.goal == "btr"])

    @property
    def second_opinion(self) -> str:
        """How often CleverHans' PGD lowered a size, in a sentence, or that it was not run."""
        return told(self.attacks)

    @property
    def attack_median(self) -> float | None:
        """The median of `attack_rmse`; None where it is infinite."""
        return _median(self.attack_rmse)

    @property
    def btr_median(self) -> float | None:
        """The median of `btr_rmse`; None where it is infinite."""
        return _median(self.btr_rmse)

    def robust_accuracy(self, size: float, norm: Literal["L2", "Linf"] = "L2") -> float:
        """The share of images that no attack has misclassified within a size. It is an upper bound.

        Args:
            size: the size in this norm, for pixels from 0 to 1.
            norm: "L2" is the root of the sum of squares over an image's values. "Linf" is the
                largest change of a value.

        Returns:
            A share from 0 to 1.

        Raises:
            InputError: another norm, a size that is no number from 0, or "Linf" where no attack
                searched in L∞.
        """
        if norm not in ("L2", "Linf"):
            raise InputError(f"expected norm as 'L2' or 'Linf', got {norm!r}")
        if np.ndim(size) or not size >= 0:
            raise InputError(f"expected one size, a number from 0, got {size}; ask once for each")
        if norm == "Linf":
            if self.attack_linf is None:
                raise InputError(
                    "expected an attack in L∞, got "
                    f"{' + '.join(self.attack_names)}, which search in L2 and say next to nothing "
                    'of L∞. Evaluate with tfrobust.attacks.PGD(norm=float("inf")) among the attacks'
                )
            return float(np.mean(self.attack_linf > size))
        return float(np.mean(self.attack_rmse * np.sqrt(np.prod(self.image_shape)) > size))

    def to_html(self, path: str | Path, *, twin: "AraReport | None" = None) -> None:
        """Writes the report as one self-contained page.

        Args:
            path: the file; its folder is made if it does not exist.
            twin: a report of the network's plain twin, which is drawn dashed beside it.

        Raises:
            InputError: the file cannot be written, or the two reports cannot be compared.
        """
        write_atomically(path, present(self, "html")(twin=twin).encode())

    def plot(self) -> "Figure":
        """The curves of both goals and the areas of the classes, as a matplotlib figure.

        A notebook shows it after `%matplotlib inline`; `figure.savefig("report.png")` writes it.
        """
        return present(self, "figure")()

    def summary(self, twin: "AraReport | None" = None) -> str:
        """The report in a few lines of text.

        Args:
            twin: a report of the network's plain twin; the lines then say how many times as
                large this network's areas are.

        Raises:
            InputError: the two reports cannot be compared.
        """
        return present(self, "summary")(twin=twin)


def _check_between(certified: np.ndarray, attacked: np.ndarray) -> None:
    """Refuses a certificate that an attack has disproved."""
    if len(certified) != len(attacked):
        raise InputError(
            f"expected a certificate of the {len(attacked)} images that were attacked, got one of "
            f"{len(certified)}"
        )
    wrong = np.flatnonzero(certified > attacked)
    if len(wrong):
        first = wrong[0]
        raise InputError(
            f"expected no attack to come below its certificate, but {len(wrong)} images were "
            f"changed by less, the first is image {first}: certified to {certified[first]:.6g}, "
            f"changed by {attacked[first]:.6g} (RMSE). The certificate is of another network or of "
            "other images, or one of the two is wrong"
        )


def _median(rmse: np.ndarray) -> float | None:
    median = float(np.median(rmse))
    return median if np.isfinite(median) else None
