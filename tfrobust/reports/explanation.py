"""An explanation's page: its picture and its figures."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tfrobust.reports.figures import explanation_png
from tfrobust.reports.page import Table, render
from tfrobust.reports.pixels import class_name

if TYPE_CHECKING:  # a page on a record that exists needs no TensorFlow
    from tfrobust.explanations import Explanation

LONGEST_NAME = 60


def explanation_page(explanation: "Explanation", class_names: Sequence[str] = ()) -> str:
    """One self-contained page on explanations of images.

    Args:
        explanation: of at least one image, grey (C = 1) or colour (C = 3).
        class_names: K names; without them classes have numbers.

    Returns:
        The page's HTML.

    Raises:
        InputError: there is no image, the images are neither grey nor colour, or a target has no
            name.
    """
    rows = [
        [
            str(row),
            class_name(class_names, target, LONGEST_NAME),
            f"{explanation.confidence_before[row]:.1%}",
            f"{explanation.confidence_after[row]:.1%}",
            f"{explanation.rmse[row]:.4f}",
            "yes" if explanation.reached[row] else "no",
        ]
        for row, target in enumerate(explanation.target)
    ]
    short = int(explanation.falls_short.sum())
    banner = (
        f"{short} of {len(rows)} explanations did not reach their goal, as where a network's "
        "gradient vanishes: their pictures tell little"
    )
    head = ["image", "class", "confidence before", "confidence after", "RMSE", "goal reached"]
    return render(
        "explanation.html",
        method=explanation.method or "Explanation",
        png=explanation_png(explanation, class_names),
        figures=Table(head, rows),
        banner=banner if short else None,
    )


def explanation_notebook(explanation: "Explanation") -> str:
    """The picture of explanations as HTML for a notebook."""
    if not len(explanation.target):
        return render("explanation_notebook.html", method=explanation.method, png=None)
    png = explanation_png(explanation)
    return render("explanation_notebook.html", method=explanation.method, png=png)
