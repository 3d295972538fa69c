"""Flags made from a configuration's fields, and errors that name flags in place of fields."""

import json
from pathlib import Path
from typing import Any

import pytest
from absl import flags

from tfrobust.cli.flags import define, errors_name_flags, given
from tfrobust.cli.train import FLAGS, chosen_config
from tfrobust.errors import InputError
from tfrobust.runs import recipes
from tfrobust.runs.config import Config
from tfrobust.runs.metrics_log import DivergedError

# Every flag of version 0.1 that was a field of its recipes, a value, and where it goes now.
FLAGS_0_1: dict[str, tuple[str, str, Any]] = {
    "dataset": ("mnist", "data.name", "mnist"),
    "data_dir": ("/data", "data.data_dir", "/data"),
    "image_size": ("64", "data.image_size", 64),
    "held_out": ("50", "data.held_out", 50),
    "augmentation": ("crop", "data.augmentation", "crop"),
    "architecture": ("resnet_imagenet", "network.architecture", "resnet_imagenet"),
    "depth": ("14", "network.depth", 14),
    "width": ("4", "network.width", 4),
    "stem_stride": ("2", "network.stem_stride", 2),
    "activation": ("relu", "network.activation", "relu"),
    "epochs": ("3", "training.epochs", 3),
    "max_steps": ("5", "training.max_steps", 5),
    "batch_size": ("16", "training.batch_size", 16),
    "learning_rate": ("0.5", "optimizer.learning_rate", 0.5),
    "learning_rate_schedule": ("cosine", "optimizer.learning_rate_schedule", "cosine"),
    "learning_rate_warmup": ("0.2", "optimizer.learning_rate_warmup", 0.2),
    "learning_rate_drops": ("0.5,0.8", "optimizer.learning_rate_drops", [0.5, 0.8]),
    "momentum": ("0.5", "optimizer.momentum", 0.5),
    "weight_decay": ("0.01", "optimizer.weight_decay", 0.01),
    "weight_average": ("0.9", "optimizer.weight_average", 0.9),
    "mirrored": ("true", "network.mirrored", True),
    "penalty": ("false", "penalty.on", False),
    "penalty_exponent": ("1.5", "penalty.exponent", 1.5),
    "tandem": ("0.5", "penalty.tandem", 0.5),
    "psi_initial": ("7", "psi.initial", 7.0),
    "psi_gain": ("0.1", "psi.gain", 0.1),
    "loss_target": ("0.9", "psi.loss_target", 0.9),
    "adversarial": ("trades", "adversarial.method", "trades"),
    "adversarial_epsilon": ("0.02", "adversarial.epsilon", 0.02),
    "adversarial_steps": ("3", "adversarial.steps", 3),
    "adversarial_growth": ("0.5", "adversarial.growth", 0.5),
    "adversarial_share": ("0.25", "adversarial.share", 0.25),
    "trades_beta": ("2", "adversarial.beta", 2.0),
    "seed": ("7", "seed", 7),
    "checkpoint_every": ("9", "training.checkpoint_every", 9),
    "explain_every": ("2", "watch.explain_every", 2),
    "ara_every": ("3", "watch.ara_every", 3),
    "eval_images": ("11", "measure.images", 11),
    "eval_preset": ("fast", "measure.preset", "fast"),
    "full_card": ("true", "measure.full_card", True),
    "synchronized": ("true", "network.synchronized", True),
    "precision": ("bfloat16", "training.precision", "bfloat16"),
}
RECIPES_0_1 = Path(__file__).parents[1] / "runs" / "recipes_0_1.json"


def parsed(*line: str) -> flags.FlagValues:
    values = flags.FlagValues()
    define(values)
    values(["train.py", *line])
    return values


def chosen(*line: str) -> Config:
    FLAGS.unparse_flags()
    for name in FLAGS:
        FLAGS[name].unparse()
    FLAGS(["train.py", *line])
    return chosen_config(FLAGS)


@pytest.mark.parametrize("name", FLAGS_0_1)
def test_every_flag_of_version_0_1_lands_in_its_field(name: str) -> None:
    text, path, value = FLAGS_0_1[name]
    found = given(parsed(f"--{name}={text}"))
    assert found == {path: value}
    assert type(found[path]) is type(value)


def test_those_are_all_flags_of_version_0_1() -> None:
    fields = set(json.loads(RECIPES_0_1.read_text())["folder"]) - {"name"}
    assert set(FLAGS_0_1) == fields
    others = {"recipe", "runs_dir", "run_dir", "fresh", "saved_models", "jit", "peer_timeout",
              "cpu_devices"}  # fmt: skip
    assert fields | others <= set(FLAGS)


def test_all_of_them_together_make_the_configuration() -> None:
    together = {name: row for name, row in FLAGS_0_1.items() if name != "stem_stride"}
    line = [f"--{name}={text}" for name, (text, _, _) in together.items()]
    config = chosen(*line).to_json()
    for _, path, value in together.values():
        section, _, field = path.rpartition(".")
        assert (config[section] if section else config)[field] == value, path


def test_without_a_flag_it_is_the_recipe() -> None:
    assert given(parsed()) == {}
    assert chosen() == recipes.fashion_mnist_mini()
    assert chosen("--recipe=cifar10") == recipes.cifar10()
    assert chosen("--dataset=mnist") == recipes.for_dataset("mnist")
    assert chosen("--recipe=cifar10", "--nomirrored").network.mirrored is False


def test_a_recipe_s_adversarial_training_can_be_left_out() -> None:
    config = chosen("--recipe=cifar10", "--adversarial=none", "--penalty")
    assert config.adversarial.method == "none" and config.penalty.on
    assert config.network == recipes.cifar10().network
    with pytest.raises(InputError, match=r"`adversarial.method`"):
        chosen("--recipe=cifar10", "--adversarial=none", "--adversarial_steps=3")


def test_errors_name_flags() -> None:
    values = parsed()
    with pytest.raises(DivergedError) as caught, errors_name_flags(values):
        raise DivergedError("try `optimizer.learning_rate`, `psi.initial`, `seed`, `run_dir`, `x`")
    # `run_dir` is a flag of train.py, not of these values; what is no flag stays.
    assert str(caught.value) == "try --learning_rate, --psi_initial, --seed, `run_dir`, `x`"
    with pytest.raises(InputError, match=r"^name another --run_dir$"), errors_name_flags(FLAGS):
        raise InputError("name another `run_dir`")


def test_psi_is_fitted_to_a_network_of_its_own_unless_it_is_said() -> None:
    assert chosen().psi.initial_share is None
    assert chosen("--architecture", "resnet_imagenet").psi.initial_share is None
    own = chosen("--network", "keras:VGG16")  # another name of --architecture
    assert own.network.architecture == "keras:VGG16" and own.psi.initial_share == 0.05
    assert chosen("--penalty_of=loss").psi.initial_share == 0.05
    assert chosen("--penalty_of=loss", "--psi_initial=1").psi.initial_share is None
    assert chosen("--network", "keras:VGG16", "--psi_initial", "3").psi.initial_share is None
    said = chosen("--network", "keras:VGG16", "--psi_initial_share", "0.5")
    assert said.psi.initial_share == 0.5
