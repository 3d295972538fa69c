"""The flag --thresholds: what it takes, and of which network."""

import copy
import json
from pathlib import Path

import keras
import pytest

from tfrobust.cli import predict, thresholds
from tfrobust.cli.network import read
from tfrobust.errors import InputError

NAMES = ("ill", "a=b", "2")


def test_names_numbers_and_a_file(tmp_path: Path) -> None:
    given = thresholds.read(["ill=.25", "1=.75"])
    assert thresholds.settled(given, NAMES, (0.5, 0.5, 0.5)) == (0.25, 0.75, 0.5)
    path = tmp_path / "kept.json"
    path.write_text(json.dumps({"a=b": 0.1, "2": 0.2}))
    given = thresholds.read([str(path)])
    assert thresholds.settled(given, NAMES, (0.5, 0.5, 0.5)) == (0.5, 0.1, 0.2)
    # Without names there are numbers.
    assert thresholds.settled({"0": 0.3}, None, (0.5, 0.5)) == (0.3, 0.5)


@pytest.mark.parametrize("words", [["ill=1"], ["ill=x"], ["=.5"], ["ill=.5", "ill=.6"], ["none"]])
def test_what_is_none_is_refused(words: list[str]) -> None:
    with pytest.raises(InputError, match="expected --thresholds as NAME=PROBABILITY"):
        thresholds.read(words)


def test_a_label_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="of ill, a=b, 2, got one of well"):
        thresholds.settled({"well": 0.5}, NAMES, (0.5, 0.5, 0.5))


def flags(*words: str) -> object:
    values = copy.deepcopy(predict.FLAGS)
    values(["predict", "--image", "x.png", *words])
    return values


def test_the_network_has_them_below_its_temperature(tmp_path: Path) -> None:
    layers = [keras.layers.Flatten(), keras.layers.Dense(3, activation="sigmoid")]
    keras.Sequential([keras.Input((4, 4, 1)), *layers]).save(tmp_path / "network.keras")
    path = f"--model={tmp_path}"
    assert read(flags(path, "--thresholds=1=.2")).thresholds == pytest.approx((0.5, 0.2, 0.5))
    card = {"classes": NAMES, "temperature": 2.0}
    (tmp_path / "model_card.json").write_text(json.dumps(card))
    # sigmoid(z / 2) is above one fifth where sigmoid(z) is above one seventeenth.
    found = read(flags(path, "--thresholds=ill=.2")).thresholds
    assert found == pytest.approx((1 / 17, 0.5, 0.5))
    one = read(flags(path, "--thresholds=ill=.2", "--label=0"))
    assert one.task == "binary"
    keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]).save(
        tmp_path / "network.keras"
    )
    with pytest.raises(InputError, match="--thresholds goes with a network of several labels"):
        read(flags(path, "--thresholds=ill=.2"))
