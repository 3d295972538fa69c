import json
from pathlib import Path

import pytest

from tfrobust.runs import fields, recipes
from tfrobust.runs.config import Config

OLD = json.loads(Path(__file__).with_name("recipes_0_1.json").read_text())


@pytest.mark.parametrize("name", OLD)
def test_recipes_have_the_values_that_they_had_in_version_0_1(name: str) -> None:
    old = dict(OLD[name])
    # Fields that version 0.1 did not have.
    old |= {"bits": None, "frame": None, "labels": None, "group": None}
    old |= {"fit": "crop", "balance": "none"}
    old |= {"weights": None, "frozen_epochs": 0, "psi_initial_share": None, "eval_draw": None}
    old |= {"keep_best": "none", "patience": None}
    old |= {"attention": False, "drop": "none", "drop_rate": 0.5}
    # Six of few images are too few.
    old |= {"epochs": None} if name in ("folder", "radiographs") else {}
    old |= {"margin_epsilon": None, "margin_temperature": None}
    old |= {"penalty_of": "logits", "penalty_method": "double_backward"}
    old |= {"penalty_step": None, "penalty_fraction": 1.0}
    old |= {"annotations": None, "annotations_weight": None}
    old |= {"optimizer": "sgd", "mirrored_training": False}
    old |= {"label_smoothing": 0.0, "teacher": None, "teacher_share": None}
    old |= {"weight_perturbation_gamma": None, "weight_perturbation_along": "gradient"}
    config = recipes.RECIPES[name]().to_json()
    for path, flat in fields.flat_names(Config).items():
        section, _, field = path.rpartition(".")
        assert (config[section] if section else config)[field] == old.pop(flat), path
    assert not old


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_recipes_tell_their_command_and_what_to_expect(name: str) -> None:
    words = recipes.RECIPES[name].__doc__ or ""
    assert recipes.RECIPES[name]().name == name
    assert "Command: ``python tools/train.py" in words and "Result: " in words


@pytest.mark.parametrize(
    ("dataset", "augmentation"),
    [("mnist", "crop"), ("svhn_cropped", "crop"), ("fashion_mnist", "crop_flip"),
     ("cifar100", "crop_flip"), ("folder:/x/digits", "crop_flip")],
)  # fmt: skip
def test_digits_are_not_flipped(dataset: str, augmentation: str) -> None:
    assert recipes.for_dataset(dataset).data.augmentation == augmentation


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
    config = recipes.for_dataset(dataset)
    assert (config.name, config.data.name) == (name, dataset)


def test_the_published_networks_differ_in_the_loss_and_the_perturbation() -> None:
    def parts(name: str) -> tuple[bool, str, str]:
        config = recipes.RECIPES[f"cifar10_published_{name}"]()
        assert config.network.depth == 44
        assert (config.training.epochs, config.training.batch_size) == (200, 128)
        # The rate drops after 170 and 195 of the 200 epochs.
        assert config.optimizer.learning_rate_drops == (170 / 200, 195 / 200)
        return config.penalty.on, config.adversarial.method, config.network.activation

    assert parts("standard") == (False, "none", "relu")
    assert parts("adversarial") == (False, "l2", "relu")
    assert parts("robust") == (True, "none", "half_huber_relu")
    assert parts("all") == (True, "l2_min", "half_huber_relu")


def test_each_folder_has_a_name_of_its_own() -> None:
    names = [recipes.for_dataset(f"folder:/data/{end}").name for end in ("lungs", "my skin")]
    assert names == ["folder_lungs", "folder_my_skin"]
