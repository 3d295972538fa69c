"""A report's page: what was measured, how, and how far to trust it."""

import io
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from tfrobust.core.ara import share_interval
from tfrobust.reports.certificates import certificate_table, certified_curve, lipschitz_table
from tfrobust.reports.page import Section, Table, area_cells, png_uri, render
from tfrobust.reports.performance import performance_values
from tfrobust.reports.pixels import eight_bits
from tfrobust.reports.plots import Accuracy, Curve, accuracy_svg
from tfrobust.reports.summary import L2_SIZES, SMOKE
from tfrobust.robustness.comparison import Comparison, compare
from tfrobust.robustness.examples import Example
from tfrobust.robustness.performance import Performance
from tfrobust.robustness.report import AraReport

GOALS = {"attack": "Attack: misclassified", "btr": "BTR: no likelier than a guess"}
MEANING = {
    "attack": "An image holds while it is still given its true class.",
    "btr": "An image holds while its true class is still likelier than a guess (“better than "
    "random”).",
}
NOT_COUNTED = "not counted"
BETWEEN = " Its upper bound is the shaded curve, its lower one the certified curve."
# The sizes that papers give robust accuracy at: in words, as numbers, and the norm.
SIZES: tuple[tuple[str, float, Literal["L2", "Linf"]], ...] = (
    *((f"L2 {size:g}", size, "L2") for size in L2_SIZES),
    *((f"L∞ {size}/255", size / 255, "Linf") for size in (1, 2, 4, 8)),
)


def report_page(
    report: AraReport, *, twin: AraReport | None = None, more: Sequence[Section] = ()
) -> str:
    """One self-contained page on a report.

    Args:
        report: the report to show.
        twin: a report of the network's plain twin, which is drawn dashed beside it.
        more: further sections, after the report's own.

    Returns:
        The page's HTML.

    Raises:
        InputError: the two reports cannot be compared.
    """
    return render("report.html", **_values(report, twin), more=more)


def report_notebook(report: AraReport) -> str:
    """The report's headline, warnings and curves, as HTML for a notebook."""
    return render("report_notebook.html", **_values(report, None))


def sizes_told(reports: Sequence[AraReport]) -> list[tuple[str, float, Literal["L2", "Linf"]]]:
    """`SIZES`, without those in L∞ where not all reports have an attack that searched in it."""
    linf = all(report.attack_linf is not None for report in reports)
    return [one for one in SIZES if one[2] == "L2" or linf]


def sizes_of(report: AraReport, goal: str) -> np.ndarray:
    """The smallest size per image for a goal, float64 (N,)."""
    return {"attack": report.attack_rmse, "btr": report.btr_rmse}[goal]


def _values(report: AraReport, twin: AraReport | None) -> dict[str, Any]:
    """What the templates name."""
    ratios = None if twin is None else compare(report, twin)
    files = report.predictions.files if report.predictions else ()
    examples = [_example(example, report.class_names, files) for example in report.examples]
    half = (len(examples) + 1) // 2
    return {
        "report": report,
        "twin": twin,
        "ratios": ratios,
        "banner": SMOKE if report.smoke else None,
        "warnings": [*report.warnings, *(ratios.notes if ratios else ())],
        "headline": _headline(report, twin, ratios),
        "curves": _curves(report, twin),
        "robust_accuracy": _robust_accuracy(report, twin),
        "examples": {"Hardest": examples[:half], "Easiest": examples[half:]},
        "attacks": _attacks(report),
        "certificate": report.certificate,
        "certificate_table": report.certificate and certificate_table(report.certificate),
        "clever": report.clever,
        "lipschitz": report.lipschitz,
        "lipschitz_table": report.lipschitz and lipschitz_table(report.lipschitz),
        "facts": _facts(report, twin),
        "bounds": _bounds(report),
        **_performance(report),
    }


def _performance(report: AraReport) -> dict[str, Any]:
    """What is known by class and by group; nothing of a report without predictions."""
    if report.predictions is None:
        return {"performance": None, "by_class": None}
    return performance_values(Performance.of(report))


def _headline(report: AraReport, twin: AraReport | None, ratios: Comparison | None) -> Table:
    low, high = share_interval(round(report.clean_accuracy * report.images), report.images)
    head = ["", "figure", "95 % interval"]
    rows = [
        ["clean accuracy", f"{report.clean_accuracy:.3f}", f"{low:.3f} – {high:.3f}"],
        ["attack ARA", *area_cells(report.attack_ara)],
        ["BTR ARA", *area_cells(report.btr_ara)],
    ]
    if twin is not None and ratios is not None:
        head += ["times its twin", "plain twin"]
        rows[0] += ["", f"{twin.clean_accuracy:.3f}"]
        rows[1] += [str(ratios.attack), area_cells(twin.attack_ara)[0]]
        rows[2] += [str(ratios.btr), area_cells(twin.btr_ara)[0]]
    head.append("median size")
    rows[0].append("")
    for row, median in zip(rows[1:], (report.attack_median, report.btr_median), strict=True):
        row.append("not found" if median is None else f"{median:.4f}")
    if (below := report.lipschitz) is not None:
        cells = ["certified ARA, from below", *area_cells(below.ara)]
        empty = [""] * (len(head) - len(cells) - 1)
        rows.insert(2, [*cells, *empty, f"{np.median(below.rmse):.4f}"])
    return Table(head, rows)


