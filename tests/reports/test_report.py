"""A report's page: it is well formed, needs no network, and says what the report says."""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tfrobust.errors import InputError
from tfrobust.reports.page import Section
from tfrobust.reports.report import report_page
from tfrobust.robustness import AraReport
from tfrobust.robustness.examples import Example

Make = Callable[..., AraReport]
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


def test_page_is_well_formed_and_needs_no_network(make_report: Make, read) -> None:
    html = report_page(
        make_report(warnings=("Beware.",), smoke=True),
        twin=make_report(scale=0.3, name="plain"),
        more=[Section("Explanations", PNG, "Eight images")],
    )
    page = read(html)
    assert page.tags.count("svg") == 3 and "script" not in page.tags
    for name in ("src", "href", "xlink:href"):
        assert all(value.startswith(("data:", "#")) for value in page.values(name))
    assert not re.search(r"@import|url\((?!#)", html)
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    for words in (
        "smoke run, not a measurement",
        "upper bound",
        "L2,min (450 steps) + linearized margin (40 steps)",
        "Beware.",
        "3.3 times",
        "paired bootstrap",
        "Eight images",
    ):
        assert words in page.text


def test_page_is_the_same_each_time(make_report: Make, tmp_path: Path) -> None:
    for name in "ab":
        make_report().to_html(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("unfound", [0, 15, 20])
def test_page_of_areas_that_nothing_bounds(make_report: Make, unfound: int, read) -> None:
    page = read(report_page(make_report(unfound=unfound), twin=make_report(unfound=20 - unfound)))
    # A ratio of areas needs two; 15 and 5 of 20 images unfound are more than a tenth.
    assert "not bounded" in page.text and "as robust as its plain twin" not in page.text


def test_every_text_is_escaped(make_report: Make, full_report: AraReport, read) -> None:
    bad = '<script>alert("x")</script> & \'"'
    report = dataclasses.replace(
        full_report,
        name=bad,
        data=bad,
        checks={bad: (bad,)},
        command=bad,
        class_names=(bad,) * 10,
        versions={bad: bad},
        attacks=tuple(dataclasses.replace(record, name=bad) for record in full_report.attacks),
    )
    more = [Section(bad, PNG, f"caption {bad}")]
    for html in (
        report_page(report, twin=make_report(name=bad), more=more),
        report._repr_html_(),
    ):
        page = read(html)
        assert "script" not in page.tags and not page.values("onload")
        assert bad in page.text
    page = read(report_page(report, twin=make_report(name=bad), more=more))
    assert f"caption {bad}" in page.values("alt") and f"taken for {bad}" in page.values("alt")


def test_a_further_section_takes_svg_or_png(make_report: Make, read) -> None:
    page = read(report_page(make_report(), more=[Section("More", "<svg></svg>", "A plot.")]))
    assert page.tags.count("svg") == 4 and "A plot." in page.text
    with pytest.raises(InputError, match="expected a PNG's bytes, got some that begin with b'GIF"):
        report_page(make_report(), more=[Section("More", b"GIF89a", "")])


def test_certificate_and_estimate_stand_apart(
    make_report: Make, full_report: AraReport, tmp_path: Path, read
) -> None:
    words = (
        "The smoothed network’s certificate",
        "Never a bound on the network itself.",
        "certified ARA, a lower bound 0.0542 0.0000 – 0.1125",
        "σ = 0.25, 10 draws to choose, 100 to count, α = 0.001, seed 0, 2 seconds",
        "CLEVER’s estimate",
        "neither an upper nor a lower bound",
    )
    full_report.to_html(tmp_path / "full.html")
    text = read((tmp_path / "full.html").read_text()).text
    assert all(one in text for one in words)
    text = read(report_page(make_report())).text
    assert not any(one in text for one in words)


def test_both_bounds_stand_together(make_report: Make, full_report: AraReport, read) -> None:
    assert full_report.lipschitz is not None
    words = (
        "The network’s own certificate",
        f"certified ARA, from below {full_report.lipschitz.ara.value:.4f}",
        "certified: no attack comes below",
        "Its upper bound is the shaded curve, its lower one the certified curve.",
    )
    text = read(report_page(full_report)).text
    assert all(one in text for one in words)
    assert text.count("no attack comes below") == 1  # of the goal that is certified alone
    with_twin = read(report_page(full_report, twin=make_report(scale=0.5))).text
    assert all(one in with_twin for one in words)
    text = read(report_page(make_report())).text
    assert not any(one in text for one in words)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_page_shows_examples_sizes_checks_and_the_command(
    make_report: Make, channels: int, read
) -> None:
    image = np.full((4, 4, channels), 0.25, np.float32)
    report = make_report(
        examples=tuple(
            Example(row, 3, 5, image, image + np.float32(0.05), 0.05) for row in range(3)
        ),
        class_names=tuple(f"thing {number}" for number in range(10)),
        warnings=("Beware.",),
    )
    page = read(report_page(report, twin=make_report(scale=0.5)))
    assert page.tags.count("img") == 9
    assert all(source.startswith("data:image/png;base64,iVBOR") for source in page.values("src"))
    for words in (
        "Image 0, снимок 0.png: thing 3, then taken for thing 5. RMSE 0.0500, L2",
        "× 10",
        "Hardest to change",
        "Easiest to change",
        "L2 0.25",
        "L∞ 8/255",
        "evaluate.py --model robust",
        "good nothing seen",
        "bad 1 above",
        "may leave [0, 1]",
    ):
        assert words in page.text
    assert f"L∞ 8/255 {report.robust_accuracy(8 / 255, 'Linf'):.3f}" in page.text
    assert "img" not in read(report_page(make_report())).tags


def test_what_was_not_looked_for_is_not_told(make_report: Make, read) -> None:
    page = read(report_page(make_report(attack_linf=None), twin=make_report(scale=0.5)))
    assert "L∞ 8/255" not in page.text and "as no attack searched in it" in page.text
    assert "left out not made: there was no time" in page.text


def test_gradients_of_both_goals_are_told(make_report: Make, read) -> None:
    # Two attacks of 60 gradients for each of two goals.
    text = read(report_page(make_report())).text
    assert "rests on at most 240 gradients of both goals" in text
    assert "the BTR ARA rests on 120 of them" in text


def test_bounds_are_told(make_report: Make, read) -> None:
    assert "are kept within [0, 1]" in read(report_page(make_report(bounds=(0.0, 1.0)))).text


def test_in_a_notebook(make_report: Make, full_report: AraReport, read) -> None:
    report = make_report(warnings=("Beware.",))
    page = read(report._repr_html_())
    assert page.tags.count("svg") == 2
    assert f"attack ARA {report.attack_ara.value:.4f}" in page.text and "Beware." in page.text
    page = read(full_report.certificate._repr_html_())
    assert "Never a bound on the network itself." in page.text
    assert "an estimate and no bound" in read(full_report.clever._repr_html_()).text
    page = read(full_report.lipschitz._repr_html_())
    assert "A lower bound for the network itself" in page.text and "1.0e-03" in page.text
