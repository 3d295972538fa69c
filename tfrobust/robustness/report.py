"""What an evaluation found, as a record: to JSON and back, to a page, to a few lines of text."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tfrobust.certification.certificate import Certificate
from tfrobust.certification.clever_score import Clever
from tfrobust.core.ara import Ara
from tfrobust.core.distances import Bounds
from tfrobust.core.files import write_atomically
from tfrobust.errors import InputError
from tfrobust.reports.page import Section, render
from tfrobust.reports.sections import report_sections
from tfrobust.robustness.comparison import compare
from tfrobust.robustness.examples import Example

# Of the JSON: AraReport's fields but for `examples`, and derived ones for whoever reads it without
# us: images, attack_median, btr_median, warnings. Infinite sizes are null. Raised whenever a field
# is added or changes its meaning; 4 has bounds.
SCHEMA = 4
SMOKE = "smoke run, not a measurement"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class AttackRecord:
    """What one attack found for one goal.

    Args:
        name: the attack's name, its strength included.
        goal: "attack" (misclassified) or "btr" (no likelier than a guess).
        ara: the area that this attack alone would give.
        rmse: float64 (N,), its sizes, in units of pixels from 0 to 1; infinite where unfound.
        won: images that no other attack changed with less; the first attack wins a tie, and
            images that meet the goal unchanged are nobody's.
        late: images found so late in the search that their size is not to be trusted.
        seconds: spent.
    """

    name: str
    goal: str
    ara: Ara
    rmse: np.ndarray
    won: int
    late: int
    seconds: float


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class AraReport:
    """How robust a network is: Accuracy-Robustness Areas with all that they rest on.

    Args:
        name: the network's.
        data: which images, in words.
        num_classes: K.
        image_shape: (H, W, C).
        bounds: the lowest and highest value of an attacked pixel; None where it had no bounds.
        clean_accuracy: share of the images that are given their label.
        attack_ara: area until images are misclassified.
        btr_ara: area until the label is no likelier than a guess ("better than random").
        attack_rmse: float64 (N,), per image the smallest size over the attacks, in units of
            pixels from 0 to 1; 0 where the image meets the goal as it is, infinite where unfound.
        btr_rmse: float64 (N,), likewise.
        attack_linf: float64 (N,), per image the smallest largest change of a value by which an
            attack had it misclassified, in the same units; likewise 0 or infinite.
        attacks: one record for each attack and goal.
        checks: by name of each check that was made, reasons not to trust the figures, in words;
            none is the good case.
        image_hash: of images and labels; equal where two reports are of the same ones.
        smoke: whether the run only shows that the programs work.
        seed: of the bootstrap.
        command: that made the report.
        versions: of the packages.
        seconds: spent on all attacks.
        certificate: what randomized smoothing certifies of the smoothed network, which is another
            network; set by dataclasses.replace(report, certificate=certify(…)).
        clever: estimated sizes, likewise from `clever_score`.
        examples: the hardest and the easiest images, for the page; the JSON leaves them out.
        class_names: K names; empty where unknown.

    Source: arXiv 1906.02896, "Accuracy-Robustness Area".
    """

    name: str
    data: str
    num_classes: int
    image_shape: tuple[int, ...]
    bounds: Bounds | None
    clean_accuracy: float
    attack_ara: Ara
    btr_ara: Ara
    attack_rmse: np.ndarray
    btr_rmse: np.ndarray
    attack_linf: np.ndarray
    attacks: tuple[AttackRecord, ...]
    checks: dict[str, tuple[str, ...]]
    image_hash: str
    smoke: bool
    seed: int
    command: str
    versions: dict[str, str]
    seconds: float
    certificate: Certificate | None = None
    clever: Clever | None = None
    examples: tuple[Example, ...] = ()
    class_names: tuple[str, ...] = ()

    @property
    def images(self) -> int:
        """How many images were attacked."""
        return len(self.attack_rmse)

    @property
    def warnings(self) -> tuple[str, ...]:
        """All reasons not to trust the figures, in words."""
        return tuple(warning for found in self.checks.values() for warning in found)

    @property
    def attack_names(self) -> tuple[str, ...]:
        """The attacks' names, each once."""
        return tuple(dict.fromkeys(record.name for record in self.attacks))

    @property
    def attack_median(self) -> float | None:
        """The median of `attack_rmse`; None where it is infinite."""
        return _median(self.attack_rmse)

    @property
    def btr_median(self) -> float | None:
        """The median of `btr_rmse`; None where it is infinite."""
        return _median(self.btr_rmse)

    def robust_accuracy(self, size: float, norm: Literal["L2", "Linf"] = "L2") -> float:
        """The share of images that no attack had misclassified within a size: an upper bound.

        Args:
            size: in the norm, pixels from 0 to 1.
            norm: "L2", the root of the sum of squares over an image's values; or "Linf", the
                largest change of a value. For that one an attack in L∞ should be among those run.

        Returns:
            From 0 to 1.
        """
        if norm == "Linf":
            return float(np.mean(self.attack_linf > size))
        return float(np.mean(self.attack_rmse * np.sqrt(np.prod(self.image_shape)) > size))

    def to_json(self, path: str | Path) -> None:
        """Writes the report as JSON. Sizes of unfound images are null.

        Raises:
            InputError: the file cannot be written.
        """
        values = {
            "schema": SCHEMA,
            "images": self.images,
            "attack_median": self.attack_median,
            "btr_median": self.btr_median,
            "warnings": self.warnings,
            **dataclasses.asdict(dataclasses.replace(self, examples=())),
        }
        del values["examples"]
        text = json.dumps(_plain(values), indent=1, ensure_ascii=False, allow_nan=False)
        write_atomically(path, text.encode())

    @classmethod
    def from_json(cls, path: str | Path) -> "AraReport":
        """Reads what `to_json` wrote.

        Raises:
            InputError: no such file, or not a report of this schema.
        """
        wanted = f"expected a report of schema {SCHEMA}, as evaluate.py writes it, in {path}"
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{wanted}; got: {error}") from error
        schema = values.get("schema") if isinstance(values, dict) else None
        if schema != SCHEMA:
            raise InputError(f"{wanted}; got schema {schema}; evaluate the network again")
        try:
            return cls(
                **{
                    **{
                        field.name: values[field.name]
                        for field in dataclasses.fields(cls)
                        if field.name != "examples"
                    },
                    "attack_ara": Ara(**values["attack_ara"]),
                    "btr_ara": Ara(**values["btr_ara"]),
                    "image_shape": tuple(values["image_shape"]),
                    "attack_rmse": _sizes(values["attack_rmse"]),
                    "attack_linf": _sizes(values["attack_linf"]),
                    "btr_rmse": _sizes(values["btr_rmse"]),
                    "attacks": tuple(
                        AttackRecord(
                            **{
                                **record,
                                "ara": Ara(**record["ara"]),
                                "rmse": _sizes(record["rmse"]),
                            }
                        )
                        for record in values["attacks"]
                    ),
                    "checks": {name: tuple(found) for name, found in values["checks"].items()},
                    "certificate": values["certificate"]
                    and Certificate.from_plain(values["certificate"]),
                    "clever": values["clever"] and Clever.from_plain(values["clever"]),
                    "class_names": tuple(values["class_names"]),
                }
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise InputError(f"{wanted}; got one whose fields differ: {error}") from error

    def to_html(
        self, path: str | Path, *, twin: "AraReport | None" = None, more: Sequence[Section] = ()
    ) -> None:
        """Writes the report as one self-contained page.

        Args:
            path: where to.
            twin: a report of the network's plain twin, drawn dashed beside it.
            more: further sections, after the report's own.

        Raises:
            InputError: the file cannot be written, or a twin that cannot be compared.
        """
        page = render(
            f"Robustness of {self.name}",
            [*report_sections(self, twin), *more],
            banner=SMOKE if self.smoke else None,
        )
        write_atomically(path, page.encode())

    def summary(self, twin: "AraReport | None" = None) -> str:
        """A few lines for the terminal.

        Args:
            twin: a report of the network's plain twin; adds how many times its area.

        Raises:
            InputError: a twin that cannot be compared.
        """
        data = f" of {self.data}" if self.data else ""
        lines = [
            f"{self.name}: {self.images} images{data}" + (f" ({SMOKE})" if self.smoke else ""),
            f"clean accuracy {self.clean_accuracy:.3f}",
            f"attack ARA     {self.attack_ara}",
            f"BTR ARA        {self.btr_ara}",
            f"95 % intervals; upper bounds by {' + '.join(self.attack_names)}",
        ]
        lines += [str(extra) for extra in (self.certificate, self.clever) if extra is not None]
        warnings = list(self.warnings)
        if twin is not None:
            ratios = compare(self, twin)
            lines.append(
                f"plain twin     clean accuracy {twin.clean_accuracy:.3f}; this network's attack "
                f"ARA is {ratios.attack} times the twin's, its BTR ARA {ratios.btr} times"
            )
            warnings += ratios.notes
        return "\n".join(lines + [f"warning: {warning}" for warning in warnings])


def _median(rmse: np.ndarray) -> float | None:
    median = float(np.median(rmse))
    return median if np.isfinite(median) else None


def _sizes(values: list[float | None]) -> np.ndarray:
    return np.array([np.inf if value is None else value for value in values], np.float64)


def _plain(value: Any) -> Any:
    """JSON's own types: arrays as lists, infinite sizes as null, for JSON has no infinity."""
    if isinstance(value, np.ndarray):
        return [size if np.isfinite(size) else None for size in value.tolist()]
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
