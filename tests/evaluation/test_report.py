"""Reports: to JSON and back, to a page that is well formed, quiet and safe."""

import dataclasses
import json
import math
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from tfrobust.errors import InputError
from tfrobust.evaluation import AraReport, accuracy_robustness_area, compare
from tfrobust.evaluation.page import image_section, render
from tfrobust.evaluation.plots import Curve, accuracy_svg, training_curves_svg
from tfrobust.evaluation.sanity import sanity

Make = Callable[..., AraReport]
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Reads a page, and fails where a tag is left open."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.mark.parametrize("unfound", [0, 1, 15, 20])
def test_json_round_trip(make_report: Make, tmp_path: Path, unfound: int) -> None:
    report = make_report(unfound=unfound, warnings=("a “warning”",), smoke=True)
    path = tmp_path / "new" / "ara.json"
    report.to_json(path)
    text = path.read_text()
    assert "Infinity" not in text and "NaN" not in text
    values = json.loads(text)
    assert values["schema"] == 2
    assert values["attack_rmse"].count(None) == unfound
    read = AraReport.from_json(path)
    for field in dataclasses.fields(AraReport):
        before, after = getattr(report, field.name), getattr(read, field.name)
        if field.name == "attacks":
            for one, other in zip(before, after, strict=True):
                assert one.ara == other.ara
                np.testing.assert_array_equal(one.rmse, other.rmse)
                assert dataclasses.replace(one, rmse=0).__dict__ == (
                    dataclasses.replace(other, rmse=0).__dict__
                )
        elif isinstance(before, np.ndarray):
            assert after.dtype == np.float64
            np.testing.assert_array_equal(before, after)
        else:
            assert before == after
    assert [path.name for path in path.parent.iterdir()] == ["ara.json"]


