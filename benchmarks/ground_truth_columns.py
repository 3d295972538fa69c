"""The measures of ground_truth.py, in the order of its tables, and what readers are told."""

import dataclasses
from collections.abc import Callable
from typing import Any

KINDS = ("robust", "plain")
Value = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Column:
    """A measure.

    Args:
        title: what the table calls it.
        read: takes it from what was measured of a method on one network.
        name: what the findings call it; None for what is no question of better and worse.
        sign: +1 where more is better, −1 where less is.
    """

    title: str
    read: Callable[[dict[str, Any]], Value]
    name: str | None = None
    sign: int = 1


def at(*names: str) -> Callable[[dict[str, Any]], Value]:
    """A value at a path of names."""

    def read(part: dict[str, Any]) -> Value:
        for name in names:
            part = part[name]
        return part

    return read


def worst(part: dict[str, Any]) -> Value:
    """Where the map still points at the lesion under the attack that leads it away most."""
    goals = ("rank order", "top pixels", "centre of mass", "given map")
    told: list[Value] = [part["attacked"][goal]["points_at_lesion"] for goal in goals]
    return min(told, key=lambda one: one["mean"])


def moved(part: dict[str, Any]) -> Value:
    """How far the centre of mass moved: its goal is minus that."""
    told = part["attacked"]["centre of mass"]["after"]
    return {"mean": -told["mean"], "interval": [-end for end in told["interval"][::-1]]}


TABLES: dict[str, list[Column]] = {
    "The truth": [
        Column("points at the lesion ↑", at("found", "pointing"), "pointing"),
        Column("IoU ↑", at("found", "iou"), "IoU"),
        Column("average precision ↑", at("found", "average_precision"), "average precision"),
        Column("label's share of the map, for a network that reads it", at("mark", "with")),
        Column("for one that does not", at("mark", "without")),
        Column("difference ↑", at("mark", "difference"), "what reveals the label"),
        Column("points at the label ↑", at("mark", "points_at_mark"), "pointing at the label"),
    ],
    "Under attack": [
        Column("points at the lesion, after the worst attack ↑", worst, "pointing under attack"),
        Column(
            "rank correlation ↑", at("attacked", "rank order", "after"), "rank order under attack"
        ),
        Column("top pixels in common ↑", at("attacked", "top pixels", "after"), "top pixels kept"),
        Column("centre of mass, pixels moved → 0", moved, "centre of mass kept", -1),
        Column(
            "distance to another's map ↑",
            at("attacked", "given map", "after"),
            "distance to a given map",
        ),
        Column("PSC, sensitivity ↑", at("attacked", "sensitivity"), "sensitivity"),
        Column("PSC, robustness ↑", at("attacked", "robustness"), "robustness"),
    ],
    "Fidelity": [
        Column("deletion ↓", at("fidelity", "deletion"), "deletion", -1),
        Column("insertion ↑", at("fidelity", "insertion"), "insertion"),
        Column("noise ↑", at("fidelity", "noise"), "likeness under noise"),
    ],
}
# What stands below a table.
NOTES = {
    "The truth": """- **Points at the lesion** (or the label): the pointing game, whether the
  largest value lies there. Of equal values the first counts, and a patch of Occlusion has one
  value: its upper left corner decides, which may lie beside what the patch covers. Read its IoU and
  its share instead.
- **IoU** and **average precision**: the most important pixels, as many as the lesion has, against
  the lesion; and the precision over all recalls.
- **The label's share of the map**: how much of its positive values lies on the label, on the same
  pictures with a label, for the network that reads it and for the one that never saw one. The
  difference is what reveals.""",
    "Under attack": """- Four attacks of RMSE 0.01, which nobody sees, each 10 steps from one
  start; the class stays. They disturb the order of the pixels, push out the most important ones,
  move the centre of mass ([1710.10547](https://arxiv.org/abs/1710.10547)), or bring the map towards
  that of another picture ([1906.07983](https://arxiv.org/abs/1906.07983)). **The worst** is
  the one after which the maps point at the lesion least.
- **PSC**: prediction–saliency correlation
  ([PMC10831523](https://pmc.ncbi.nlm.nih.gov/articles/PMC10831523/)) with changes of RMSE 0.02.
  Does the map move when the prediction does (sensitivity), and only then (robustness)?""",
    "Fidelity": "Deletion, insertion and noise are those of [the other networks](#fidelity).",
}


def found(told: dict[str, Any], kind: str, column: Column) -> Value | None:
    """What was measured of a method on one network; None where nothing was."""
    try:
        return column.read(told[kind])
    except KeyError:
        return None