def _curves(report: AraReport, twin: AraReport | None) -> list[tuple[str, str]]:
    """For each goal a plot and its caption."""
    return [
        (
            accuracy_svg(
                title,
                Accuracy(
                    Curve("smallest per image", sizes_of(report, goal)),
                    [Curve(one.name, one.rmse) for one in report.attacks if one.goal == goal],
                    report.num_classes,
                    twin=None if twin is None else Curve("plain twin", sizes_of(twin, goal)),
                    certified=certified_curve(report, goal),
                ),
            ),
            f"{MEANING[goal]} The shaded area is the ARA."
            + (BETWEEN if certified_curve(report, goal) else ""),
        )
        for goal, title in GOALS.items()
    ]


def _robust_accuracy(report: AraReport, twin: AraReport | None) -> Table:
    head = ["no attack found less than", "images that hold", "95 % interval"]
    rows = []
    for words, size, norm in sizes_told([one for one in (report, twin) if one is not None]):
        share = report.robust_accuracy(size, norm)
        low, high = share_interval(round(share * report.images), report.images)
        rows.append([words, f"{share:.3f}", f"{low:.3f} – {high:.3f}"])
        if twin is not None:
            rows[-1].append(f"{twin.robust_accuracy(size, norm):.3f}")
    return Table(head if twin is None else [*head, "plain twin"], rows)


def _attacks(report: AraReport) -> Table:
    head = [
        *("attack", "goal", "ARA alone", "95 % interval", "won", "late", "unfound"),
        *("gradients", "answers", "seconds"),
    ]
    rows = [
        [
            record.name,
            {"attack": "attack", "btr": "BTR"}[record.goal],
            *area_cells(record.ara),
            str(record.won),
            str(record.late),
            str(record.ara.unfound),
            NOT_COUNTED if record.gradients is None else str(record.gradients or "none"),
            NOT_COUNTED if record.queries is None else str(record.queries),
            f"{record.seconds:.0f}",
        ]
        for record in report.attacks
    ]
    return Table(head, rows)


def _facts(report: AraReport, twin: AraReport | None) -> Table:
    rows = [
        ["network", report.name],
        ["images", f"{report.images}" + (f" of {report.data}" if report.data else "")],
        ["classes", str(report.num_classes)],
        ["attacked images", _bounds(report)],
        ["plain twin", f"{twin.name}, {twin.images} images"] if twin else [],
        ["bootstrap", f"over {_units(report)}, percentile, seed {report.seed}"],
        ["time", f"{report.seconds:.0f} seconds of attacks"],
        ["images and labels", f"SHA-256 {report.image_hash[:16]}…"],
        ["command", report.command],
        ["versions", ", ".join(f"{name} {number}" for name, number in report.versions.items())],
    ]
    return Table([], [row for row in rows if row])


def _units(report: AraReport) -> str:
    groups = len(set(report.groups))
    return f"{groups} groups of images" if groups > 1 else "images"


def _bounds(report: AraReport) -> str:
    if report.bounds is None:
        return "may leave [0, 1]"
    return f"are kept within [{report.bounds[0]:g}, {report.bounds[1]:g}]"


def _example(example: Example, class_names: Sequence[str], files: Sequence[str]) -> dict[str, Any]:
    """An image, its change around grey, and the changed image, with a caption."""
    delta = example.adversarial - example.image
    # The largest change becomes black or white. The caption gives the factor, so it is rounded.
    factor = float(f"{0.5 / np.abs(delta).max():.2g}")
    label, given = (
        class_names[number] if class_names else f"class {number}"
        for number in (example.label, example.given)
    )
    called = f"Image {example.number}" + (f", {files[example.number]}" if files else "")
    return {
        "pictures": {
            label: _png(example.image),
            f"the change, {factor:g} times, around grey": _png(0.5 + factor * delta),
            f"taken for {given}": _png(example.adversarial),
        },
        "caption": f"{called}: {label}, then taken for {given}. "
        f"RMSE {example.rmse:.4f}, L2 {example.rmse * np.sqrt(delta.size):.3g}; "
        f"the change is shown × {factor:g}.",
    }


def _png(image: np.ndarray) -> str:
    """The address of an image's PNG; other numbers of channels than 3 are shown by their mean."""
    from PIL import Image

    file = io.BytesIO()
    shown = image if image.shape[-1] == 3 else image.mean(axis=-1, keepdims=True)
    Image.fromarray(np.ascontiguousarray(eight_bits(shown))).save(file, "PNG")
    return png_uri(file.getvalue())
