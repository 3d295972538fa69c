"""The flags that say which network, and what it is: all that the library can be told."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from absl import flags

from tfrobust.cli import network, reading
from tfrobust.cli.evaluate import default_folder
from tfrobust.core.door import as_classifier
from tfrobust.errors import InputError

IMAGES = np.random.default_rng(0).random((3, 4, 4, 1), np.float32)


@pytest.fixture
def sigmoids(tmp_path: Path) -> keras.Model:
    """Three labels that may hold together, of pixels from 0 to 255."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3, "sigmoid")]
    )
    model.save(tmp_path / "x.keras")
    return model


def parsed(*words: str) -> flags.FlagValues:
    values = flags.FlagValues()
    network.define(values)
    values(["program", *words])
    return values


def test_all_that_is_said_arrives(sigmoids: keras.Model, tmp_path: Path) -> None:
    words = ("--input_range=0,255", "--network_output=sigmoid", "--label=1")
    values = parsed(f"--model={tmp_path / 'x.keras'}", *words)
    network.check(values)
    found = network.read(values)
    said = as_classifier(sigmoids, input_range=(0, 255), output="sigmoid", label=1)
    assert (found.input_range, found.task) == ((0, 255), "binary")
    np.testing.assert_allclose(found(IMAGES), said(IMAGES), rtol=1e-5)
    assert network.class_names(values) is None


def test_what_nobody_says_is_read(sigmoids: keras.Model, tmp_path: Path) -> None:
    found = network.read(parsed(f"--model={tmp_path / 'x.keras'}"))
    assert (found.task, found.num_classes) == ("multi-label", 3)


def test_another_split_than_the_trainings_is_told(sigmoids: keras.Model, tmp_path: Path) -> None:
    data = {"name": "folder:x", "labels": "x.csv", "group": "none"}
    card = {"classes": ["a", "b"], "recipe": {"data": data}}
    (tmp_path / "model_card.json").write_text(json.dumps(card))

    def told(dataset: str, **said: object) -> list[str]:
        values = parsed(f"--model={tmp_path / 'x.keras'}")
        flags.DEFINE_string("dataset", dataset, "", flag_values=values)
        for name in network.OF_DATA:
            flags.DEFINE_string(name, said.get(name), "", flag_values=values)
        values.mark_as_parsed()
        return network.notes(values)

    labels, group = told("folder:x", labels="y.csv")
    assert "trained with --group none, and this command has no --group:" in group
    assert "trained with --labels x.csv, and this command has --labels y.csv:" in labels
    assert not told("folder:x", group="none", labels="x.csv")
    assert not told("folder:y")
    # A card of version 0.1, and none at all.
    (tmp_path / "model_card.json").write_text('{"classes": [], "recipe": {"dataset": "folder:x"}}')
    assert not told("folder:x")
    (tmp_path / "model_card.json").unlink()
    assert not told("folder:x")


def test_pictures_are_read_as_the_card_says(sigmoids: keras.Model, tmp_path: Path) -> None:
    def settled(told: dict, *words: str, dataset: str | None = None) -> tuple:
        card = {"classes": ["a", "b"], **told}
        (tmp_path / "model_card.json").write_text(json.dumps(card))
        values = flags.FlagValues()
        network.define(values)
        reading.define(values)
        values(["program", f"--model={tmp_path / 'x.keras'}", *words])
        notes = reading.settle(values, dataset)
        return values.fit, values.bits, values.frame, notes

    told = {"recipe": {"data": {"name": "folder:x", "fit": "letterbox", "bits": 12, "frame": 3}}}
    assert settled(told) == ("letterbox", 12, 3, [])
    assert settled(told, dataset="folder:y") == ("letterbox", 12, 3, [])
    # Sets of TensorFlow Datasets are read in one way.
    assert settled(told, dataset="mnist") == ("crop", None, None, [])
    fit, bits, frame, (note,) = settled(told, "--fit=crop", "--bits=12")
    assert (fit, bits, frame) == ("crop", 12, 3)
    assert "read with --fit letterbox, and this command has --fit crop" in note
    # What the export was told goes before the recipe.
    told["input"] = {"fit": "crop", "bits": None}
    assert settled(told) == ("crop", None, 3, [])
    assert settled({}, "--bits=10") == ("crop", 10, None, [])
    with pytest.raises(InputError, match="say a bits that there is, got 40; give --bits"):
        settled({"input": {"bits": 40}})


def test_each_network_has_a_folder_of_its_own() -> None:
    models = ("a/x.keras", "a/x.onnx", "b/x.keras", "python:a:x", "python:a.x:keras")
    folders = [default_folder(model, "folder:/data/x") for model in models]
    assert len(set(folders)) == len(models)
    assert folders[0] == Path("runs/evaluate-a-x.keras-folder--data-x")
