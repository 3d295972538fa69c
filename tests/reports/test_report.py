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
from tfrobust.reports.comparison_page import comparison_html
from tfrobust.reports.page import image_section, render
from tfrobust.reports.plots import Curve, accuracy_svg, training_curves_svg
from tfrobust.reports.report_page import report_page
from tfrobust.robustness import AraReport, Certificate, Clever, accuracy_robustness_area, compare
from tfrobust.robustness.examples import Example, pick_examples

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


def example(number: int, channels: int = 1) -> Example:
    image = np.full((4, 4, channels), 0.25, np.float32)
    return Example(number, 3, 5, image, image + np.float32(0.05), 0.05)


def certificate() -> Certificate:
    radii = np.array([0.0, 0.3, 0.5])
    return Certificate(
        ara=accuracy_robustness_area(radii / 4, 10),
        accuracy=2 / 3,
        abstained=1,
        predicted=np.array([-1, 2, 3]),
        votes=np.array([40, 90, 99]),
        l2=radii,
        rmse=radii / 4,
        sigma=0.25,
        n0=10,
        n=100,
        alpha=0.001,
        num_classes=10,
        seed=0,
        seconds=1.5,
    )


def clever() -> Clever:
    scores = np.array([0.0, 0.5, 0.7])
    return Clever(
        ara=accuracy_robustness_area(scores / 4, 10),
        l2=scores,
        rmse=scores / 4,
        rival=np.array([1, 2, 0]),
        fit=np.array([1.0, 0.6, 0.04]),
        capped=0,
        poor=1,
        unsettled=0,
        radius=5.0,
        batches=50,
        samples=100,
        rivals=9,
        seed=0,
        seconds=2.0,
    )


@pytest.mark.parametrize("unfound", [0, 1, 15, 20])
def test_json_round_trip(make_report: Make, tmp_path: Path, unfound: int) -> None:
    report = make_report(unfound=unfound, warnings=("a “warning”",), smoke=True)
    path = tmp_path / "new" / "ara.json"
    report.to_json(path)
    text = path.read_text()
    assert "Infinity" not in text and "NaN" not in text
    values = json.loads(text)
    assert values["schema"] == 4
    assert values["warnings"] == ["a “warning”"] and "examples" not in values
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
        ('{"schema": 2}', "got schema 2"),
        ('{"schema": 4}', "fields differ"),
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
    html = report_page(
        make_report(warnings=("Beware.",), smoke=True),
        twin=make_report(scale=0.3, name="plain"),
        more=[image_section("Explanations", "Eight images", PNG)],
    )
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
        "L2,min (450 steps) + linearized margin (40 steps)",
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
        checks={bad: (bad,)},
        command=bad,
        class_names=(bad,) * 10,
        examples=(example(0),),
        versions={bad: bad},
        attacks=tuple(dataclasses.replace(record, name=bad) for record in report.attacks),
    )
    more = [image_section(bad, f"class {bad}", PNG)]
    page = Page(report_page(report, twin=make_report(name=bad), more=more))
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
    assert "L2,min (450 steps) + linearized margin (40 steps)" in text
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
        compare(robust, dataclasses.replace(twin, bounds=(0.0, 1.0)))


def test_reading_a_report_needs_no_tensorflow() -> None:
    program = (
        "import sys, tfrobust.robustness; "
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_ara_in_words() -> None:
    assert str(accuracy_robustness_area(np.full(3, np.inf), 10)) == (
        "not bounded: 3 of 3 images unfound"
    )


def test_certificate_and_estimate_stand_apart(make_report: Make, tmp_path: Path) -> None:
    plain = make_report()
    assert plain.certificate is None and "smoothed" not in plain.summary()
    report = dataclasses.replace(plain, certificate=certificate(), clever=clever())
    report.to_json(tmp_path / "ara.json")
    read = AraReport.from_json(tmp_path / "ara.json")
    for name in ("certificate", "clever"):
        before, after = (vars(getattr(one, name)) for one in (report, read))
        for field, value in before.items():
            np.testing.assert_array_equal(after[field], value)
            assert getattr(after[field], "dtype", None) == getattr(value, "dtype", None)
    assert "not a bound on the network itself" in read.summary()
    assert "an estimate and no bound" in read.summary()
    read.to_html(tmp_path / "r.html")
    text = " ".join(Page((tmp_path / "r.html").read_text()).text)
    for words in (
        "The smoothed network’s certificate",
        "Never a bound on the network itself.",
        "CLEVER’s estimate",
        "neither an upper nor a lower bound",
    ):
        assert words in text


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_page_shows_examples_sizes_checks_and_the_command(
    make_report: Make, tmp_path: Path, channels: int
) -> None:
    names = tuple(f"thing {number}" for number in range(10))
    report = make_report(
        examples=tuple(example(number, channels) for number in range(3)),
        class_names=names,
        warnings=("Beware.",),
    )
    report.to_html(tmp_path / "r.html", twin=make_report(scale=0.5))
    html = (tmp_path / "r.html").read_text()
    page = Page(html)
    assert page.tags.count("img") == 9
    sources = [value for name, value in page.attributes if name == "src"]
    assert all(source and source.startswith("data:image/png;base64,iVBOR") for source in sources)
    text = " ".join(page.text)
    for words in (
        "Image 0: thing 3, then taken for thing 5. RMSE 0.0500, L2",
        "× 10",
        "Hardest to change",
        "Easiest to change",
        "L2 0.25",
        "L∞ 8/255",
        "evaluate.py --model robust",
        "nothing seen",
        "1 above",
        "may leave [0, 1]",
    ):
        assert words in text
    assert f"{report.robust_accuracy(8 / 255, 'Linf'):.3f}" in text
    make_report().to_html(tmp_path / "none.html")
    assert "<img" not in (tmp_path / "none.html").read_text()


@pytest.mark.parametrize("found", [0, 1, 5, 12])
def test_examples_are_the_hardest_and_the_easiest(found: int) -> None:
    rmse = np.concatenate([np.linspace(0.1, 0.2, found), [0.0, np.inf]])
    rng = np.random.default_rng(0)
    images = rng.random((len(rmse), 2, 2, 1)).astype(np.float32)
    labels = np.arange(len(rmse)) % 3

    def ask(asked: np.ndarray) -> np.ndarray:
        return np.tile([1.0, 2.0, 3.0], (len(asked), 1))

    picked = pick_examples(images, labels, images + 0.1, rmse, ask)
    order = list(range(found))[::-1]
    assert [one.number for one in picked] == (order if found <= 8 else order[:4] + order[-4:])
    assert all(one.given == (1 if one.label == 2 else 2) for one in picked)


def test_several_networks_in_one_figure(make_report: Make, tmp_path: Path) -> None:
    reports = [
        make_report(unfound=0, name="first <network>"),
        make_report(scale=0.5, unfound=0, name="second"),
        make_report(scale=2.0, unfound=20, name="third", warnings=("Beware.",)),
    ]
    comparison_html(reports, tmp_path / "all.html")
    page = Page((tmp_path / "all.html").read_text())
    assert page.tags.count("svg") == 2 and "script" not in page.tags
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    text = " ".join(page.text)
    for words in ("first <network>", "0.50 [0.50, 0.50]", "not bounded", "third: Beware.", "L∞"):
        assert words in text
    with pytest.raises(InputError, match="at least two"):
        comparison_html(reports[:1], tmp_path / "one.html")
    with pytest.raises(InputError, match="in the same way"):
        comparison_html([reports[0], make_report(bounds=(0.0, 1.0))], tmp_path / "one.html")
    assert not (tmp_path / "one.html").exists()
