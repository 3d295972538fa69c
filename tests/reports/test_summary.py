"""A report in a few lines."""

import re
from collections.abc import Callable

from tfrobust.robustness import AraReport

Make = Callable[..., AraReport]


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
    assert (
        "at most 240 gradients for each image, those of BTR (120) included; 1 of 3 checks could "
        "not be made"
    ) in lines


def test_certificate_and_estimate_have_lines_of_their_own(
    make_report: Make, full_report: AraReport
) -> None:
    text = full_report.summary()
    assert "not a bound on the network itself" in text and "an estimate and no bound" in text
    assert "a lower bound for the network itself, by its Lipschitz constant" in text
    assert "smoothed" not in make_report().summary()
