"""Plots as SVG elements. The same figures give the same bytes."""

import io
import math
import re
import warnings
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfrobust.core.ara import accuracy_at
from tfrobust.robustness.calibration import Calibration

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# A curve has this many points: more than a screen shows, and few enough for a small page.
POINTS = 600
_INK, _SHADE, _TWIN, _BELOW = "#12426f", "#bcd3ea", "#9b2d1f", "#6b4fa3"
_THIN = ("#d98200", "#00805e", "#a8558a", "#4a9fd4", "#7a6a00", "#555555")


class Curve(NamedTuple):
    """A curve of accuracy against perturbation size.

    Args:
        label: its name in the legend.
        rmse: float (N,), the smallest size that changes each image.
    """

    label: str
    rmse: np.ndarray


class Accuracy(NamedTuple):
    """Accuracy against perturbation size.

    Args:
        smallest: for each image the smallest size over all attacks; it is drawn thick.
        attacks: each attack's own sizes, drawn thin. A single attack is not drawn, since its
            curve is the thick one.
        num_classes: K; a line at 1/K shows the accuracy of a guess.
        twin: the plain twin's smallest sizes, drawn dashed.
        certified: the network's certified sizes, drawn below: the truth lies between.

    Source: arXiv 1906.02896, "Accuracy-Robustness Area".
    """

    smallest: Curve
    attacks: Sequence[Curve]
    num_classes: int
    twin: Curve | None = None
    certified: Curve | None = None


def accuracy_svg(title: str, accuracy: Accuracy) -> str:
    """Plots accuracy against perturbation size, with the ARA shaded.

    Args:
        title: plain text.
        accuracy: what is plotted.

    Returns:
        An <svg> element.
    """
    figure = _figure(5.4, 4.3)
    draw_accuracy(figure.add_subplot(), title, accuracy)
    # The legend stands below the plot, because curves may reach every corner of it.
    figure.legend(loc="outside lower left", ncols=2, frameon=False, fontsize=8)
    return _svg(figure, title)


def draw_accuracy(axes: "Axes", title: str, accuracy: Accuracy) -> None:
    """Draws what `accuracy_svg` plots, without a legend; the arguments are the same."""
    smallest, attacks, num_classes, twin, certified = accuracy
    chance = 1.0 / num_classes
    sizes = _axis([smallest] if twin is None else [smallest, twin])
    thick = accuracy_at(sizes, smallest.rmse)
    axes.fill_between(
        sizes, chance, np.maximum(thick, chance), step="post", color=_SHADE, linewidth=0
    )
    for index, curve in enumerate(attacks if len(attacks) > 1 else ()):
        colour = _THIN[index % len(_THIN)]
        values = accuracy_at(sizes, curve.rmse)
        axes.step(sizes, values, where="post", color=colour, linewidth=1, label=curve.label)
    axes.step(sizes, thick, where="post", color=_INK, linewidth=2.2, label=smallest.label)
    if certified is not None:
        values = accuracy_at(sizes, certified.rmse)
        axes.step(sizes, values, where="post", color=_BELOW, linewidth=2.2, label=certified.label)
    if twin is not None:
        values = accuracy_at(sizes, twin.rmse)
        axes.step(sizes, values, where="post", color=_TWIN, linestyle="--", label=twin.label)
    _label(axes, title, sizes, chance)


