"""Configurations: what their fields may be, how errors name them, JSON and back."""

import dataclasses
import inspect
import json
import typing
from typing import Any

import pytest

from tfrobust.datasets.loading import load
from tfrobust.datasets.names import AUGMENTATIONS
from tfrobust.errors import InputError
from tfrobust.models.names import ACTIVATIONS
from tfrobust.robustness.presets import PRESETS
from tfrobust.runs import fields, recipes
from tfrobust.runs.config import Config
from tfrobust.runs.sections import AdversarialConfig, DataConfig, OptimizerConfig

WRONG = [
    ({"training.epochs": 0}, "`training.epochs` to be greater than or equal to 1, got 0"),
    ({"training.epochs": "3"}, "`training.epochs` to be a valid integer, got '3'"),
    ({"training.epochs": True}, "`training.epochs` to be a valid integer, got True"),
    ({"training.batch_size": -1}, "`training.batch_size` to be greater"),
    ({"optimizer.learning_rate": 0.0}, "`optimizer.learning_rate` to be greater than 0, got 0.0"),
    ({"optimizer.learning_rate": float("nan")}, "`optimizer.learning_rate` to be a finite number"),
    ({"optimizer.weight_average": 1.0}, "`optimizer.weight_average` to be less than 1, got 1.0"),
    ({"optimizer.momentum": 1.5}, "`optimizer.momentum` to be less than or equal to 1"),
    ({"optimizer.learning_rate_drops": (0.9, 0.5)}, "`optimizer.learning_rate_drops` to be asc"),
    ({"optimizer.learning_rate_drops": (1.5,)}, "`optimizer.learning_rate_drops` to be asc"),
    ({"optimizer.learning_rate_drops": ("a",)}, "`optimizer.learning_rate_drops` to be a valid n"),
    ({"optimizer.learning_rate_warmup": 0.1}, "`optimizer.learning_rate_schedule` to be 'cosine'"),
    ({"penalty.step": 0.1}, "`penalty.method` to be 'finite_differences' where there is"),
    (
        {"penalty.method": "finite_differences", "penalty.exponent": 1.0},
        "`penalty.exponent` to be 2 with 'finite_differences' of 'logits'",
    ),
    ({"penalty.tandem": 1.5}, "`penalty.tandem` to be less than or equal to 1, got 1.5"),
    ({"data.augmentation": "mixup"}, "`data.augmentation` to be 'none', .* got 'mixup'"),
    ({"data.image_size": 7}, "`data.image_size` to be greater than or equal to 8, got 7"),
    ({"adversarial.method": "l3"}, "`adversarial.method` to be 'none', 'l2', .* got 'l3'"),
    ({"adversarial.epsilon": 0.1}, "`adversarial.method` .* there is `adversarial.epsilon`"),
    ({"adversarial.method": "l2", "adversarial.epsilon": 0.0}, "`adversarial.epsilon` to be gre"),
    ({"adversarial.method": "l2", "adversarial.steps": 0}, "`adversarial.steps` to be greater"),
    ({"adversarial.method": "l2", "adversarial.share": 1.5}, "`adversarial.share` to be less"),
    ({"adversarial.method": "l2", "adversarial.share": 0.0}, "`adversarial.share` to be greater"),
    ({"adversarial.method": "l2", "adversarial.beta": 6.0}, "'trades' .* got 'l2'"),
    ({"adversarial.method": "trades", "adversarial.beta": -1.0}, "`adversarial.beta` to be gre"),
    ({"network.architecture": "vgg"}, "`network.architecture` to be resnet_cifar, .* got 'vgg'"),
    ({"network.architecture": "keras:"}, "`network.architecture` to be .* got 'keras:'"),
    (
        {"network.weights": "imagenet"},
        "to be keras:NAME where there is `network.weights`, got 'res",
    ),
    ({"network.frozen_epochs": 1}, "trained weights where .*frozen_epochs.* got 'resnet_cifar'"),
    (
        {"network.architecture": "keras:VGG16", "network.frozen_epochs": 1},
        "keras:NAME with `network.weights`; got 'keras:VGG16' with new weights",
    ),
    (
        {"network.architecture": "a.h5", "network.frozen_epochs": 1},
        "`network.activation` to be 'relu', which leaves",
    ),
    ({"watch.keep_best": "ara"}, "`watch.ara_every` where `watch.keep_best` is 'ara', got 0"),
    ({"watch.patience": 2}, "`watch.keep_best` to be 'accuracy', 'auc' or 'ara' where"),
    (
        {"watch.keep_best": "accuracy", "optimizer.weight_average": 0.9},
        "`optimizer.weight_average` 0 where there is `watch.keep_best`, got 0.9",
    ),
    ({"psi.initial_share": 1.0}, "`psi.initial_share` to be less than 1, got 1.0"),
    (
        {"network.architecture": "keras:VGG16", "network.activation": "silu"},
        "`network.activation` with a ResNet of this package only",
    ),
    ({"network.mirrored_training": True}, "`network.mirrored` where there is"),
    ({"soft_labels.share": 0.5}, "`soft_labels.teacher` where there is `soft_labels.share`"),
    (
        {"weight_perturbation.along": "momentum"},
        "`weight_perturbation.gamma` where there is `weight_perturbation.along`",
    ),
    ({"network.stem_stride": 3}, "`network.stem_stride` to be less than or equal to 2, got 3"),
    (
        {"network.architecture": "resnet_imagenet", "network.stem_stride": 2},
        "`network.architecture` to be resnet_cifar where `network.stem_stride` is not 1",
    ),
    (
        {"network.architecture": "lipschitz", "network.mirrored": True},
        "`network.architecture` to be another than 'lipschitz' where there is `network.mirrored`",
    ),
    ({"margin.temperature": 0.5}, "`margin.epsilon` where there is `margin.temperature`"),
    (
        {"network.architecture": "keras:VGG16", "network.synchronized": True},
        "`network.synchronized` with a ResNet",
    ),
    ({"seed": 2**31}, "`seed` to be less than or equal to 2147483647"),  # TensorFlow's limit
    ({"optimizer.rate": 1.0}, "no field optimizer.rate"),
    ({"optimiser.learning_rate": 1.0}, "no field .*nearest are `optimizer.learning_rate`"),
    ({"optimizer": {}}, "no field optimizer"),
]


