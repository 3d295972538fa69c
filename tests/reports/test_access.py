"""Reports in a browser: by keyboard, on a small screen, and read aloud."""

from pathlib import Path

import numpy as np
import pytest

from tfrobust.explanations import Explanation
from tfrobust.reports.explanation import explanation_page
from tfrobust.reports.report import report_page

PHONE = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}


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
    full_report, chromium, axe, tmp_path: Path
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
        assert axe(page) == []


def test_the_words_in_a_picture_are_drawn_smoothly(
    explanation, chromium, axe, tmp_path: Path
) -> None:
    path = tmp_path / "explanation.html"
    path.write_text(explanation_page(explanation, ["cat", "dog"]))
    with chromium(path.as_uri(), tmp_path) as page:
        assert page.run("getComputedStyle(document.querySelector('img')).imageRendering") == "auto"
        assert axe(page) == []
