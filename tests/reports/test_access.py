"""Reports in a browser: by keyboard, on a small screen, and read aloud."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tfrobust.explanations import Explanation
from tfrobust.reports.evidence_file import EvidenceFile, Made, evidence_page
from tfrobust.reports.explanation import explanation_page
from tfrobust.reports.labels import labels_page
from tfrobust.reports.report import report_page
from tfrobust.robustness import AraReport, LabelReport, LabelsReport, Performance

PHONE = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
DESKTOP = {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}
# Ten classes, and letters of four scripts.
NAMES = ("épanchement", "перелом", "腫瘤", "كسر", *(f"class {number}" for number in range(4, 10)))


@pytest.fixture
def explanation() -> Explanation:
    changed = np.random.default_rng(0).random((2, 8, 8, 3)).astype(np.float32)
    shares = np.float32([0.4, 0.6])
    return Explanation(
        explanation=changed,
        difference=np.full_like(changed, 0.1),
        target=np.int32([0, 1]),
        confidence_before=shares,
        confidence_after=shares + 0.2,
        rmse=np.float32([0.1, 0.1]),
        rho=0.1,
        reached=np.array([True, True]),
        attribution=np.full_like(changed, 0.1),
        map=np.full((2, 8, 8), 0.3, np.float32),
        method="g_explain+ (RMSE 0.1)",
    )


def test_tables_scroll_by_keyboard_and_nothing_is_in_the_way(
    full_report, chromium, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    path.write_text(report_page(full_report))
    with chromium(path.as_uri(), tmp_path) as page:
        page.tell("Emulation.setDeviceMetricsOverride", **PHONE)
        assert page.run("document.documentElement.scrollWidth") == PHONE["width"]
        is_wide = "(one) => one.scrollWidth > one.clientWidth"
        wide = f"[...document.querySelectorAll('.scroll')].filter({is_wide})"
        assert page.run(f"{wide}.length") > 0
        page.run(f"{wide}[0].focus()")
        for kind in ("keyDown", "keyUp"):
            page.tell("Input.dispatchKeyEvent", type=kind, key="ArrowRight", code="ArrowRight",
                      windowsVirtualKeyCode=39)  # fmt: skip
        page.wait("document.activeElement.scrollLeft > 0")


def evidence_of(report: AraReport) -> str:
    """The page of evidence about a report's network."""
    made = Made(
        by="Ärztin",
        at="2026-11-27T02:00:00+00:00",
        command="evidence.py --model " + "x" * 80,
        versions={"tfrobust": "0.2.0"},
        code="ab" * 32,
    )
    evidence = EvidenceFile(
        made=made,
        sources={"model": "model", "data": "data"},
        files={"data": {f"снимок {number}.png": "cd" * 32 for number in range(3)}},
        network={"name": "robust", "classes": list(NAMES), "input": {"fit": "letterbox"}},
        training={"provenance": "a folder", "recipe": {"data": {"name": "folder:scans"}}},
        measurement={"images": report.data, "hash": report.image_hash},
        attack_ara=report.attack_ara,
        btr_ara=report.btr_ara,
        performance=Performance.of(report),
        checks={"good": (), "bad": ("a reason",)},
        unchecked={"other": "why it was not made"},
        limits=("It was not tried elsewhere.",),
    )
    return evidence_page(evidence, "ef" * 32)


def labels_of(report: AraReport) -> str:
    """The page of a report of four labels."""
    holds = np.arange(report.images) % 2
    rows = [
        LabelReport(label=name, threshold=0.5, holds=holds, predicted=holds, report=report)
        for name in NAMES[:4]
    ]
    return labels_page(LabelsReport.of("robust", "20 test images", tuple(rows), seed=0))


@pytest.mark.parametrize("write", [report_page, evidence_of, labels_of])
def test_axe_finds_nothing_and_no_page_is_wider_than_a_screen(
    full_report: AraReport,
    chromium: Callable,
    axe: Callable,
    tmp_path: Path,
    write: Callable[[AraReport], str],
) -> None:
    path = tmp_path / "page.html"
    path.write_text(write(dataclasses.replace(full_report, class_names=NAMES)), encoding="utf-8")
    with chromium(path.as_uri(), tmp_path) as page:
        assert all(name in page.run("document.body.innerText") for name in NAMES[:4])
        for screen in (DESKTOP, PHONE):
            page.tell("Emulation.setDeviceMetricsOverride", **screen)
            # A desktop's bar for scrolling takes some of the width.
            assert page.run("document.documentElement.scrollWidth") <= screen["width"]
            assert axe(page) == []
        assert not page.complaints
        assert all(url.startswith(("data:", path.as_uri())) for url in page.requests)


def test_the_words_in_a_picture_are_drawn_smoothly(
    explanation, chromium, axe, tmp_path: Path
) -> None:
    path = tmp_path / "explanation.html"
    path.write_text(explanation_page(explanation, ["cat", "dog"]))
    with chromium(path.as_uri(), tmp_path) as page:
        assert page.run("getComputedStyle(document.querySelector('img')).imageRendering") == "auto"
        assert axe(page) == []
