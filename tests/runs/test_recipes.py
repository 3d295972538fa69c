import dataclasses
import json
from pathlib import Path

import pytest

from tfrobust.errors import InputError
from tfrobust.runs import recipes
from tfrobust.runs.recipes import Recipe


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
        ({"adversarial": "l3"}, "--adversarial to be one of none, l2, l2_min"),
        ({"adversarial_epsilon": 0.1}, "--adversarial with --adversarial_epsilon"),
        ({"adversarial": "l2", "adversarial_epsilon": 0.0}, "--adversarial_epsilon above 0"),
        ({"adversarial": "l2", "adversarial_steps": 0}, "--adversarial_steps of at least 1"),
        ({"adversarial": "l2", "adversarial_share": 1.5}, "--adversarial_share from 0 to 1"),
        ({"adversarial": "l2", "adversarial_share": 0.0}, "--adversarial_share above 0"),
        ({"adversarial": "l2", "trades_beta": 6.0}, "--adversarial trades"),
        ({"adversarial": "trades", "trades_beta": -1.0}, "--trades_beta above 0"),
        ({"architecture": "vgg"}, "vgg"),
        ({"stem_stride": 3}, "--stem_stride of 1 or 2"),
        ({"architecture": "resnet_imagenet", "stem_stride": 2}, "--architecture resnet_cifar"),
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
        Recipe.from_json({**recipes.cifar10_published_all().to_json(), "colour": "red"})


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


@pytest.mark.parametrize(
    ("dataset", "name"),
    [
        ("cifar10", "cifar10_published_robust"),
        ("cifar10:3.0.2", "cifar10_published_robust"),
        ("imagenet2012", "imagenet2012_resnet50"),
        ("folder:/x/photos", "folder_photos"),
        ("fashion_mnist_mini", "fashion_mnist_mini"),
        ("imagenet_resized/32x32", "imagenet_resized_32x32"),
    ],
)
def test_data_sets_have_their_recipes(dataset: str, name: str) -> None:
    recipe = recipes.for_dataset(dataset)
    assert (recipe.name, recipe.dataset) == (name, dataset)


def test_the_published_networks_differ_in_the_loss_and_the_perturbation() -> None:
    def parts(name: str) -> tuple[bool, str, str]:
        recipe = recipes.RECIPES[f"cifar10_published_{name}"]()
        assert (recipe.depth, recipe.epochs, recipe.batch_size) == (44, 200, 128)
        # The rate drops after 170 and 195 of the 200 epochs.
        assert recipe.learning_rate_drops == (170 / 200, 195 / 200)
        return recipe.penalty, recipe.adversarial, recipe.activation

    assert parts("standard") == (False, "none", "relu")
    assert parts("adversarial") == (False, "l2", "relu")
    assert parts("robust") == (True, "none", "half_huber_relu")
    assert parts("all") == (True, "l2_min", "half_huber_relu")


def test_a_damaged_recipe_file_is_an_input_error(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    for text in ("", "[]", "{}", '{"recipe": 3}'):
        path.write_text(text)
        with pytest.raises(InputError, match=r"recipe\.json"):
            recipes.read(path)


def test_each_folder_has_a_name_of_its_own() -> None:
    names = [recipes.for_dataset(f"folder:/data/{end}").name for end in ("lungs", "my skin")]
    assert names == ["folder_lungs", "folder_my_skin"]


def test_only_what_matters_tells_plain_twins_apart() -> None:
    robust, plain = recipes.fashion_mnist_mini(), recipes.fashion_mnist_mini_plain()
    assert robust.plain_twin() == plain.plain_twin()
    for change in ({"loss_target": 0.9}, {"eval_images": 7}, {"adversarial": "l2_min"}):
        assert dataclasses.replace(robust, **change).plain_twin() == plain.plain_twin()
    for change in ({"depth": 14}, {"epochs": 7}, {"seed": 1}, {"width": 32}):
        assert dataclasses.replace(robust, **change).plain_twin() != plain.plain_twin()


def test_a_seed_too_large_for_tensorflow_is_refused() -> None:
    with pytest.raises(InputError, match="--seed"):
        dataclasses.replace(recipes.fashion_mnist_mini(), seed=2**31)
