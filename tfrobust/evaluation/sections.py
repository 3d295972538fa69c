"""An evaluation's own sections of the report's page."""

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from tfrobust.evaluation.ara import Ara, share_interval
from tfrobust.evaluation.comparison import Comparison, compare
from tfrobust.evaluation.page import Section, figure, table
from tfrobust.evaluation.plots import Curve, accuracy_svg

if TYPE_CHECKING:
    from tfrobust.evaluation.report import AraReport

_GOALS = {"attack": "Attack: misclassified", "btr": "BTR: no likelier than a guess"}
_MEANING = {
    "attack": "An image holds while it is still given its true class.",
    "btr": "An image holds while its true class is still likelier than a guess (“better than "
    "random”).",
}


def report_sections(report: "AraReport", twin: "AraReport | None") -> list[Section]:
    """The sections that say what was measured, how, and how far to trust it.

    Args:
        report: what to show.
        twin: the network's plain twin, to show beside it.

    Returns:
        Headings and HTML.

    Raises:
        InputError: a twin that cannot be compared.
    """
    ratios = compare(report, twin) if twin is not None else None
    sections = [("At a glance", _headline(report, twin, ratios))]
    warnings = [*report.warnings, *(ratios.notes if ratios else ())]
    if warnings:
        items = "\n".join(f"<li>{escape(warning)}</li>" for warning in warnings)
        sections.append(("Before you trust this", f'<ul class="warnings">\n{items}\n</ul>'))
    return [
        *sections,
        ("Accuracy against perturbation size", _curves(report, twin)),
        ("Attacks", _attacks(report)),
        ("How this was measured", _facts(report, twin)),
    ]


def _headline(report: "AraReport", twin: "AraReport | None", ratios: Comparison | None) -> str:
    low, high = share_interval(round(report.clean_accuracy * report.images), report.images)
    head = ["", "figure", "95 % interval"]
    rows = [
        ["clean accuracy", f"{report.clean_accuracy:.3f}", f"{low:.3f} – {high:.3f}"],
        ["attack ARA", *_area(report.attack_ara)],
        ["BTR ARA", *_area(report.btr_ara)],
    ]
    sentence = ""
    if twin is not None and ratios is not None:
        head += ["times its twin", "plain twin"]
        rows[0] += ["", f"{twin.clean_accuracy:.3f}"]
        rows[1] += [str(ratios.attack), _area(twin.attack_ara)[0]]
        rows[2] += [str(ratios.btr), _area(twin.btr_ara)[0]]
        if ratios.attack.value is not None:
            times, draws = ratios.attack.value, "paired" if ratios.attack.paired else "independent"
            sentence = (
                f"<p>By attack ARA this network is <strong>{times:.2g} times</strong> as robust "
                f"as its plain twin ({escape(twin.name)}; {draws} bootstrap over images).</p>"
            )
    head.append("median size")
    rows[0].append("")
    for row, median in zip(rows[1:], (report.attack_median, report.btr_median), strict=True):
        row.append("not found" if median is None else f"{median:.4f}")
    names = " + ".join(report.attack_names)
    return (
        f"{table(head, rows, kind='headline')}\n{sentence}"
        f"<p>Per image, the smallest perturbation that any of these attacks found counts: "
        f"<strong>{escape(names)}</strong>. An ARA is an <em>upper bound</em> by these attacks: "
        "a stronger attack can only lower it.</p>\n"
        '<p class="note">ARA: Accuracy-Robustness Area, the area between the curve of accuracy '
        "against perturbation size and the line of a guess (Woods et al., arXiv 1906.02896). "
        "Sizes and areas are root mean squares over an image’s values, pixels from 0 to 1.</p>"
    )


def _curves(report: "AraReport", twin: "AraReport | None") -> str:
    figures = []
    for goal, title in _GOALS.items():
        plot = accuracy_svg(
            title,
            Curve("smallest per image", _rmse(report, goal)),
            [Curve(record.name, record.rmse) for record in report.attacks if record.goal == goal],
            report.num_classes,
            twin=None if twin is None else Curve("plain twin", _rmse(twin, goal)),
        )
        figures.append(figure(plot, f"{_MEANING[goal]} The shaded area is the ARA."))
    return f'<div class="plots">{"".join(figures)}</div>'


def _attacks(report: "AraReport") -> str:
    head = ["attack", "goal", "ARA alone", "95 % interval", "won", "late", "unfound", "seconds"]
    rows = [
        [
            record.name,
            {"attack": "attack", "btr": "BTR"}[record.goal],
            *_area(record.ara),
            str(record.won),
            str(record.late),
            str(record.ara.unfound),
            f"{record.seconds:.0f}",
        ]
        for record in report.attacks
    ]
    return (
        f"{table(head, rows)}\n"
        '<p class="note">Won: images that no other attack changed with less. Late: images found '
        "only in the second half of the search, whose size is not to be trusted. Unfound: images "
        "that the attack could not change; they never count as 0.</p>"
    )


def _facts(report: "AraReport", twin: "AraReport | None") -> str:
    rows = [
        ["network", report.name],
        ["images", f"{report.images}" + (f" of {report.data}" if report.data else "")],
        ["classes", str(report.num_classes)],
        ["attacked images", "kept within [0, 1]" if report.box else "may leave [0, 1]"],
        ["plain twin", f"{twin.name}, {twin.images} images"] if twin else [],
        ["bootstrap", f"over images, percentile, seed {report.seed}"],
        ["time", f"{report.seconds:.0f} seconds of attacks"],
        ["images and labels", f"SHA-256 {report.image_hash[:16]}…"],
        ["versions", ", ".join(f"{name} {number}" for name, number in report.versions.items())],
    ]
    return table([], [row for row in rows if row], kind="facts")


def _rmse(report: "AraReport", goal: str) -> np.ndarray:
    return {"attack": report.attack_rmse, "btr": report.btr_rmse}[goal]


def _area(ara: Ara) -> tuple[str, str]:
    """Figure and interval."""
    if ara.value is None:
        return "not bounded", f"{ara.unfound} of {ara.images} unfound"
    high = "unbounded" if ara.high is None else f"{ara.high:.4f}"
    return f"{ara.value:.4f}", f"{ara.low:.4f} – {high}"
