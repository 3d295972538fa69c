"""An evidence file: what was trained on what, how it was measured, and what was found."""

import dataclasses
from typing import Any, ClassVar, NamedTuple

from tfrobust.core.ara import Ara
from tfrobust.core.records import Record
from tfrobust.reports.page import Table, render
from tfrobust.reports.summary import SMOKE
from tfrobust.robustness.performance import PartRobustness, Performance


@dataclasses.dataclass(frozen=True, kw_only=True)
class Made:
    """Who made an evidence file, and when.

    Args:
        by: a name; the user's name on the machine if none was given.
        at: the time, UTC, as ISO 8601 says.
        command: that made it.
        versions: of the packages that it was made with.
        code: a hash of the package's own code.
    """

    by: str
    at: str
    command: str
    versions: dict[str, str]
    code: str


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class LabelEvidence:
    """What was found of the decisions about one of several labels.

    Args:
        label: its name.
        threshold: the probability, at the temperature, above which the network decides that it
            holds.
        attack_ara: the area for the goal that the decision is wrong.
        btr_ara: the area for the goal "no more likely than a guess".
        performance: of the two classes without and with the label.
        checks, unchecked: as those of `EvidenceFile`.
    """

    label: str
    threshold: float
    attack_ara: Ara
    btr_ara: Ara
    performance: Performance
    checks: dict[str, tuple[str, ...]]
    unchecked: dict[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class EvidenceFile(Record):
    """Evidence about a network, of which each part can be computed again from the files named.

    Args:
        made: by whom and when.
        sources: for "model", "report", and "run" and "data" if they are there, where it is,
            relative to the evidence file.
        files: for each source the SHA-256 of each of its files.
        network: what the model card says of the network.
        training: what the model card and the run's folder say of the training.
        measurement: how the images were attacked, from the report.
        attack_ara: the area for the goal "misclassified"; of several labels the mean of theirs.
        btr_ara: the area for the goal "no more likely than a guess"; None of several labels.
        performance: accuracy and calibration, as the network is and under attack, by class and by
            group; None of several labels.
        checks: for the name of each check that was made, reasons not to trust the figures; an
            empty tuple is good. Empty of several labels.
        unchecked: for the name of each check that was not made, why; empty of several labels.
        limits: what the evidence does not show.
        labels: what was found of each of several labels; empty for classes that exclude one
            another.
    """

    # 2 has `unchecked`, 3 labels.
    SCHEMA: ClassVar[int] = 3

    made: Made
    sources: dict[str, str]
    files: dict[str, dict[str, str]]
    network: dict[str, Any]
    training: dict[str, Any]
    measurement: dict[str, Any]
    attack_ara: Ara
    btr_ara: Ara | None
    performance: Performance | None
    checks: dict[str, tuple[str, ...]]
    unchecked: dict[str, str]
    limits: tuple[str, ...]
    labels: tuple[LabelEvidence, ...] = ()


def evidence_page(evidence: EvidenceFile, fingerprint: str) -> str:
    """The evidence as one self-contained page. The same evidence gives the same page.

    Args:
        evidence: to show.
        fingerprint: the SHA-256 of its JSON file.
    """
    hashes = [
        [source, name, digest]
        for source, files in evidence.files.items()
        for name, digest in files.items()
    ]
    return render(
        "evidence.html",
        evidence=evidence,
        fingerprint=fingerprint,
        banner=SMOKE if evidence.measurement.get("only a trial") else None,
        network=Table([], _rows(evidence.network)),
        training=Table([], _rows(evidence.training)),
        measurement=Table([], _rows(evidence.measurement)),
        versions=Table([], _rows(evidence.made.versions)),
        found=_found(evidence),
        hashes=Table(["source", "file", "SHA-256"], hashes),
    )


class Found(NamedTuple):
    """What the page shows of a network, or of its decisions about one label."""

    label: str
    areas: Table
    sizes: Table
    classes: Table
    groups: Table
    small_groups: int
    checks: dict[str, tuple[str, ...]]
    unchecked: dict[str, str]


def _found(evidence: EvidenceFile) -> list[Found]:
    if evidence.performance is not None:
        return [_part("", evidence, evidence.performance)]
    return [
        _part(f"{one.label} (above {one.threshold:.3g})", one, one.performance)
        for one in evidence.labels
    ]


def _part(label: str, of: EvidenceFile | LabelEvidence, performance: Performance) -> Found:
    return Found(
        label=label,
        areas=Table([], [["attack ARA", str(of.attack_ara)], ["BTR ARA", str(of.btr_ara)]]),
        sizes=_sizes(performance),
        classes=_classes(performance),
        groups=_parts("group", performance.by_group),
        small_groups=performance.small_groups,
        checks=of.checks,
        unchecked=of.unchecked,
    )


def _sizes(performance: Performance) -> Table:
    """A row for each size of perturbations."""
    head = ["perturbations up to", "accuracy", "calibration error (ECE)"]
    rows = [
        [
            f"RMSE {at.rmse:g}" if at.rmse else "none",
            str(at.accuracy),
            str(at.calibration.ece),
        ]
        for at in performance.sizes
    ]
    return Table(head, rows)


def _classes(performance: Performance) -> Table:
    """A row for each class, as the network is; the area where the class has images."""
    areas = {part.name: str(part.ara) for part in performance.by_class}
    head = ["class", "images", "sensitivity", "specificity", "AUC", "attack ARA"]
    rows = [
        [
            one.name,
            str(one.images),
            str(one.sensitivity),
            str(one.specificity),
            str(one.auc),
            areas.get(one.name, "no images"),
        ]
        for one in performance.sizes[0].classes
    ]
    return Table(head, rows)


def _parts(kind: str, parts: tuple[PartRobustness, ...]) -> Table:
    head = [kind, "accuracy", "attack ARA"]
    return Table(head, [[part.name, str(part.accuracy), str(part.ara)] for part in parts])


def _rows(values: dict[str, Any]) -> list[list[str]]:
    """Nested values as rows of names and texts."""
    rows = []
    for name, value in values.items():
        if isinstance(value, dict):
            rows += [[f"{name}.{inner}", text] for inner, text in _rows(value)]
        elif isinstance(value, list | tuple):
            rows.append([name, ", ".join(map(str, value))])
        else:
            rows.append([name, "not told" if value is None else str(value)])
    return rows
