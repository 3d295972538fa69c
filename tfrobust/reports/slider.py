"""A page with a slider over the explanation's size: one HTML file, which asks for nothing else.

What the network would need to see to be surer of a class, or less sure, at growing sizes, with the
class's confidence beside (arXiv 1906.02896). All pictures are in the page.
"""

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfrobust.core.opaque import Model
from tfrobust.errors import InputError
from tfrobust.explanations.adversarial import at_sizes
from tfrobust.explanations.base import Explanation
from tfrobust.explanations.blocks import rivals
from tfrobust.reports.pixels import PNG_SIDE, around_grey, data_uri, plain_name

HERE = Path(__file__).parent
RHOS = (0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2)
LONGEST_NAME = 60
SIDE = 280  # pixels on the screen


def slider_page(
    network: Model,
    image: Any,
    class_names: Sequence[str],
    *,
    targets: Sequence[int] | None = None,
    rhos: Sequence[float] = RHOS,
    title: str = "What the network would need to see",
) -> str:
    """A page on one image.

    Args:
        network: gives logits (B, K) for images.
        image: float (H, W, C) in [0, 1], grey (C = 1) or colour (C = 3).
        class_names: K names.
        targets: the classes to choose from; None for the predicted one and its rival.
        rhos: sizes of the change, RMSE in units of pixels from 0 to 1, rising.
        title: of the page.

    Returns:
        HTML.

    Raises:
        InputError: an image that is not grey or colour, sizes that do not rise, names that do
            not fit, or what `explain` refuses.
    """
    image = np.asarray(image, np.float32)
    if image.ndim != 3 or image.shape[-1] not in (1, 3):
        raise InputError(f"expected an image (H, W, 1) or (H, W, 3), got {image.shape}")
    if not len(rhos) or list(rhos) != sorted(set(rhos)):
        raise InputError(f"expected sizes that rise, got {rhos}")
    if targets is not None and not len(targets):
        raise InputError("expected at least one class, got none")
    one = image[None]
    if targets is None:
        (rival,) = rivals(network, one)
        targets = [-1, int(rival)]
    tiled = np.repeat(one, len(targets), axis=0)
    ways = {
        name: at_sizes(network, tiled, list(targets), rhos=rhos, direction=direction)
        for name, direction in (("surer", 1), ("less", -1))
    }
    logits = np.asarray(network(one))[0]
    if len(class_names) != len(logits):
        raise InputError(f"expected {len(logits)} class names, one a class, got {len(class_names)}")
    names = [plain_name(name, LONGEST_NAME) for name in class_names]
    first = ways["surer"][0]
    classes = [
        {
            "name": names[first.target[row]],
            "confidence": float(first.confidence_before[row]),
            **{way: [_frame(found, row) for found in steps] for way, steps in ways.items()},
        }
        for row in range(len(targets))
    ]
    drawn = data_uri(image)
    data = {
        "image": drawn,
        "grey": data_uri(np.full_like(image, 0.5)),
        "rhos": [float(rho) for rho in rhos],
        "classes": classes,
    }
    script = (HERE / "templates" / "slider.js").read_text()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    small = max(image.shape[:2]) <= PNG_SIDE
    parts = {
        "title": html.escape(title),
        "about": "The image changed, by its own network, until that is surer of a class or less "
        "sure: the adversarial explanation g_explain of arXiv 1906.02896. On a network that "
        "resists attacks the change shows what the class is made of; where it looks like noise, "
        "the network decides by what people do not see.",
        "image": drawn,
        "seen": html.escape(names[int(logits.argmax())]),
        "side": str(SIDE),
        "rendering": "pixelated" if small else "auto",
        "script_hash": f"sha256-{digest}",
        # "</script>" in a class's name must not end the element.
        "data": json.dumps(data).replace("<", "\\u003c"),
        "script": script,
    }
    page = (HERE / "templates" / "slider.html").read_text()
    for name, value in parts.items():
        page = page.replace("{{" + name + "}}", value)
    return page


def _frame(found: Explanation, row: int) -> dict[str, Any]:
    """One position of the slider."""
    return {
        "image": data_uri(found.explanation[row]),
        "difference": data_uri(around_grey(found.difference[row], float(np.max(found.rho)))),
        "rmse": round(float(found.rmse[row]), 6),
        "confidence": round(float(found.confidence_after[row]), 6),
        "short": bool(found.falls_short[row]),
    }
