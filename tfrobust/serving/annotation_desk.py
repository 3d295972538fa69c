"""The pictures that a person marks, with what the network says of them, and the marks' files."""

import base64
import contextlib
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from tfrobust.core.classifier import Classifier
from tfrobust.datasets import annotations
from tfrobust.datasets.annotations import Annotation
from tfrobust.errors import InputError
from tfrobust.explanations.base import Method
from tfrobust.explanations.overviews import by_methods

LONGEST_WHO = 200


class Desk:
    """Pictures to mark.

    Args:
        network: what explains them; it sees classes, or one label of several. Confidences are
            told at its temperature.
        images: float (N, H, W, C) in [0, 1], N at least 1, grey or colour.
        names: of the pictures.
        class_names: of the network.
        methods: whose maps are shown.
        folder: where marks are kept.
        told: what tells which network it is, in JSON types.
        target: the class that is explained; −1 for the predicted one.
    """

    def __init__(
        self,
        network: Classifier,
        images: np.ndarray,
        names: Sequence[str],
        class_names: Sequence[str],
        methods: Sequence[Method],
        folder: Path,
        told: dict[str, Any],
        target: int = -1,
    ) -> None:
        self._network, self._methods, self._folder, self._told = network, methods, folder, told
        self._names, self._class_names, self._target = list(names), list(class_names), target
        # What is marked, explained and kept is one and the same picture, of 8 bits.
        self._images = np.rint(255 * np.asarray(images)).astype(np.uint8)
        self._explained: dict[int, dict[str, Any]] = {}
        self._busy = threading.Lock()

    def __len__(self) -> int:
        return len(self._names)

    @property
    def mask_values(self) -> int:
        """How many values the marks of a picture have."""
        return int(np.prod(self._images.shape[1:3]))

    def listed(self) -> list[dict[str, Any]]:
        """Name of each picture, and whether it is marked."""
        return [
            {"name": name, "marked": self._kept(number) is not None}
            for number, name in enumerate(self._names)
        ]

    def shown(self, number: int) -> dict[str, Any]:
        """A picture, its explanations and its marks so far, in JSON types."""
        kept = self._kept(number)
        marks = None if kept is None else base64.b64encode(kept.marks.tobytes()).decode()
        return {
            "name": self._names[number],
            "image": _png(self._images[number]),
            "height": self._images.shape[1],
            "width": self._images.shape[2],
            "marks": marks,
            "who": kept.who if kept else None,
            "when": kept.when if kept else None,
            **self._answer(number),
        }

    def keep(self, number: int, who: str, marks: bytes) -> Path | None:
        """Writes the marks of a picture. Where nothing is marked any more, takes them away.

        Args:
            number: of the picture.
            who: who marked it.
            marks: H·W bytes of `annotations.EVIDENCE`, `NO_EVIDENCE` and `UNMARKED`.

        Returns:
            The path of the JSON file; None where marks were taken away.

        Raises:
            InputError: nobody is named, the marks are of another size or of other values, or
                nothing is marked and nothing was.
        """
        if len(marks) != self.mask_values:
            raise InputError(f"expected marks of {self.mask_values} bytes, got {len(marks)}")
        picture = self._folder, self._names[number], self._images[number]
        if not any(marks) and annotations.remove(*picture):
            return None
        who = " ".join(who.split())
        if not who or len(who) > LONGEST_WHO:
            raise InputError(f"expected who marks the picture, in at most {LONGEST_WHO} letters")
        answer = self._answer(number)
        annotation = Annotation(
            image=self._images[number],
            marks=np.frombuffer(marks, np.uint8).reshape(self._images.shape[1:3]),
            name=self._names[number],
            who=who,
            when=datetime.now(UTC).isoformat(timespec="seconds"),
            network=self._told,
            told={
                "class": answer["class"],
                "explained": answer["explained"],
                "confidence": answer["confidence"],
                "methods": [map_["method"] for map_ in answer["maps"]],
            },
        )
        return annotations.write(self._folder, annotation)

    def _kept(self, number: int) -> Annotation | None:
        """The marks of a picture, if there are any that can be read."""
        path = annotations.path_of(self._folder, self._names[number], self._images[number])
        with contextlib.suppress(InputError):  # what is damaged is marked anew
            return annotations.read(path) if path.is_file() else None
        return None

    def _answer(self, number: int) -> dict[str, Any]:
        with self._busy:  # one explanation at a time
            if number not in self._explained:
                self._explained[number] = self._explain(number)
            return self._explained[number]

    def _explain(self, number: int) -> dict[str, Any]:
        image = self._images[number : number + 1].astype(np.float32) / 255
        logits = np.asarray(self._network(image))
        shown = np.asarray(self._network.shown(logits))[0].astype(np.float64)
        shares = np.exp(shown - shown.max())
        predicted = int(logits.argmax())
        explained = predicted if self._target < 0 else self._target
        found = by_methods(self._methods, self._network, image, np.array([explained]))
        return {
            "class": self._class_names[predicted],
            "explained": self._class_names[explained],
            "confidence": float(shares[predicted] / shares.sum()),
            "maps": [
                {"method": name, "map": _png(_signed(one.map[0]))}
                for name, one in found.items()
                if one is not None
            ],
        }


def _signed(values: np.ndarray) -> np.ndarray:
    """A map (H, W) as uint8 (H, W, 1): 128 is nothing, 255 the most for, 1 the most against."""
    largest = float(np.abs(values).max()) or 1.0
    return np.rint(128 + 127 * values / largest).astype(np.uint8)[..., None]


def _png(pixels: np.ndarray) -> str:
    return base64.b64encode(annotations.png(pixels)).decode()
