"""The rows of recipe_search.py as tables."""

from typing import Any

from search_recipes import FAIR, RECIPES


def tables(recipes: dict[str, Any]) -> str:
    """A table for each time and search: Markdown, the fair one first."""
    found = []
    for minutes, rows in sorted(recipes.items(), key=lambda row: float(row[0])):
        for names in (FAIR, RECIPES.keys() - FAIR):
            if chosen := {name: rows[name] for name in rows if name in names}:
                found.append(f"{minutes} minutes:\n\n{table(chosen)}")
    return "\n\n".join(found)


def table(rows: dict[str, Any]) -> str:
    """Markdown, the largest attack ARA first.

    Args:
        rows: of one time, by the recipes' names.
    """
    lines = [
        "| recipe | images seen | clean accuracy | attack ARA | BTR ARA |",
        "|" + " --- |" * 5,
    ]
    order = sorted(rows, key=lambda name: -rows[name]["attack_ara"]["value"])
    for name in order:
        row, areas = rows[name], []
        for goal in ("attack_ara", "btr_ara"):
            area = row[goal]
            areas.append(f"{area['value']:.4f} [{area['low']:.4f}, {area['high']:.4f}]")
        # Measured beside whatever else ran: not the same time as the others'.
        alone = " (seconds of its own)" if row.get("measured") == "in the trial" else ""
        lines.append(
            f"| {name.removeprefix('first: ')}{alone} | {row['images_seen'] // 1000},000 "
            f"| {row['clean_accuracy']:.3f} | {' | '.join(areas)} |"
        )
    return "\n".join(lines)
