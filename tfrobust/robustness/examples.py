"""The hardest and the easiest images of an evaluation, to be looked at."""

import base64
import io
from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

import numpy as np

EACH = 4  # hardest, and easiest


class Example(NamedTuple):
    """An image and the smallest change by which it is misclassified.

    Args:
        number: which image of those evaluated, from 0.
        label: its class.
        given: the class that it is taken for.
        image: float32 (H, W, C) in [0, 1].
        adversarial: float32 (H, W, C).
        rmse: size of the change.
    """

    number: int
    label: int
    given: int
    image: np.ndarray
    adversarial: np.ndarray
    rmse: float


def pick_examples(
    images: np.ndarray,
    labels: np.ndarray,
    adversarials: np.ndarray,
    rmse: np.ndarray,
    ask: Callable[[np.ndarray], np.ndarray],
) -> tuple[Example, ...]:
    """The images that took most and least, the hardest first; none that was wrong or unfound.

    Args:
        images: float32 (N, H, W, C) in [0, 1].
        labels: int32 (N,).
        adversarials: float32 (N, H, W, C).
        rmse: float64 (N,), their sizes.
        ask: images (n, H, W, C) → the network's logits (n, K).
    """
    order = np.argsort(-rmse, kind="stable")
    order = order[(np.isfinite(rmse) & (rmse > 0))[order]]
    rows = np.concatenate([order[:EACH], order[max(EACH, len(order) - EACH) :]])
    if not len(rows):
        return ()
    logits = ask(adversarials[rows])
    # On a boundary rounding decides which of two classes is given: the label is not meant.
    logits[np.arange(len(rows)), labels[rows]] = -np.inf
    return tuple(
        Example(
            number=int(row),
            label=int(labels[row]),
            given=int(given),
            image=images[row],
            adversarial=adversarials[row],
            rmse=float(rmse[row]),
        )
        for row, given in zip(rows, logits.argmax(axis=1), strict=True)
    )


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