def comparison_svg(title: str, curves: Sequence[Curve], num_classes: int) -> str:
    """Plots the accuracies of several networks against perturbation size.

    Args:
        title: plain text.
        curves: each network's name and smallest sizes, at least one.
        num_classes: K; a line at 1/K shows the accuracy of a guess.

    Returns:
        An <svg> element.
    """
    figure = _figure(5.4, 4.0 + 0.15 * len(curves))
    axes = figure.add_subplot()
    sizes = _axis(curves)
    colours = (_INK, _TWIN, *_THIN)
    for index, curve in enumerate(curves):
        colour, style = colours[index % len(colours)], ("-", "--", ":")[index // len(colours) % 3]
        values = accuracy_at(sizes, curve.rmse)
        axes.step(
            sizes, values, style, where="post", color=colour, linewidth=1.6, label=f"curve {index}"
        )
    _label(axes, title, sizes, 1.0 / num_classes)
    legend = figure.legend(loc="outside lower left", ncols=1, frameon=False, fontsize=8)
    # Names are anyone's text: matplotlib hides those that begin with "_", and "$" starts formulas.
    for text, curve in zip(legend.get_texts(), curves, strict=False):
        text.set(text=curve.label, parse_math=False)
    return _svg(figure, title)


def reliability_svg(curves: Sequence[tuple[str, Calibration]]) -> str:
    """Plots accuracy against confidence.

    Args:
        curves: names for the legend and calibrations, the first one drawn thick.

    Returns:
        An <svg> element.
    """
    figure = _figure(4.6, 4.6)
    axes = figure.add_subplot()
    axes.plot(
        [0, 1], [0, 1], ":", color="#666666", linewidth=0.8, label="right as often as it says"
    )
    for index, (name, found) in enumerate(curves):
        colour = _THIN[(index - 1) % len(_THIN)] if index else _INK
        area = 160 * found.images / found.images.sum()
        axes.scatter(found.confidence, found.accuracy, area, color=colour, alpha=0.6)
        width = 1 if index else 2.2
        axes.plot(found.confidence, found.accuracy, color=colour, linewidth=width, label=name)
    axes.set_title("Reliability", loc="left", fontsize=10.5)
    axes.set(xlabel="confidence", ylabel="share that is right", xlim=(0, 1.02), ylim=(-0.02, 1.02))
    figure.legend(loc="outside lower left", ncols=1, frameon=False, fontsize=8)
    return _svg(figure, "Reliability: the share of images that are right, against the confidence")


def _axis(curves: Sequence[Curve]) -> np.ndarray:
    """The sizes to draw at, from 0 to where the last curve has nearly fallen."""
    finite = [curve.rmse[np.isfinite(curve.rmse)] for curve in curves]
    # The last hundredth of the images would squeeze all others to the left.
    farthest = max((float(np.quantile(sizes, 0.99)) for sizes in finite if len(sizes)), default=0.0)
    return np.linspace(0.0, farthest * 1.05 or 0.01, POINTS)


def _label(axes: "Axes", title: str, sizes: np.ndarray, chance: float) -> None:
    axes.axhline(chance, color="#666666", linewidth=0.8, linestyle=":", label="a guess (1/K)")
    axes.set_title(title, loc="left", fontsize=10.5)
    axes.set(
        xlabel="perturbation size (RMSE; pixels from 0 to 1)",
        ylabel="share of images that hold",
        xlim=(0.0, sizes[-1]),
        ylim=(0.0, 1.0),
    )


def training_curves_svg(rows: Sequence[dict[str, float]]) -> str:
    """Plots how a training went: losses, accuracies, ψ and the learning rate over the steps.

    Args:
        rows: the rows of a metrics.csv, in order, each by column: step, loss, cross_entropy,
            accuracy, psi, learning_rate, val_accuracy. A row has no point for a column that is
            absent or NaN.

    Returns:
        An <svg> element.
    """
    panels = [
        ("loss", ("loss", "cross_entropy"), False),
        ("accuracy", ("accuracy", "val_accuracy"), False),
        ("ψ, the penalty's weight", ("psi",), True),
        ("learning rate", ("learning_rate",), True),
    ]
    series = {name: _series(rows, name) for _, names, _ in panels for name in names}
    drawn = [panel for panel in panels if any(len(series[name][0]) for name in panel[1])]
    figure = _figure(5.4, 0.6 + 1.9 * max(1, len(drawn)))
    grid = figure.subplots(max(1, len(drawn)), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (title, names, logarithmic) in zip(grid, drawn, strict=False):
        for name, colour in zip(names, (_INK, _THIN[0]), strict=False):
            steps, values = series[name]
            if len(steps):
                marker = "o" if len(steps) < 30 else None
                axes.plot(
                    steps, values, color=colour, marker=marker, markersize=3, label=_WORDS[name]
                )
                if logarithmic and values.min() > 0:
                    axes.set_yscale("log")
        axes.set_title(title, loc="left", fontsize=10.5)
        if len(names) > 1:
            axes.legend(frameon=False, fontsize=8)
    grid[-1].set_xlabel("step")
    return _svg(figure, "training curves")


_WORDS = {
    "loss": "loss, penalty included",
    "cross_entropy": "cross-entropy",
    "accuracy": "training",
    "val_accuracy": "held-out images",
    "psi": "ψ",
    "learning_rate": "learning rate",
}


def _series(rows: Sequence[dict[str, float]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """The steps and values of a column, thinned to what a screen shows."""
    points = [
        (row.get("step", index), row[name])
        for index, row in enumerate(rows)
        if math.isfinite(row.get(name, math.nan))
    ]
    steps, values = np.array(points, np.float64).reshape(-1, 2).T
    kept = np.unique(np.linspace(0, max(0, len(steps) - 1), min(POINTS, len(steps))).astype(int))
    return steps[kept], values[kept]


def _figure(width: float, height: float) -> "Figure":
    # Matplotlib is slow to import, and a program that prints a summary does not need it. This is
    # Figure and not pyplot, because pyplot's state belongs to the user's program.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _svg(figure: "Figure", title: str) -> str:
    import matplotlib

    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    file = io.StringIO()
    # The salt makes the names inside the file the same each time, and different from plot to plot.
    # A browser draws the text, by fonts of its own.
    with (
        matplotlib.rc_context({"svg.hashsalt": title, "svg.fonttype": "none"}),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
        figure.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.DOTALL)
    # Matplotlib numbers the groups of every plot alike, but a page's ids must differ.
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    box = re.search(r'viewBox="[^"]*"', text)
    inside = text[text.index(">", text.index("<svg")) + 1 :]
    return f'<svg {box[0] if box else ""} role="img" aria-label="{escape(title)}">{inside.strip()}'
