"""The model card: what a network is, how it was measured, and what it must not be used for."""

import dataclasses
import datetime
import html
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfrobust.core.loading import CARD_FILE
from tfrobust.core.provenance import versions
from tfrobust.datasets.names import Fit
from tfrobust.exporting.parity import Parity

MARKDOWN_FILE = "MODEL_CARD.md"
PICTURE_FILE = "explanations.png"
NOT_MEASURED = "not measured"

INTENDED_USE = (
    "It classifies images like those that it was trained on into the classes listed. It explains "
    "a classification by an image that would make the network surer of a class, or less sure. It "
    "is made for research into robustness, and as the start of a product that is validated anew "
    "for its own task and data."
)
# What Markdown, or HTML inside it, would take for more than text.
MARKUP = re.compile(r"[\\`*|]|\](?=[(\[])")

LABELS_USE = (
    "It says of images like those that it was trained on which of the labels listed hold: those "
    "whose probability is above the threshold. It explains a decision by an image that would make "
    "the network surer of a label, or less sure. It is made for research into robustness, and as "
    "the start of a product that is validated anew for its own task and data."
)
ONE_CLASS = "Every image gets one of the classes, even if it shows none of them."
NO_LABEL = (
    "What no label names is not seen: that no label holds does not mean that nothing is there."
)
TEMPERATURE = (
    "Logits are divided by the temperature {:.4g} before they become probabilities, and so for the "
    "confidences of explanations. Decisions and explanations are those of the logits themselves."
)
LIMITS = (
    "Robustness was measured with the attacks named and on the images counted. A stronger attack "
    "may find smaller perturbations, so the areas are upper bounds. It was measured against small "
    "perturbations (RMSE), not against rotation, blur, occlusion or another camera.",
    "An explanation shows what moves this network, not what is true of the thing in the picture. "
    "Where its RMSE stays well below rho, the gradients vanished and it says little.",
    "It must not decide about people's health, safety or rights unless it was validated on data "
    "from the place of use and a person answers for its decisions.",
)


def build(
    *,
    name: str,
    input_shape: Sequence[int | None],
    class_names: Sequence[str],
    task: str,
    thresholds: Sequence[float] | None,
    temperature: float | None,
    signatures: Mapping[str, Any],
    left_out: Mapping[str, str],
    parity: Parity,
    provenance: str | None,
    recipe: Mapping[str, Any] | None,
    figures: Mapping[str, Any] | None,
    bits: int | None,
    fit: Fit,
) -> dict[str, Any]:
    """Collects all that the card says, except the version.

    Args:
        name: the model's name.
        input_shape: (None, H, W, C).
        class_names: K names.
        task: "multi-class", "binary" or "multi-label".
        thresholds: for each of several labels the probability above which it holds.
        temperature: by which logits are divided before they become probabilities; None for 1,
            where nobody fitted one.
        signatures: the signature's name → "inputs" or "outputs" → name → "dtype" and "shape".
        left_out: the file of a form that is missing → why.
        parity: how far the network's forms are apart.
        provenance: which images it was trained on, where they are from and under which licence.
        recipe: how it was trained.
        figures: what was measured of it.
        bits: how many bits of each sample of 16-bit files carry the picture; None if not told.
        fit: how pictures are brought to the input's size.

    Returns:
        The card, made of JSON's own types.
    """
    return plain(
        {
            "name": name,
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "packages": versions(),
            "input": {
                "name": "images",
                "dtype": "float32",
                "shape": input_shape,
                "range": [0, 1],
                "layout": "batch, height, width, channels; normalised inside the network",
                "bits": bits,
                "fit": fit,
            },
            "task": task,
            "classes": class_names,
            "thresholds": thresholds,
            "temperature": temperature,
            "signatures": signatures,
            "left_out": left_out,
            "provenance": provenance or "not told",
            "recipe": recipe,
            "figures": figures or NOT_MEASURED,
            "parity": dataclasses.asdict(parity),
            "intended_use": INTENDED_USE if thresholds is None else LABELS_USE,
            "limits": (ONE_CLASS if thresholds is None else NO_LABEL, *LIMITS),
        }
    )


def file_bytes(folder: Path) -> dict[str, int]:
    """The sizes of a version's files in bytes, without the card's own files."""
    return {
        str(path.relative_to(folder)): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in (CARD_FILE, MARKDOWN_FILE)
    }


