"""A page with a slider over the explanation's size: one HTML file that asks for nothing else.

It shows what the network would need to see to be surer of a class, or less sure, at growing sizes,
with the class's confidence beside it (arXiv 1906.02896). All pictures are in the page.
"""

import base64
import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from tfrobust.errors import InputError
from tfrobust.reports.page import TEMPLATES, render
from tfrobust.reports.pixels import PNG_SIDE, around_grey, class_name, data_uri

if TYPE_CHECKING:  # a page on records that exist needs no TensorFlow
    from tfrobust.explanations import Explanation

LONGEST_NAME = 60
SIDE = 280  # pixels on the screen


def slider_page(
    surer: "Sequence[Explanation]",
    less_sure: "Sequence[Explanation]",
    class_names: Sequence[str] = (),
    *,
    predicted: int,
    title: str = "What the network would need to see",
) -> str:
    """One self-contained page on one image.

    Args:
        surer: g_explain+ at growing sizes, as `tfrobust.explanations.at_sizes` gives them. Each
            explains the same image several times, once for each class that can be chosen. The
            image is grey (C = 1) or colour (C = 3).
        less_sure: g_explain− of the same images, classes and sizes.
        class_names: K names; without them classes have numbers.
        predicted: the class that the network gives the image.
        title: the page's title.

    Returns:
        The page's HTML.

    Raises:
        InputError: the image is neither grey nor colour, the sizes do not grow, the two ways do
            not belong together, or a class has no name.
    """
    rhos = [float(np.max(found.rho)) for found in surer]
    if not rhos or rhos != sorted(set(rhos)):
        raise InputError(f"expected explanations at growing sizes, got sizes {rhos}")
    if len(surer) != len(less_sure):
        raise InputError(
            f"expected both ways at the same sizes, got {len(surer)} and {len(less_sure)} sizes"
        )
    first = surer[0]
    if any(not np.array_equal(found.target, first.target) for found in (*surer, *less_sure)):
        raise InputError("expected explanations of the same classes at all sizes and both ways")
    if len(first.image.shape) != 4 or first.image.shape[-1] not in (1, 3) or not len(first.target):
        raise InputError(
            "expected an image (H, W, 1) or (H, W, 3) explained for at least one class, got "
            f"explanations of shape {first.image.shape}"
        )
    image = first.image[0]
    classes = [
        {
            "name": class_name(class_names, target, LONGEST_NAME),
            "confidence": float(first.confidence_before[row]),
            "surer": [_frame(found, row) for found in surer],
            "less": [_frame(found, row) for found in less_sure],
        }
        for row, target in enumerate(first.target)
    ]
    script = (TEMPLATES / "slider.js").read_text()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    drawn = data_uri(image)
    return render(
        "slider.html",
        title=title,
        image=drawn,
        seen=class_name(class_names, predicted, LONGEST_NAME),
        side=SIDE,
        rendering="pixelated" if max(image.shape[:2]) <= PNG_SIDE else "auto",
        script=Markup(script),
        script_hash=f"sha256-{digest}",
        data={
            "image": drawn,
            "grey": data_uri(np.full_like(image, 0.5)),
            "rhos": rhos,
            "classes": classes,
        },
    )


def _frame(found: "Explanation", row: int) -> dict[str, Any]:
    """One position of the slider."""
    return {
        "image": data_uri(found.explanation[row]),
        "difference": data_uri(around_grey(found.difference[row], float(np.max(found.rho)))),
        "rmse": round(float(found.rmse[row]), 6),
        "confidence": round(float(found.confidence_after[row]), 6),
        "short": bool(found.falls_short[row]),
    }
