"""An evaluation's own sections of the report's page."""

from html import escape
from typing import Literal

import numpy as np

from tfrobust.certification.certificate import Certificate
from tfrobust.certification.estimate import Clever
from tfrobust.core.ara import Ara, share_interval
from tfrobust.reports.examples import example_html
from tfrobust.reports.page import Section, figure, table
from tfrobust.reports.plots import Curve, accuracy_svg
from tfrobust.robustness.comparison import Comparison, compare
from tfrobust.robustness.report import AraReport

GOALS = {"attack": "Attack: misclassified", "btr": "BTR: no likelier than a guess"}
MEANING = {
    "attack": "An image holds while it is still given its true class.",
    "btr": "An image holds while its true class is still likelier than a guess (“better than "
    "random”).",
}
# Customary sizes, in words, as numbers, and the norm.
SIZES: tuple[tuple[str, float, Literal["L2", "Linf"]], ...] = (
    *((f"L2 {size:g}", size, "L2") for size in (0.25, 0.5, 1.0)),
    *((f"L∞ {size}/255", size / 255, "Linf") for size in (1, 2, 4, 8)),
)


def report_sections(report: AraReport, twin: AraReport | None) -> list[Section]:
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
    sections += [
        ("Accuracy against perturbation size", _curves(report, twin)),
        ("Robust accuracy", _robust_accuracy(report, twin)),
    ]
    if report.examples:
        sections.append(("Hardest and easiest images", _examples(report)))
    sections.append(("Attacks", _attacks(report)))
    if report.certificate is not None:
        sections.append(("The smoothed network’s certificate", _certificate(report.certificate)))
    if report.clever is not None:
        sections.append(("CLEVER’s estimate", _clever(report.clever)))
    return [
        *sections,
        ("Checks", _checks(report)),
        ("How this was measured", _facts(report, twin)),
    ]


def _headline(report: AraReport, twin: AraReport | None, ratios: Comparison | None) -> str:
    low, high = share_interval(round(report.clean_accuracy * report.images), report.images)
    head = ["", "figure", "95 % interval"]
    rows = [
        ["clean accuracy", f"{report.clean_accuracy:.3f}", f"{low:.3f} – {high:.3f}"],
        ["attack ARA", *area_cells(report.attack_ara)],
        ["BTR ARA", *area_cells(report.btr_ara)],
    ]
    sentence = ""
    if twin is not None and ratios is not None:
        head += ["times its twin", "plain twin"]
        rows[0] += ["", f"{twin.clean_accuracy:.3f}"]
        rows[1] += [str(ratios.attack), area_cells(twin.attack_ara)[0]]
        rows[2] += [str(ratios.btr), area_cells(twin.btr_ara)[0]]
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
        f"a stronger attack can only lower it. Attacked images {_bounds(report)}.</p>\n"
        '<p class="note">ARA: Accuracy-Robustness Area, the area between the curve of accuracy '
        "against perturbation size and the line of a guess (Woods et al., arXiv 1906.02896). "
        "Sizes and areas are root mean squares over an image’s values, pixels from 0 to 1.</p>"
    )


def _curves(report: AraReport, twin: AraReport | None) -> str:
    figures = []
    for goal, title in GOALS.items():
        plot = accuracy_svg(
            title,
            Curve("smallest per image", sizes_of(report, goal)),
            [Curve(record.name, record.rmse) for record in report.attacks if record.goal == goal],
            report.num_classes,
            twin=None if twin is None else Curve("plain twin", sizes_of(twin, goal)),
        )
        figures.append(figure(plot, f"{MEANING[goal]} The shaded area is the ARA."))
    return f'<div class="plots">{"".join(figures)}</div>'


