"""A sheet for one picture: what would change the network's mind, at the picture's own size.

The first column has the picture and other methods' maps. Each row beside it asks one question, and
answers it for each size by the changed picture and by the change, with its scale in grey levels.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfrobust.core.images import check_drawable
from tfrobust.datasets.resizing import fit, seen, spread_back
from tfrobust.errors import InputError
from tfrobust.reports import fonts, overlay
from tfrobust.reports.overlay import Original
from tfrobust.reports.panels import Panel, Row, Scale, composed
from tfrobust.reports.pixels import SPREAD, class_name, eight_bits, heat, plain_name

if TYPE_CHECKING:  # a picture of records that exist needs no TensorFlow
    from tfrobust.explanations import Explanation

LARGEST_SHEET = 80_000_000  # pixels of all panels together; larger pictures are shrunk
LONGEST_NAME = 60
MARGIN_WORTH_A_WORD = 0.01
OUTLINE = (255, 190, 0)


class Question(NamedTuple):
    """A question about a picture, answered at several sizes.

    Args:
        words: the question as a heading; {name} in it stands for the class's name.
        answers: an explanation of the picture at each size.
    """

    words: str
    answers: "Sequence[Explanation]"


SURER = "More of this would make the network surer of {name}"
LESS_SURE = "This would make the network less sure of {name}"
RIVAL = "More of this would make the network surer of {name} instead"


def sheet_png(
    original: Original,
    questions: Sequence[Question],
    probabilities: np.ndarray,
    *,
    maps: "Mapping[str, Explanation | None]",
    class_names: Sequence[str] = (),
    label: int | None = None,
) -> bytes:
    """Draws a sheet.

    Args:
        original: the picture, grey or colour.
        questions: at least one, each with the same number of answers. The explanations are of this
            one picture in the network's size.
        probabilities: float (K,), what the network gives the picture.
        maps: for each further method's name what it says of the picture; None where it cannot.
        class_names: K names; without them classes have numbers.
        label: the true class; None if it is not known.

    Returns:
        A PNG file. The same arguments give the same bytes.

    Raises:
        InputError: the picture is neither grey nor colour, or a class has no name.
    """
    check_drawable(original.pixels[None].astype(np.float32) / 255)
    numbers = {len(question.answers) for question in questions}
    if len(numbers) != 1 or not min(numbers):
        raise InputError(f"expected answers at the same sizes to each question, got {numbers}")
    columns, rows = 1 + 2 * min(numbers), max(len(questions), 1 + len(maps))
    shown = _shrunk(original, columns * rows)
    names = [
        fonts.legible(class_name(class_names, number, LONGEST_NAME), number)
        for number in range(len(probabilities))
    ]
    told = _told(original, shown, probabilities, names, label)
    first = [("The picture", Panel(_outlined(shown, questions[0].answers[0]), told))]
    for method, found in maps.items():
        heading = f"{method}: where the evidence is"
        first.append((heading, _map(shown, original, found, names)))
    drawn = []
    for number in range(rows):
        panels: list[Panel | None] = [None]
        headings = [""]
        if number < len(first):
            headings[0], panels[0] = first[number]
        if number < len(questions):
            words, answers = questions[number]
            headings.append(words.replace("{name}", names[int(answers[0].target[0])]))
            panels += [one for answer in answers for one in _answer(shown, original, answer)]
        drawn.append(Row(headings, panels))
    return composed(drawn, columns)


def _shrunk(original: Original, panels: int) -> Original:
    """The picture as it is shown: smaller if so many panels would make a sheet too large."""
    height, width = original.size
    scale = math.sqrt(LARGEST_SHEET / (panels * height * width))
    if scale >= 1:
        return original
    size = max(round(height * scale), 1), max(round(width * scale), 1)
    return original._replace(pixels=fit(original.pixels, size))


def _told(
    original: Original,
    shown: Original,
    probabilities: np.ndarray,
    names: Sequence[str],
    label: int | None,
) -> list[str]:
    """What is said below the picture."""
    (height, width), order = original.size, np.argsort(-probabilities, kind="stable")
    size = f"{width:,} × {height:,} pixels"
    if shown.size < original.size:
        size += f", shown at {shown.size[1]:,} × {shown.size[0]:,}"
    said = [f"{fonts.drawable(plain_name(original.name, LONGEST_NAME))}: {size}"]
    if label is not None:
        said.append(f"labelled {names[label]}")
    likely = [f"{names[number]} {_percent(probabilities[number])}" for number in order[:2]]
    return [*said, f"the network sees {', then '.join(likely)}"]


def _outlined(shown: Original, found: "Explanation") -> np.ndarray:
    """The picture, with a line around what the network saw of it if it did not see all."""
    pixels = np.array(eight_bits(shown.pixels.astype(np.float32) / 255))
    height, width = shown.size
    if shown.fit == "crop":
        (rows, columns), _ = seen(shown.size, found.image.shape[1:3])
        thick = width // 300 + 1
        if rows.start > thick or height - rows.stop > thick:
            pixels[rows.start - thick : rows.start] = OUTLINE
            pixels[rows.stop : rows.stop + thick] = OUTLINE
        if columns.start > thick or width - columns.stop > thick:
            pixels[:, columns.start - thick : columns.start] = OUTLINE
            pixels[:, columns.stop : columns.stop + thick] = OUTLINE
    return pixels


def _answer(shown: Original, original: Original, found: "Explanation") -> list[Panel]:
    """The changed picture, and the change."""
    difference, rmse = found.difference[0], float(found.rmse[0])
    limit = SPREAD * max(float(np.max(found.rho)), rmse)
    before, after = found.confidence_before[0], found.confidence_after[0]
    changed = eight_bits(overlay.changed(shown, difference))
    captions = [f"change of RMSE {rmse:.3g}: {_levels(rmse, 255)} of 255 grey levels"]
    if original.levels != 255:
        levels = f"{_levels(rmse, original.levels)} of the file's {original.levels:,}"
        captions[0] += f", {levels}"
    if found.falls_short[0]:
        captions.append("FALLS SHORT of its size: the gradient vanished, and it tells little")
    lost = overlay.share_on_margins(original, difference)
    if lost > MARGIN_WORTH_A_WORD:
        captions.append(f"{lost:.0%} of the change is on the margins, outside the picture")
    colours = eight_bits(overlay.change(shown, difference, limit))
    return [
        Panel(changed, [f"the picture with it: {_percent(before)} → {_percent(after)}"]),
        Panel(colours, captions, _scale(original, limit)),
    ]


def _map(
    shown: Original, original: Original, found: "Explanation | None", names: Sequence[str]
) -> Panel:
    """What a method says that does not ask for a size."""
    picture = shown.pixels.astype(np.float32) / 255
    if found is None:
        return Panel(eight_bits(np.full_like(picture, 0.5)), ["not for this network"])
    name = names[int(found.target[0])]
    if found.changes_images:
        limit = SPREAD * max(float(found.rmse[0]), 1e-12)
        said = f"becomes {name} by RMSE {found.rmse[0]:.3g}" if found.reached[0] else "NOT REACHED"
        return Panel(
            eight_bits(overlay.change(shown, found.difference[0], limit)),
            [said],
            _scale(original, limit),
        )
    spread = spread_back(found.map[0][..., None], shown.size, shown.fit)[..., 0]
    # The interpolation may overshoot, and a map without negative values must stay so.
    spread = np.clip(spread, found.map.min(), found.map.max())
    said = "red speaks for it, blue against it" if found.map.min() < 0 else "bright is important"
    said = said if found.map.any() else "no evidence"
    return Panel(eight_bits(heat(spread, picture)), [f"for {name}: {said}"])


def _scale(original: Original, limit: float) -> Scale:
    """The scale of a change, in grey levels of the file."""
    channels, levels = original.pixels.shape[2], original.levels
    kind = "grey levels" if channels == 1 else "levels of each colour"
    way = "blue darker, red brighter" if channels == 1 else "dark less, bright more"
    return Scale(
        overlay.scale_bar(1, 256, channels), _levels(limit, levels), f"{kind} of {levels:,}; {way}"
    )


def _levels(share: float, levels: int) -> str:
    """A change in grey levels; with a digit behind the point where there are few."""
    number = share * levels
    return f"{number:.1f}" if number < 10 else f"{number:,.0f}"


def _percent(share: float) -> str:
    """A probability, which never rounds to certainty."""
    if 0.9995 <= share < 1:
        return "above 99.9 %"
    return f"{100 * share:.1f} %"
