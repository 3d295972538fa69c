import dataclasses
import json
from pathlib import Path

import pytest

from tfrobust import recipes
from tfrobust.errors import InputError
from tfrobust.recipes import Recipe


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_json_and_back(name: str) -> None:
    recipe = recipes.RECIPES[name]()
    assert recipe.name == name
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"epochs": 0}, "--epochs"),
        ({"learning_rate": 0.0}, "--learning_rate"),
        ({"learning_rate": float("nan")}, "--learning_rate"),
        ({"tandem": 1.5}, "--tandem"),
        ({"augmentation": "mixup"}, "mixup"),
        ({"architecture": "vgg"}, "vgg"),
        ({"batch_size": -1}, "--batch_size"),
        ({"learning_rate_drops": (0.9, 0.5)}, "--learning_rate_drops"),
        ({"learning_rate_drops": (1.5,)}, "--learning_rate_drops"),
    ],
)
def test_bad_values_are_named(change: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        dataclasses.replace(recipes.fashion_mnist_mini(), **change)


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(InputError, match="colour"):
        Recipe.from_json({**recipes.cifar10().to_json(), "colour": "red"})


def test_differences_name_the_field_and_both_values() -> None:
    first = recipes.fashion_mnist_mini()
    assert first.differences(first) == []
    assert first.differences(dataclasses.replace(first, epochs=8)) == ["epochs: 6 here, 8 there"]


@pytest.mark.parametrize(
    ("dataset", "augmentation"),
    [("mnist", "crop"), ("svhn_cropped", "crop"), ("fashion_mnist", "crop_flip"),
     ("cifar100", "crop_flip"), ("folder:/x/digits", "crop_flip")],
)  # fmt: skip
def test_digits_are_not_flipped(dataset: str, augmentation: str) -> None:
    assert recipes.for_dataset(dataset).augmentation == augmentation


def test_a_damaged_recipe_file_is_an_input_error(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    for text in ("", "[]", "{}", '{"recipe": 3}'):
        path.write_text(text)
        with pytest.raises(InputError, match=r"recipe\.json"):
            recipes.read(path)
