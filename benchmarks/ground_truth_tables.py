"""The tables of docs/figures/explanations.md from benchmarks/results/ground_truth.json.

python benchmarks/ground_truth_tables.py
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results" / "ground_truth.json"
Read = Callable[[dict[str, Any]], dict[str, Any]]


def at(*names: str) -> Read:
    """A value at a path of names."""

    def read(part: dict[str, Any]) -> dict[str, Any]:
        for name in names:
            part = part[name]
        return part

    return read


TABLES: dict[str, dict[str, Read]] = {
    "The truth": {
        "points at the lesion ↑": at("found", "pointing"),
        "IoU ↑": at("found", "iou"),
        "average precision ↑": at("found", "average_precision"),
        "label's share of the map, for a network that reads it": at("mark", "with"),
        "for one that does not": at("mark", "without"),
        "points at the label ↑": at("mark", "points_at_mark"),
    },
}


def cell(told: dict[str, Any], read: Read) -> str:
    """ "robust [interval] / plain [interval]", with a dash for what was not measured."""
    both = []
    for kind in ("robust", "plain"):
        try:
            one = read(told[kind])
            both.append("{:.2f} [{:.2f}, {:.2f}]".format(one["mean"], *one["interval"]))
        except KeyError:
            both.append("–")
    return " / ".join(both)


def main() -> None:
    """Prints the tables."""
    results = json.loads(RESULTS.read_text())
    for title, columns in TABLES.items():
        rows = {
            name: [cell(told, read) for read in columns.values()]
            for name, told in results["methods"].items()
        }
        rows = {name: cells for name, cells in rows.items() if set(cells) != {"– / –"}}
        if rows:
            print(f"\n#### {title}\n\n| method | {' | '.join(columns)} |")
            print("| --- " * (len(columns) + 1) + "|")
            for name, cells in rows.items():
                print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