def write(folder: Path, card: Mapping[str, Any], *, version: int) -> None:
    """Writes model_card.json and MODEL_CARD.md.

    Args:
        folder: the version's folder.
        card: what `build` gave, and `file_bytes`.
        version: the version's number.
    """
    card = {"name": card["name"], "version": version, **card}
    text = json.dumps(card, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / CARD_FILE).write_text(text + "\n", encoding="utf-8")
    (folder / MARKDOWN_FILE).write_text(render(card), encoding="utf-8")


def render(card: Mapping[str, Any]) -> str:
    """The card as Markdown."""
    shape = ", ".join("B" if size is None else str(size) for size in card["input"]["shape"])
    measured = card["figures"]
    left_out = card.get("left_out", {})  # version 0.1 wrote all forms or none
    thresholds = card.get("thresholds")
    parts = [
        f"# {_text(card['name'])}, version {card['version']}",
        f"Exported {card['date']} by tfrobust {card['packages'].get('tfrobust', '')}.",
        "## Use",
        card["intended_use"],
        "## Limits",
        _bullets(card["limits"]),
        "## Input",
        f"`images`: {card['input']['dtype']} ({shape}), pixels from 0 to 1, channels last; the "
        "network normalises them itself.",
        *([_reading(card["input"])] if "fit" in card["input"] else []),
        "## Classes" if thresholds is None else "## Labels, and the probability each holds above",
        ", ".join(
            f"{number} {_text(name)}"
            + ("" if thresholds is None else f" ({thresholds[number]:.3g})")
            for number, name in enumerate(card["classes"])
        ),
        *(
            ["## Probabilities", TEMPERATURE.format(told)]
            if (told := card.get("temperature"))
            else []
        ),
        "## Measured",
        _table(measured) if isinstance(measured, Mapping) else f"{measured.capitalize()}.",
        *(
            ["## Explanations", f"![test images, and explanations]({PICTURE_FILE})"]
            if PICTURE_FILE in card["file_bytes"]
            else []
        ),
        "## Training",
        f"Images: {_text(card['provenance'])}.".replace("..", "."),
        _table(card["recipe"]) if card["recipe"] else "Recipe: not told.",
        "## Signatures",
        *(_signature(name, spec) for name, spec in card["signatures"].items()),
        *(
            ["## Left out", _bullets([f"`{file}`: {why}" for file, why in left_out.items()])]
            if left_out
            else []
        ),
        "## Do its forms agree?",
        "The largest absolute differences of logits from the Keras network's, and the largest "
        "distances between explanations (RMSE). The tolerance is for the logits.",
        _table(card["parity"]),
        "## Files (bytes)",
        _table(card["file_bytes"]),
        "## Packages",
        _table(card["packages"]),
    ]
    return "\n\n".join(parts) + "\n"


def plain(value: Any) -> Any:
    """Turns a value into JSON's own types.

    NumPy's numbers and arrays become Python's. Numbers that are not finite become words.

    Raises:
        TypeError: JSON has no type for a value.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(dataclasses.asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"a card cannot hold {value!r}")


def _reading(told: Mapping[str, Any]) -> str:
    """How pictures become the input."""
    how = "kept whole between margins" if told["fit"] == "letterbox" else "cut to their middle"
    bits = f"; of 16-bit samples {told['bits']} bits count" if told["bits"] else ""
    return f"Pictures of other proportions are {how}{bits}."


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(rows: Mapping[str, Any]) -> str:
    lines = ["| | |", "|---|---|"]
    lines += [f"| {_text(key)} | {_cell(value)} |" for key, value in rows.items()]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return "; ".join(f"{_text(key)}: {_cell(entry)}" for key, entry in value.items())
    if isinstance(value, list):
        return ", ".join(_cell(entry) for entry in value)
    return _text(value)


def _text(value: Any) -> str:
    """A name or a value as one line of text: whoever chose it cannot put markup into the card."""
    line = " ".join(str(value).split("\n"))
    return MARKUP.sub(r"\\\g<0>", html.escape(line, quote=False))


def _signature(name: str, spec: Mapping[str, Any]) -> str:
    def listed(tensors: Mapping[str, Any]) -> str:
        return ", ".join(
            f"`{key}` {tensor['dtype']} "
            f"({', '.join('B' if size is None else str(size) for size in tensor['shape'])})"
            for key, tensor in tensors.items()
        )

    return f"`{name}`: {listed(spec['inputs'])} → {listed(spec['outputs'])}"
