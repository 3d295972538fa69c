"""The networks that come with the package: by name, offline, and as their cards say."""

import json
from pathlib import Path

import numpy as np
import pytest

import tfrobust
from tfrobust import datasets
from tfrobust.core import shipped
from tfrobust.errors import InputError
from tfrobust.exporting import parity

CIFAR = Path(__file__).resolve().parents[3] / "shared" / "tfds"


def source(name: str) -> datasets.DataSource:
    if name == "cifar10" and not CIFAR.is_dir():
        pytest.skip(f"the images that the card is about are not at {CIFAR}")
    if name == "cifar10":
        return datasets.load(name, data_dir=str(CIFAR))
    return datasets.load("fashion_mnist_mini")


def test_a_name_finds_its_first_version(
    version: Path, images, network, monkeypatch, tmp_path
) -> None:
    folder = tmp_path / "saved_models" / "mine"
    folder.mkdir(parents=True)
    (folder / "1").symlink_to(version)
    monkeypatch.setattr(shipped, "FOLDERS", (tmp_path / "nowhere", tmp_path / "saved_models"))
    loaded = tfrobust.load("mine")
    np.testing.assert_allclose(loaded(images[:2]), network(images[:2]), atol=1e-5)
    by_path = tfrobust.load(tmp_path / "saved_models" / "mine")
    np.testing.assert_array_equal(by_path(images[:2]), loaded(images[:2]))
    with pytest.raises(InputError, match=r"with the package \(mine\); there is nothing at yours"):
        tfrobust.load("yours")
    assert shipped.find("mine") == folder / "1"
    # What lies at the path goes before what is shipped under that name.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    assert shipped.find("mine") == Path("mine")


NAMES = sorted(shipped.networks())


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_network_was_exported_by_this_version(name: str) -> None:
    """Else its graphs are those of an older decoder or explainer: run `make reexport`."""
    card = json.loads((shipped.networks()[name] / "model_card.json").read_text())
    assert card["packages"]["tfrobust"] == tfrobust.__version__
    assert not card.get("left_out")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_network_is_what_its_card_says(name: str) -> None:
    folder = shipped.networks()[name]
    card = json.loads((folder / "model_card.json").read_text())
    data = source(name)
    network = tfrobust.load(name)
    report = tfrobust.evaluate(network, *data.test_arrays(200), preset="standard", progress=False)
    told = card["figures"]
    # 200 of the card's images: their own interval must hold the card's figure.
    for found, said in ((report.attack_ara, told["attack ARA"]), (report.btr_ara, told["BTR ARA"])):
        assert found.low <= said["value"] <= found.high
    # Three standard deviations of a share of 200.
    assert report.clean_accuracy == pytest.approx(told["clean accuracy"], abs=0.1)
    parity.check(network, folder, class_names=card["classes"], images=data.test_arrays(32)[0])
