"""A report as a matplotlib figure: its curves, and the areas of its classes."""

from typing import TYPE_CHECKING

import numpy as np

from tfrobust.reports.certificates import certified_curve
from tfrobust.reports.plots import Accuracy, Curve, draw_accuracy
from tfrobust.robustness.performance import Performance
from tfrobust.robustness.report import AraReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_CLASSES = 40  # that are legible below one another; of more, the least robust ones
TITLES = {"attack": "Attack: misclassified", "btr": "BTR: no likelier than a guess"}
INK = "#12426f"


def report_figure(report: AraReport) -> "Figure":
    """Accuracy against perturbation size for both goals, and beside it the ARA of each class.

    The classes are left out where the report holds no predictions.
    """
    from matplotlib.figure import Figure

    found = None if report.predictions is None else Performance.of(report)
    parts = () if found is None else found.by_class
    height = max(4.2, 1.4 + 0.24 * min(len(parts), MOST_CLASSES))
    figure = Figure(figsize=(15 if parts else 10, height), layout="constrained")
    panels = figure.subplots(1, 3 if parts else 2)
    sizes = {"attack": report.attack_rmse, "btr": report.btr_rmse}
    for axes, (goal, rmse) in zip(panels, sizes.items(), strict=False):
        curves = [Curve(one.name, one.rmse) for one in report.attacks if one.goal == goal]
        smallest = Curve("smallest per image", rmse)
        below = certified_curve(report, goal)
        accuracy = Accuracy(smallest, curves, report.num_classes, certified=below)
        draw_accuracy(axes, TITLES[goal], accuracy)
        axes.legend(frameon=False, fontsize=8)
    if found is not None:
        _areas(panels[2], found)
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _areas(axes: "Axes", found: Performance) -> None:
    """Bars of the areas with their intervals, the least robust class at the top."""
    from tfrobust.reports.fonts import families, legible

    # Classes without images have no area.
    present = [number for number, one in enumerate(found.sizes[0].classes) if one.images]
    bounded = [
        (part.ara.value, number, part)
        for number, part in zip(present, found.by_class, strict=True)
        if part.ara.value is not None
    ]
    shown = sorted(bounded, key=lambda one: one[:2])[:MOST_CLASSES]
    names = [legible(part.name, number) for _, number, part in shown]
    places = np.arange(len(shown))
    axes.barh(places, [value for value, _, _ in shown], color=INK, alpha=0.35)
    for place, (value, _, part) in zip(places, shown, strict=True):
        # An end that nothing bounds is not drawn.
        ends = [value if end is None else end for end in (part.ara.low, part.ara.high)]
        axes.plot(ends, [place, place], color=INK)
    # "$" in a name starts no formula.
    axes.set_yticks(places, names, fontfamily=families(names), parse_math=False)
    axes.invert_yaxis()
    axes.set_title("Attack ARA by class", loc="left", fontsize=10.5)
    axes.set_xlabel("RMSE; lines: 95 % intervals")