def _attacks(report: AraReport) -> str:
    head = ["attack", "goal", "ARA alone", "95 % interval", "won", "late", "unfound", "seconds"]
    rows = [
        [
            record.name,
            {"attack": "attack", "btr": "BTR"}[record.goal],
            *area_cells(record.ara),
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


def _robust_accuracy(report: AraReport, twin: AraReport | None) -> str:
    head = ["no attack found less than", "images that hold", "95 % interval"]
    if twin is not None:
        head.append("plain twin")
    rows = []
    for words, size, norm in SIZES:
        share = report.robust_accuracy(size, norm)
        low, high = share_interval(round(share * report.images), report.images)
        row = [words, f"{share:.3f}", f"{low:.3f} – {high:.3f}"]
        rows.append(row if twin is None else [*row, f"{twin.robust_accuracy(size, norm):.3f}"])
    return (
        f"{table(head, rows)}\n"
        '<p class="note">Upper bounds, as the areas are. L2: the root of the sum of squares over '
        "an image’s values; L∞: the largest change of a value, pixels from 0 to 1. Attacks that "
        "search in L2 say little of L∞: there the bound is loose, unless one of the attacks "
        "above searches in L∞.</p>"
    )


def _examples(report: AraReport) -> str:
    count = len(report.examples)
    hardest, easiest = report.examples[: (count + 1) // 2], report.examples[(count + 1) // 2 :]
    parts = []
    for words, examples in (("Hardest", hardest), ("Easiest", easiest)):
        shown = "".join(example_html(example, report.class_names) for example in examples)
        if shown:
            parts.append(f'<p>{words} to change:</p>\n<div class="triples">{shown}</div>')
    return "\n".join(parts)


def _certificate(certificate: Certificate) -> str:
    low, high = certificate.ara.low, certificate.ara.high
    rows = [
        ["certified ARA, a lower bound", f"{certificate.ara.value:.4f}", f"{low:.4f} – {high:.4f}"],
        ["accuracy of the smoothed network", f"{certificate.accuracy:.3f}", ""],
        ["abstained", f"{certificate.abstained} of {len(certificate.rmse)}", ""],
    ]
    return (
        f"{table(['smoothed network', 'figure', '95 % interval'], rows)}\n"
        f"<p><strong>Never a bound on the network itself.</strong> {escape(certificate.statement)}"
        f'</p>\n<p class="note">Randomized smoothing (arXiv 1902.02918): σ = {certificate.sigma:g},'
        f" {certificate.n0:,} draws to choose, {certificate.n:,} to count, α = "
        f"{certificate.alpha:g}, seed {certificate.seed}, {certificate.seconds:.0f} seconds.</p>"
    )


def _clever(clever: Clever) -> str:
    return (
        f"<p>{escape(str(clever))}.</p>\n"
        '<p class="note">CLEVER (arXiv 1801.10578) estimates sizes from the steepest slopes that '
        "random points showed. It is neither an upper nor a lower bound, and trusts the very "
        "gradients that may be masked.</p>"
    )


def _checks(report: AraReport) -> str:
    rows = [
        [name, f"{len(found)} above" if found else "nothing seen"]
        for name, found in report.checks.items()
    ]
    return (
        f"{table(['what was looked for', 'warnings'], rows)}\n"
        '<p class="note">Signs of masked gradients and of weak attacks, after arXiv 1902.06705, '
        "1802.00420 and 2003.01690. That nothing was seen does not prove that nothing is "
        "there.</p>"
    )


def _facts(report: AraReport, twin: AraReport | None) -> str:
    rows = [
        ["network", report.name],
        ["images", f"{report.images}" + (f" of {report.data}" if report.data else "")],
        ["classes", str(report.num_classes)],
        ["attacked images", _bounds(report)],
        ["plain twin", f"{twin.name}, {twin.images} images"] if twin else [],
        ["bootstrap", f"over images, percentile, seed {report.seed}"],
        ["time", f"{report.seconds:.0f} seconds of attacks"],
        ["images and labels", f"SHA-256 {report.image_hash[:16]}…"],
        ["command", report.command],
        ["versions", ", ".join(f"{name} {number}" for name, number in report.versions.items())],
    ]
    return table([], [row for row in rows if row], kind="facts")


def _bounds(report: AraReport) -> str:
    if report.bounds is None:
        return "may leave [0, 1]"
    return f"are kept within [{report.bounds[0]:g}, {report.bounds[1]:g}]"


def sizes_of(report: AraReport, goal: str) -> np.ndarray:
    """The smallest size per image for a goal, float64 (N,)."""
    return {"attack": report.attack_rmse, "btr": report.btr_rmse}[goal]


def area_cells(ara: Ara) -> tuple[str, str]:
    """Figure and interval."""
    if ara.value is None:
        return "not bounded", f"{ara.unfound} of {ara.images} unfound"
    high = "unbounded" if ara.high is None else f"{ara.high:.4f}"
    return f"{ara.value:.4f}", f"{ara.low:.4f} – {high}"
