"""The hardest and the easiest images of an evaluation, drawn."""

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np

from tfrobust.robustness.examples import Example


def example_html(example: Example, class_names: Sequence[str]) -> str:
    """Image, change around grey and changed image side by side, with a caption.

    Args:
        example: what to show.
        class_names: K names; numbers where empty.
    """
    delta = example.adversarial - example.image
    # So that the largest change is black or white; the factor is said, and so is rounded first.
    factor = float(f"{0.5 / np.abs(delta).max():.2g}")
    label, given = (
        class_names[number] if class_names else f"class {number}"
        for number in (example.label, example.given)
    )
    shown = {
        f"{label}": example.image,
        f"the change, {factor:g} times, around grey": 0.5 + factor * delta,
        f"taken for {given}": example.adversarial,
    }
    pictures = "".join(
        f'<img alt="{escape(words)}" src="data:image/png;base64,{_png(values)}">'
        for words, values in shown.items()
    )
    caption = (
        f"Image {example.number}: {label}, then taken for {given}. RMSE {example.rmse:.4f}, "
        f"L2 {example.rmse * np.sqrt(delta.size):.3g}; the change is shown × {factor:g}."
    )
    return f"<figure>{pictures}<figcaption>{escape(caption)}</figcaption></figure>"


def _png(values: np.ndarray) -> str:
    """A picture's PNG file in base64; what lies outside [0, 1] is cut off, as on a screen."""
    from PIL import Image  # whoever only reads a report's JSON need not wait for it

    # Other numbers of channels than a screen's are shown by their mean.
    if values.shape[-1] != 3:
        values = values.mean(axis=-1)
    file = io.BytesIO()
    Image.fromarray((np.clip(values, 0, 1) * 255).round().astype(np.uint8)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
