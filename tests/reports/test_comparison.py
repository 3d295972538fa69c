"""Several networks on one page, and a ratio in a notebook."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tfrobust.errors import InputError
from tfrobust.reports.comparison import comparison_html
from tfrobust.robustness import AraReport, compare

Make = Callable[..., AraReport]


def test_several_networks_in_one_figure(make_report: Make, tmp_path: Path, read) -> None:
    reports = [
        make_report(unfound=0, name="first <network>"),
        make_report(scale=0.5, unfound=0, name="second"),
        make_report(scale=2.0, unfound=20, name="third", warnings=("Beware.",)),
    ]
    comparison_html(reports, tmp_path / "all.html")
    page = read((tmp_path / "all.html").read_text())
    assert page.tags.count("svg") == 2 and "script" not in page.tags
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    for words in ("first <network>", "0.50 [0.50, 0.50]", "not bounded", "third: Beware.", "L∞"):
        assert words in page.text


def test_refuses_what_cannot_be_compared(make_report: Make, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least two"):
        comparison_html([make_report()], tmp_path / "one.html")
    with pytest.raises(InputError, match="in the same way"):
        comparison_html([make_report(), make_report(bounds=(0.0, 1.0))], tmp_path / "one.html")
    assert not (tmp_path / "one.html").exists()


def test_in_a_notebook(make_report: Make, read) -> None:
    other = make_report(scale=0.5, unfound=0, image_hash="cd" * 32)
    page = read(compare(make_report(unfound=0), other)._repr_html_())
    assert "attack ARA 2.00 [" in page.text and "different images" in page.text
