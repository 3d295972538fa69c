"""Tables and findings in docs/figures/explanations.md, from the results of ground_truth.py.

    python benchmarks/ground_truth_tables.py

ground_truth.py does it as well when it has measured. Every figure of the paragraph is computed.
"""

import json
from pathlib import Path
from typing import Any

from ground_truth_columns import KINDS, NOTES, TABLES, Column, Value, found
from ground_truth_findings import findings

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "figures" / "explanations.md"
FILES = {data: f"ground_truth_{data}.json" for data in ("cifar10", "imagenet")}
FILES["fashion"] = "ground_truth.json"
BEGIN, END = "<!-- begin: made by benchmarks/ground_truth.py, {} -->", "<!-- end -->"
# What stands above the tables of photographs.
PHOTOGRAPHS = """### On {}

The same lesions and labels on photographs, by networks that learned them in as many steps.

<!-- not run: needs data, takes minutes -->
```sh
{}
```"""
ATTENTION = (
    "Learned attention is a method of networks that have a gate for it: its rows are of the "
    'networks whose name ends in "attention".'
)


def figure(value: Value) -> str:
    """ "mean [interval]"."""
    return "{:.2f} [{:.2f}, {:.2f}]".format(value["mean"], *value["interval"])


def cell(told: dict[str, Any], column: Column) -> str:
    """ "robust [interval] / plain [interval]", with a dash for what was not measured."""
    both = (found(told, kind, column) for kind in KINDS)
    return " / ".join("–" if one is None else figure(one) for one in both)


def tables(results: dict[str, Any]) -> list[str]:
    """All tables as Markdown, each under its title."""
    made = []
    for title, columns in TABLES.items():
        rows = {
            name: [cell(told, column) for column in columns]
            for name, told in results["methods"].items()
        }
        rows = {name: cells for name, cells in rows.items() if set(cells) != {"– / –"}}
        if rows:
            lines = [f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()]
            heads = " | ".join(column.title for column in columns)
            rule = "| --- " * (len(columns) + 1) + "|"
            table = "\n".join([f"| method | {heads} |", rule, *lines])
            made.append(f"**{title}**\n\n{table}\n\n{NOTES[title]}")
    return [*made, ATTENTION] if "Attention" in results["methods"] else made


def networks(results: dict[str, Any]) -> str:
    """The networks and what they learned."""
    heads = "| network | accuracy | without the lesion | label right | label wrong | attack ARA |"
    lines = [heads, "| --- " * 6 + "|"]
    for name, facts in results["networks"].items():
        values = (
            facts[key] for key in ("accuracy", "without_lesions", "label_right", "label_wrong")
        )
        shown = " | ".join(f"{value:.3f}" for value in values)
        lines.append(f"| {name} | {shown} | {facts.get('attack_ara', '–')} |")
    return "\n".join(lines)


def section(data: str) -> str:
    """What the page shows between BEGIN and END."""
    results = json.loads((RESULTS / FILES[data]).read_text())
    machine, told = results["machine"], f"{results['images']}."
    if "seconds" in results:  # results before these were kept have none
        told += (
            f" Training and measuring took {results['cpu_seconds']} s of a core: "
            f"{results['seconds']} s on {machine['cores']} cores at a load of "
            f"{machine['load_before']:g}."
        )
    head = PHOTOGRAPHS.format(results["pictures"], results["command"]) if data != "fashion" else ""
    parts = [BEGIN.format(data), head, networks(results), told, *tables(results)]
    parts += [findings(results), END]
    return "\n\n".join(part for part in parts if part)


def put(begin: str, made: str) -> None:
    """Prints a section and puts it into the page, if it has a place there."""
    print(made)
    before, mark, rest = PAGE.read_text().partition(begin)
    if mark:
        PAGE.write_text(before + made + rest.partition(END)[2])


def written(data: str) -> None:
    """Puts what was measured on one data set into the page."""
    put(BEGIN.format(data), section(data))


def main() -> None:
    """All that was measured."""
    for data, name in FILES.items():
        if (RESULTS / name).exists():
            written(data)


if __name__ == "__main__":
    main()