@pytest.mark.parametrize(("changes", "said"), WRONG, ids=[str(row[0]) for row in WRONG])
def test_wrong_values_are_named_by_their_paths(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        recipes.fashion_mnist_mini().replace(changes)


def test_a_section_made_alone_names_its_fields_by_the_same_paths() -> None:
    with pytest.raises(InputError, match=r"`optimizer.learning_rate` to be greater than 0, got -1"):
        OptimizerConfig(learning_rate=-1)
    with pytest.raises(InputError, match=r"`optimizer.momentum` to be less"):
        dataclasses.replace(OptimizerConfig(), momentum=2.0)
    with pytest.raises(InputError, match=r"there is no field adversarial.radius"):
        AdversarialConfig(method="l2", radius=0.1)  # type: ignore[call-arg]
    with pytest.raises(InputError, match="expected a value for `data`"):
        Config(name="x")  # type: ignore[call-arg]


def test_all_wrong_fields_are_named_at_once() -> None:
    with pytest.raises(InputError, match=r"`training.epochs` .*; .*`penalty.tandem`"):
        recipes.fashion_mnist_mini().replace({"training.epochs": 0, "penalty.tandem": -1})


def test_what_is_no_configuration_is_refused() -> None:
    values = recipes.cifar10().to_json()
    for wrong, said in [
        ([], "expected a configuration to be an object, got "),
        ({**values, "colour": "red"}, "no field colour"),
        ({**values, "optimizer": {"colour": "red"}}, "no field optimizer.colour"),
        ({**values, "optimizer": 3}, "`optimizer` to be an object, got 3"),
    ]:
        with pytest.raises(InputError, match=said):
            Config.from_json(wrong)


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_json_and_back(name: str) -> None:
    config = recipes.RECIPES[name]()
    again = Config.from_json(json.loads(json.dumps(config.to_json())))
    assert again == config and hash(again) == hash(config)
    assert isinstance(again.optimizer.learning_rate_drops, tuple)


def test_missing_fields_get_their_defaults() -> None:
    config = Config.from_json({"name": "x", "data": {"name": "cifar10"}, "seed": 3})
    assert config == Config(name="x", data=DataConfig(name="cifar10"), seed=3)


def test_numbers_survive_json_to_the_last_bit() -> None:
    epsilon = 1.6 / 3072**0.5
    config = recipes.cifar10().replace({"adversarial.epsilon": epsilon})
    assert config.adversarial.epsilon == epsilon
    assert Config.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_differences_name_the_field_and_both_values() -> None:
    first = recipes.fashion_mnist_mini()
    assert first.differences(first) == []
    other = first.replace({"training.epochs": 8, "seed": 1})
    assert first.differences(other) == [
        "`training.epochs`: 6 here, 8 there",
        "`seed`: 0 here, 1 there",
    ]


def test_only_what_matters_tells_plain_twins_apart() -> None:
    robust, plain = recipes.fashion_mnist_mini(), recipes.fashion_mnist_mini_plain()
    assert robust.plain_twin() == plain.plain_twin()
    changes: list[dict[str, Any]] = [
        {"psi.loss_target": 0.9},
        {"measure.images": 7},
        {"watch.ara_every": 1},
        {"training.checkpoint_every": 3},
        {"data.data_dir": "/data"},
        {"adversarial.method": "l2_min"},
    ]
    for change in changes:
        assert robust.replace(change).plain_twin() == plain.plain_twin(), change
    changes = [{"network.depth": 14}, {"training.epochs": 7}, {"seed": 1}, {"network.width": 32}]
    for change in changes:
        assert robust.replace(change).plain_twin() != plain.plain_twin(), change


def test_choices_are_those_of_the_rooms_that_use_them() -> None:
    known = fields.walk(Config)

    def choices(path: str) -> tuple[str, ...]:
        return typing.get_args(known[path].annotation)

    assert choices("data.augmentation") == AUGMENTATIONS
    assert choices("network.activation") == ACTIVATIONS
    assert choices("measure.preset") == tuple(PRESETS)


def test_every_field_says_what_it_means() -> None:
    for path, field in fields.walk(Config).items():
        assert field.description and field.description[-1] in ".)", path


def test_the_data_section_says_what_load_takes() -> None:
    told = {field.name for field in dataclasses.fields(DataConfig)} - {"balance", "augmentation"}
    assert told == set(inspect.signature(load).parameters)
