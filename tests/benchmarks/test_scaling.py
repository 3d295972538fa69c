"""The benchmarks of scaling and of the penalty's variants: what they run, and their tables."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tfrobust.runs.config import Config


def test_a_point_of_several_axes_is_measured_once_and_told_along_each(
    benchmark: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    scaling = benchmark("scaling")
    found = list(scaling.points())
    assert len(found) == len(set(map(str, found))) == 3 * (3 + 2 + 3)
    results = {
        "points": {
            str(one): {"cpu_s": one.images * one.size / 512, "memory_mib": one.classes}
            for one in found
        },
        "workers": {"2": {"seconds": 30.2, "cpu_s": 55.0}},
    }
    table = scaling.table_of(results)
    assert "| images 16, 64, 256 | step | 1 · 4 · 16 | 10 · 10 · 10 |" in table
    assert "| classes 10, 100, 1000 | explain | 1 · 1 · 1 | 10 · 100 · 1000 |" in table
    assert "| size 32, 64, 128, 224 | evaluate | 1 · 2 · 4 · 7 |" in table
    assert table.endswith("| 2 | 30 | 55 |")
    scaling.draw(results, tmp_path / "scaling.png")
    assert (tmp_path / "scaling.png").stat().st_size > 10_000


def test_figures_are_written_into_a_page_between_their_marks(
    benchmark: Callable[[str], ModuleType], root: Path, tmp_path: Path
) -> None:
    turns, page = benchmark("turns"), tmp_path / "page.md"
    page.write_text("a\n<!-- speeds -->\nold\n<!-- end of speeds -->\nb\n")
    turns.into_page(page, "speeds", "new")
    turns.into_page(page, "speeds", "newer")
    assert page.read_text() == "a\n<!-- speeds -->\nnewer\n<!-- end of speeds -->\nb\n"
    with pytest.raises(ValueError, match="to have <!-- none --> and <!-- end of none -->"):
        turns.into_page(page, "none", "new")
    for name, place in (("scaling", "figures/speed.md"), ("penalty_options", "guides/train.md")):
        text = (root / "docs" / place).read_text()
        assert 0 < text.find(f"<!-- {name} -->\n") < text.find(f"<!-- end of {name} -->")


def test_every_variant_of_the_penalty_is_a_recipe(
    benchmark: Callable[[str], ModuleType],
) -> None:
    options = benchmark("penalty_options")
    configs = [options.config_of(name, 40) for name in options.VARIANTS]
    assert all(isinstance(one, Config) and one.training.max_steps == 40 for one in configs)
    assert len({json.dumps(one.to_json()) for one in configs}) == len(configs) == 7
    area = {"value": 0.02, "low": 0.01, "high": 0.03, "unfound": 0, "images": 9}
    none = {"value": None, "low": None, "high": None, "paired": True}
    row = {"steps": 8, "clean_accuracy": 0.5, "attack_ara": area, "btr_ara": area}
    results = {"step_ratios": {"none": 0.4}, "variants": {"none": {**row, "attack_ratio": none}}}
    areas = "0.0200 [0.0100, 0.0300]"
    last = options.table_of(results).splitlines()[-1]
    assert last.startswith(f"| none | 0.40 | 8 | 0.500 | {areas}") and last.endswith("bounded |")