def test_medians(make_report: Make) -> None:
    assert make_report(unfound=11).attack_median is None
    report = make_report(unfound=1)
    assert report.btr_median == pytest.approx(float(np.median(report.btr_rmse)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Expecting property name"),
        ("[]", "got schema None"),
        ('{"schema": 1}', "got schema 1"),
        ('{"schema": 2}', "fields differ"),
    ],
)
def test_refuses_other_json(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "ara.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        AraReport.from_json(path)
    with pytest.raises(InputError, match="No such file"):
        AraReport.from_json(tmp_path / "absent.json")


def test_refuses_an_unwritable_place(make_report: Make, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="choose a folder"):
        make_report().to_json(tmp_path / "file" / "ara.json")


def test_page_is_well_formed_and_needs_no_network(make_report: Make, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    make_report(warnings=("Beware.",), smoke=True).to_html(
        path,
        twin=make_report(scale=0.3, name="plain"),
        more=[image_section("Explanations", "Eight images", PNG)],
    )
    html = path.read_text()
    page = Page(html)
    assert page.tags.count("svg") == 2 and "script" not in page.tags
    for name, value in page.attributes:
        if name in ("src", "href", "xlink:href"):
            assert value and value.startswith(("data:", "#"))
    assert not re.search(r"@import|url\((?!#)", html)
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    text = " ".join(page.text)
    for words in (
        "smoke run, not a measurement",
        "upper bound",
        "L2,min (450 steps) + projection (40 steps)",
        "Beware.",
        "3.3 times",
        "paired bootstrap",
        "Eight images",
    ):
        assert words in text


def test_page_is_the_same_each_time(make_report: Make, tmp_path: Path) -> None:
    for name in "ab":
        make_report().to_html(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("unfound", [0, 15, 20])
def test_page_of_areas_that_nothing_bounds(make_report: Make, tmp_path: Path, unfound: int) -> None:
    make_report(unfound=unfound).to_html(
        tmp_path / "r.html", twin=make_report(unfound=20 - unfound)
    )
    Page((tmp_path / "r.html").read_text())


def test_every_text_is_escaped(make_report: Make, tmp_path: Path) -> None:
    bad = '<script>alert("x")</script> & \'"'
    report = make_report()
    report = dataclasses.replace(
        report,
        name=bad,
        data=bad,
        warnings=(bad,),
        versions={bad: bad},
        attacks=tuple(dataclasses.replace(record, name=bad) for record in report.attacks),
    )
    report.to_html(
        tmp_path / "r.html",
        twin=make_report(name=bad),
        more=[image_section(bad, f"class {bad}", PNG)],
    )
    page = Page((tmp_path / "r.html").read_text())
    assert "script" not in page.tags and not any(name == "onload" for name, _ in page.attributes)
    assert ("alt", f"class {bad}") in page.attributes
    svg = accuracy_svg(bad, Curve(bad, np.ones(3)), [Curve(bad, np.ones(3))] * 2, 10)
    page = Page(render(bad, [(bad, svg)], banner=bad))
    assert "script" not in page.tags
    assert page.text.count(bad) >= 4


def test_image_section_takes_only_png() -> None:
    with pytest.raises(InputError, match="PNG"):
        image_section("a", "b", b"GIF89a")


def test_training_curves() -> None:
    rows = [
        {
            "epoch": step // 100,
            "step": step,
            "loss": 3.0 - step / 1000,
            "cross_entropy": 2.0 - step / 1000,
            "accuracy": step / 2000,
            "psi": 220.0 + step,
            "learning_rate": 0.1,
            "val_accuracy": step / 2000 if step % 100 == 0 else math.nan,
        }
        for step in range(0, 2000)
    ]
    svg = training_curves_svg(rows)
    page = Page(svg)
    assert {"loss, penalty included", "held-out images", "learning rate"} <= set(page.text)
    assert len(svg) < 120_000
    few = [{name: row[name] for name in ("step", "loss", "accuracy")} for row in rows[:1]]
    assert "held-out images" not in Page(training_curves_svg(few)).text
    Page(training_curves_svg([]))


def test_summary(make_report: Make) -> None:
    twin = make_report(scale=0.3, unfound=0, name="plain", clean_accuracy=0.97)
    text = make_report(unfound=0, warnings=("Beware.",)).summary(twin)
    lines = text.splitlines()
    assert lines[0] == "robust: 20 images of 20 test images"
    assert "clean accuracy 0.950" in lines
    assert re.search(
        r"^attack ARA +0\.\d{4} \[0\.\d{4}, 0\.\d{4}\] \(20 images\)$", text, re.MULTILINE
    )
    assert "L2,min (450 steps) + projection (40 steps)" in text
    assert "is 3.33 [3.33, 3.33]" in text and "0.970" in text
    assert lines[-1] == "warning: Beware."


def test_compare_pairs_equal_images(make_report: Make) -> None:
    robust, twin = make_report(unfound=0), make_report(scale=0.5, unfound=0)
    ratios = compare(robust, twin)
    assert ratios.attack.paired and ratios.notes == ()
    assert (ratios.btr.low, ratios.btr.high) == pytest.approx((2, 2))
    others = dataclasses.replace(twin, image_hash="cd" * 32, attacks=twin.attacks[:1])
    ratios = compare(robust, others)
    assert not ratios.attack.paired and ratios.attack.low < 1.9
    assert "different images" in ratios.notes[0] and "unequal attacks" in ratios.notes[1]
    with pytest.raises(InputError, match="in the same way"):
        compare(robust, dataclasses.replace(twin, box=True))


def checked(attack: list[float], btr: list[float], **changes: np.ndarray) -> str:
    none = np.zeros(len(attack), bool)
    sizes = {"attack": np.array(attack), "btr": np.array(btr)}
    late = {"attack": changes.get("late", none), "btr": none}
    stuck = {"cross-entropy": changes.get("stuck", none), "margin": none}
    clean = float(np.mean(sizes["attack"] > 0))
    return "\n".join(sanity(sizes, late, num_classes=4, clean_accuracy=clean, stuck=stuck))


def test_sanity() -> None:
    good, some = [0.0, 0.1, 0.1, 0.2], np.array([False, True, False, True])
    assert checked(good, [0.0, 0.1, 0.2, 0.3]) == ""
    assert "1 of 4 images could not be brought down" in checked(good, [0.0, 0.2, 0.2, np.inf])
    assert "nothing bounds the area" in checked([np.inf] * 2 + [0.1] * 2, [np.inf] * 4)
    assert "2 of 4 images were misclassified only in the second" in checked(good, good, late=some)
    assert "For 1 of 4 images the BTR goal" in checked(good, [0.0, 0.05, 0.2, 0.3])
    assert "2 of 4 images have a gradient of the cross-entropy" in checked(good, good, stuck=some)
    shaky = sanity(
        {"attack": np.ones(4), "btr": np.ones(4)},
        {"attack": ~some | some, "btr": some & ~some},
        num_classes=4,
        clean_accuracy=0.5,
        stuck={},
    )
    assert "from call to call" in shaky[-1]


def test_reading_a_report_needs_no_tensorflow() -> None:
    program = (
        "import sys, tfrobust.evaluation; "
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_ara_in_words() -> None:
    assert str(accuracy_robustness_area(np.full(3, np.inf), 10)) == (
        "not bounded: 3 of 3 images unfound"
    )
