"""Predictions of files: what each row says, what is refused, and what survives an interruption."""

import csv
import io
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from dicom_files import dicom
from PIL import Image

from tfrobust.core.classifier import Classifier
from tfrobust.core.door import as_classifier, as_labels
from tfrobust.datasets.folder import Reading
from tfrobust.runs import file_predictions as predictions
from tfrobust.runs.file_predictions import AnotherPrediction, predict_files
from tfrobust.runs.prediction_table import FORMULA, FilePrediction, Rule, to_csv

SIDE = 4


@pytest.fixture(scope="module")
def network() -> Classifier:
    """A linear network of three classes, whose distances are known."""
    inputs = keras.Input((SIDE, SIDE, 1))
    network = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(inputs)))
    rng = np.random.default_rng(0)
    network.set_weights([rng.normal(size=(SIDE * SIDE, 3)), np.zeros(3)])
    return as_classifier(network)


@pytest.fixture
def files(tmp_path: Path) -> list[tuple[str, Path | None]]:
    """A PNG, a 12-bit DICOM file of the same levels, a broken PNG, a missing one, and 5 more."""
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (SIDE, SIDE), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    deep = np.rint(pixels.astype(np.uint32) * 4095 / 255).astype(np.uint16)
    (tmp_path / "b.dcm").write_bytes(dicom(deep, bits=12))
    (tmp_path / "c.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    for number in range(5):
        Image.fromarray(rng.integers(0, 256, (SIDE, 2 * SIDE), np.uint8)).save(
            tmp_path / f"{number}.png"
        )
    names = ["a.png", "b.dcm", "c.png", *(f"{number}.png" for number in range(5))]
    return [*((name, tmp_path / name) for name in names), ("gone.png", None)]


def predicted(
    network: Classifier, files: list[tuple[str, Path | None]], kept: Path, **options: Any
) -> list[FilePrediction]:
    reading = Reading(fit=options.pop("fit", "crop"))
    return predict_files(
        network, files, reading, kept=kept, **{"distance": False, "question": {}, **options}
    )


def test_rows_and_distances(
    network: Classifier, files: list[tuple[str, Path | None]], tmp_path: Path
) -> None:
    rows = predicted(network, files, tmp_path / "kept", distance=True)
    assert [row.file for row in rows] == [name for name, _ in files]
    assert "without pixels" in rows[2].problem and rows[-1].problem == predictions.MISSING
    assert [bool(row.problem) for row in rows].count(True) == 2
    pixels = np.asarray(Image.open(tmp_path / "a.png"), np.float64)[None, ..., None] / 255
    weights, bias = network.network.get_weights()
    logits = pixels.reshape(1, -1) @ weights + bias
    shares = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(rows[0].probabilities, shares[0], rtol=1e-5)
    assert rows[0].decided == (shares.argmax(),)
    # The nearest of the linear network's other decisions, as RMSE.
    best = logits[0].argmax()
    others = [one for one in range(3) if one != best]
    nearest = min(
        (logits[0, best] - logits[0, one]) / np.linalg.norm(weights[:, best] - weights[:, one])
        for one in others
    )
    np.testing.assert_allclose(rows[0].distance, nearest / SIDE, rtol=0.02)
    # 12 bits of a DICOM file are the same levels but for rounding, of at most half a level each.
    np.testing.assert_allclose(rows[1].probabilities, rows[0].probabilities, atol=0.02)
    # Files of other proportions are read as told.
    other = predicted(network, files, tmp_path / "other", fit="letterbox")
    assert other[3].probabilities != rows[3].probabilities
    assert other[0].probabilities == rows[0].probabilities


def test_labels_are_decided_at_their_thresholds_and_the_nearest_flip_is_told(
    network: Classifier, files: list[tuple[str, Path | None]], tmp_path: Path
) -> None:
    thresholds, temperature = (0.5, 0.2, 0.9), 1.6
    several = as_labels(network.network, output="logits", thresholds=thresholds)
    options = {"distance": True, "temperature": temperature}
    rows = predicted(several, files, tmp_path / "kept", **options)
    assert predicted(several, files, tmp_path / "kept", **options) == rows  # now from the disk
    pixels = np.asarray(Image.open(tmp_path / "a.png"), np.float64).ravel() / 255
    weights, _ = network.network.get_weights()
    logits, planes = pixels @ weights, np.log(np.array(thresholds) / (1 - np.array(thresholds)))
    np.testing.assert_allclose(
        rows[0].probabilities, 1 / (1 + np.exp(-logits / temperature)), rtol=1e-5
    )
    holds = tuple(np.flatnonzero(logits > planes))
    assert rows[0].decided == holds and 0 < len(holds) < 3
    away = np.abs(logits - planes) / np.linalg.norm(weights, axis=0) / SIDE
    np.testing.assert_allclose(rows[0].distance, away.min(), rtol=0.02)
    assert rows[0].nearest == away.argmin()
    shown = 1 / (1 + np.exp(-planes / temperature))
    assert rows[0].margin == pytest.approx(2 * np.abs(rows[0].probabilities - shown).min())
    names = ["a", "b", "b"]  # two of one name
    table = list(csv.DictReader(io.StringIO(to_csv(rows, names, Rule(), several=True))))
    apart = ["a", "b (1)", "b (2)"]
    assert table[0]["labels"] == "; ".join(apart[number] for number in holds)
    assert table[0]["nearest label"] == apart[away.argmin()]
    for name, share in zip(apart, rows[0].probabilities, strict=True):
        assert float(table[0][f"probability of {name}"]) == pytest.approx(share, abs=1e-6)
    assert table[-1]["labels"] == table[-1]["nearest label"] == ""
    with pytest.raises(AnotherPrediction):  # of other thresholds
        predicted(as_labels(network.network, output="logits"), files, tmp_path / "kept", **options)


def test_an_interruption_loses_no_finished_row(
    network: Classifier,
    files: list[tuple[str, Path | None]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = predicted(network, files, tmp_path / "whole")
    kept, asked = tmp_path / "kept", []
    read, monkeypatched = predictions.read, predictions.batch_size_of
    monkeypatch.setattr(predictions, "batch_size_of", lambda count, values: 2)

    def interrupted(path: Path, *arguments: Any, **options: Any) -> np.ndarray:
        asked.append(path.name)
        if path.name == "2.png":
            raise KeyboardInterrupt
        return read(path, *arguments, **options)

    monkeypatch.setattr(predictions, "read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        predicted(network, files, kept)
    # A process that is killed may leave half a line.
    torn = kept.read_bytes() + b'{"file": "1.p'
    kept.write_bytes(torn)
    assert torn.count(b"\n") == 1 + 4
    monkeypatch.setattr(predictions, "read", read)
    again: list[str] = []
    monkeypatch.setattr(
        predictions,
        "read",
        lambda path, *rest, **options: again.append(path.name) or read(path, *rest, **options),
    )
    rows = predicted(network, files, kept)
    assert sorted(again) == ["1.png", "2.png", "3.png", "4.png"]
    assert [row.file for row in rows] == [row.file for row in whole]
    for row, one in zip(rows, whole, strict=True):
        np.testing.assert_allclose(row.probabilities, one.probabilities, rtol=1e-5)
    assert monkeypatched(9, 16) == 9
    # A line may be damaged where a disk was full.
    lines = kept.read_bytes().splitlines(keepends=True)
    kept.write_bytes(b"".join([*lines[:4], b"\0\0\n", *lines[5:]]))
    assert predicted(network, files, kept) == rows
    # Nothing is asked about again.
    again.clear()
    assert predicted(network, files, kept) == rows and not again
    with pytest.raises(AnotherPrediction, match="of another network, other files"):
        predicted(network, files, kept, question={"network": "another"})
    (tmp_path / "0.png").write_bytes((tmp_path / "1.png").read_bytes())
    with pytest.raises(AnotherPrediction):
        predicted(network, files, kept)


def test_a_table_holds_no_formula() -> None:
    names = ["=HYPERLINK(0)", "b, c"]
    rows = [
        FilePrediction("=1+1.png", "", (0.55, 0.45), 0.001),
        FilePrediction("-2.png", "", (0.1, 0.9), 0.5),
        FilePrediction("@x.png", "=damaged", ()),
        FilePrediction("plain.png", "", (0.99, 0.01), None),
    ]
    table = list(csv.reader(io.StringIO(to_csv(rows, names, Rule()))))
    assert table[0] == [
        "file",
        "class",
        "probability of =HYPERLINK(0)",
        "probability of b, c",
        "distance",
        "flagged",
        "problem",
    ]
    assert table[1][:2] == ["'=1+1.png", "'=HYPERLINK(0)"]
    assert table[1][4:6] == ["0.00100", "margin below 0.2; distance below 0.02"]
    assert table[2] == ["'-2.png", "b, c", "0.100000", "0.900000", "0.50000", "", ""]
    assert table[3] == ["'@x.png", "", "", "", "", "", "'=damaged"]
    assert table[4][4:] == ["", "", ""]
    assert not any(cell.startswith(FORMULA) for row in table for cell in row)


def test_answers_that_are_no_numbers_are_told(
    files: list[tuple[str, Path | None]], tmp_path: Path
) -> None:
    """A network is tried on the first and the last picture; a white one lies between them."""
    white = tmp_path / "white.png"
    Image.fromarray(np.full((SIDE, SIDE), 255, np.uint8)).save(white)
    inputs = keras.Input((SIDE, SIDE, 1))
    network = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(inputs)))
    network.set_weights([np.full((SIDE * SIDE, 2), 2.5e37), np.zeros(2)])  # at most 3.4e38
    asked = [files[0], ("white.png", white), files[3]]
    rows = predicted(as_classifier(network), asked, tmp_path / "kept")
    assert [row.problem for row in rows] == ["", predictions.NO_ANSWER, ""]
    assert rows[2].probabilities == (0.5, 0.5)
