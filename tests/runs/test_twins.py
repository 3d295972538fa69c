"""The kept measurements of plain twins still fit what runs are compared by."""

import numpy as np
import pytest

from tfrobust import datasets
from tfrobust.core.provenance import image_hash
from tfrobust.robustness import AraReport
from tfrobust.robustness.presets import preset_attacks
from tfrobust.runs import measurement, recipes

TWINS = sorted(measurement.TWINS.glob("*.json"))


@pytest.mark.parametrize("path", TWINS, ids=lambda path: path.stem)
def test_a_run_of_the_default_recipe_finds_its_twin(path) -> None:
    config = recipes.RECIPES[path.stem]()
    twin = AraReport.from_json(path)
    source = datasets.load(config.data.name)
    images, labels = source.test_arrays(twin.images)
    assert twin.image_hash == image_hash(images, labels)
    names = {
        attack.name for attack in preset_attacks(config.measure.preset, images[:100], bounds=None)
    }
    assert names <= set(twin.attack_names)
    assert config.measure.images <= twin.images
    assert np.isfinite(twin.attack_rmse).all() and twin.attack_ara.value > 0


def test_there_is_one() -> None:
    assert [path.stem for path in TWINS] == ["fashion_mnist_mini"]
