"""The table, the plot and the marks of attackbench.py, from its results."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from attackbench_optimality import BUDGETS, KEPT, distances_of, envelope, local, models_of, overall

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "figures" / "attackbench.md"
PLOT = ROOT / "docs" / "images" / "attackbench.png"
OURS = "tfrobust"
# What is to be reached, by budget.
MARKS = {200: 0.93, 2000: 0.95}
BEGIN, END = "<!-- begin: made by benchmarks/attackbench.py -->", "<!-- end -->"
SHOWN = 200
DRAWN = 6  # peers with a line of their own in the plot


def libraries(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Of each attack the library, in the order of the results."""
    return {row["attack"]: row["library"] for row in rows}


def compared(rows: Sequence[dict[str, Any]], budget: int) -> list[str]:
    """The networks of a budget: up to SHOWN those of SHOWN, so that all are the same."""
    return models_of(rows, max(budget, SHOWN)) or models_of(rows, budget)


def globals_of(rows: Sequence[dict[str, Any]]) -> dict[int, dict[str, float]]:
    """The global optimality of each attack within each budget that libraries' were run for."""
    run = {row["budget"] for row in rows if row["library"] != OURS}
    return {
        budget: overall(rows, compared(rows, budget), budget, budget)
        for budget in BUDGETS
        if budget in run
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Global optimality as Markdown, the best first."""
    found, of = globals_of(rows), libraries(rows)
    best_first = sorted(found, key=lambda budget: (budget != SHOWN, -budget))
    order = sorted(
        (name for name in of if any(name in one for one in found.values())),
        key=lambda name: [-found[budget].get(name, -1.0) for budget in best_first],
    )
    heads = " | ".join(f"{budget:,}" for budget in found)
    lines = [f"| attack | library | {heads} |", "| --- |" + " --- |" * (len(found) + 1)]
    for name in order:
        values = [found[budget].get(name) for budget in found]
        cells = " | ".join("–" if one is None else f"{one:.3f}" for one in values)
        shown = f"**{name}**" if of[name] == OURS else name
        lines.append(f"| {shown} | {of[name]} | {cells} |")
    return "\n".join(lines)


def by_network(rows: Sequence[dict[str, Any]]) -> str:
    """Local optimality within SHOWN as Markdown: the best of ours, and of the libraries'."""
    budget = min(SHOWN, max(row["budget"] for row in rows))
    found, of, models = local(rows, budget), libraries(rows), compared(rows, budget)
    attacks = overall(rows, models, budget, budget)
    lines = [
        f"Local optimality within {budget} propagations:",
        "",
        "| network | median distance | best of ours | best of the libraries' |",
        "| --- | --- | --- | --- |",
    ]
    for model in models:
        best = envelope([distances_of(row, KEPT[-1]) for row in rows if row["model"] == model])
        cells = []
        for ours in (True, False):
            names = [name for name in attacks if (of[name] == OURS) == ours]
            name = max(names, key=lambda one: found[model, one])
            cells.append(f"{found[model, name]:.3f} ({name})")
        lines.append(f"| {model} | {np.median(best):.3f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def verdicts(rows: Sequence[dict[str, Any]]) -> str:
    """What was to be reached, met or missed, as Markdown."""
    found, of = globals_of(rows), libraries(rows)
    lines = []
    for budget in found:
        ours = {name: one for name, one in found[budget].items() if of[name] == OURS}
        theirs = {name: one for name, one in found[budget].items() if of[name] != OURS}
        if not ours or not theirs:
            continue
        best, peer = max(ours, key=lambda one: ours[one]), max(theirs, key=lambda one: theirs[one])
        count = len(compared(rows, budget))
        line = f"- {budget:,} propagations, {count} networks: {best} {ours[best]:.3f}, "
        line += f"{peer} {theirs[peer]:.3f}"
        line += f"; above every peer: {_met(ours[best] > theirs[peer])}"
        if budget in MARKS:
            line += f"; at least {MARKS[budget]}: {_met(ours[best] >= MARKS[budget])}"
        lines.append(line)
    return "\n".join(lines)


def _met(met: bool) -> str:
    return "met" if met else "**missed**"


def section(rows: Sequence[dict[str, Any]]) -> str:
    """What the page shows between BEGIN and END."""
    return "\n\n".join([BEGIN, table(rows), verdicts(rows), by_network(rows), END])


def drawn(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Global optimality against propagations."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    # Beyond SHOWN only if the networks are the same, or the curves would jump.
    budgets = [one for one in globals_of(rows) if compared(rows, one) == compared(rows, SHOWN)]
    shown = [kept for kept in KEPT if kept <= max(budgets)]
    of, found = libraries(rows), {}
    for kept in shown:
        budget = min(one for one in budgets if one >= kept)
        found[kept] = overall(rows, compared(rows, budget), budget, kept)
    last = {name: max(one.get(name, -1.0) for one in found.values()) for name in of}
    peers = sorted((name for name in of if of[name] != OURS), key=lambda name: -last[name])
    figure, panel = plt.subplots(figsize=(9, 5.5), layout="constrained")
    panel.set_prop_cycle(color=plt.colormaps["tab20"].colors[::2] + plt.colormaps["Dark2"].colors)
    for name in of:
        values = [found[kept].get(name, np.nan) for kept in shown]
        if np.isnan(values).all():
            continue
        if of[name] == OURS:
            panel.plot(shown, values, "o-", linewidth=2.2, markersize=4, label=f"{name} (ours)")
        elif name in peers[:DRAWN]:
            panel.plot(shown, values, "s--", linewidth=1.1, markersize=3, label=name)
        else:
            panel.plot(shown, values, "-", color="0.8", linewidth=0.8, zorder=0)
    panel.plot([], [], "-", color="0.8", label="other attacks of the libraries")
    for budget, mark in MARKS.items():
        if budget > max(budgets):
            continue
        panel.plot(budget, mark, "k_", markersize=18)
        panel.annotate(f"mark {mark}", (budget, mark), xytext=(0, -10), fontsize=7,
                       textcoords="offset points", ha="center")  # fmt: skip
    panel.set(xscale="log", ylim=(0, 1.02), xticks=shown, ylabel="global optimality")
    panel.set_xlabel("propagations an image, forward and backward")
    panel.set_xticklabels([str(kept) for kept in shown], fontsize=8)
    panel.minorticks_off()
    panel.grid(color="0.92")
    panel.legend(fontsize=8, loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}")
    figure.savefig(beside, format="png", dpi=110)
    beside.replace(path)
    plt.close(figure)


def written(results: dict[str, Any]) -> None:
    """Prints the figures, draws them, and puts them into the page."""
    rows = results["rows"]
    made = section(rows)
    print(made)
    drawn(rows, PLOT)
    if PAGE.exists():
        before, _, rest = PAGE.read_text().partition(BEGIN)
        PAGE.write_text(before + made + rest.partition(END)[2])
