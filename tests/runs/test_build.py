"""From sections of a configuration to what trains."""

import typing

import pytest

from tfrobust.datasets import DatasetInfo
from tfrobust.datasets.arrays import ArraySource
from tfrobust.runs import fields
from tfrobust.runs.build import (
    gradient_penalty,
    learning_rate,
    margin_loss,
    perturber,
    total_epochs,
    total_steps,
)
from tfrobust.runs.config import Config
from tfrobust.runs.margin_section import MarginConfig
from tfrobust.runs.penalty_section import PenaltyConfig
from tfrobust.runs.recipes import folder
from tfrobust.runs.sections import AdversarialConfig, OptimizerConfig
from tfrobust.training import InputGradientPenalty, L2MinWalk, L2Walk, Madry, Trades
from tfrobust.training.perturber import Perturber


def made(with_penalty: bool = True, **values: typing.Any) -> Perturber | None:
    return perturber(AdversarialConfig(**values), with_penalty=with_penalty)


def test_methods_make_perturbers_with_their_own_numbers() -> None:
    assert made() is None
    walk = made(method="l2_min")
    assert isinstance(walk, L2MinWalk) and (walk.epsilon, walk.steps, walk.share) == (0.1, 7, 0.5)
    walk = made(method="l2", with_penalty=False)
    assert isinstance(walk, L2Walk) and (walk.epsilon, walk.steps, walk.share) == (0.01, 7, 1.0)
    madry = made(method="madry_linf", steps=3, share=0.25)
    assert isinstance(madry, Madry)
    assert (madry.norm, madry.epsilon, madry.steps, madry.share) == ("linf", 8 / 255, 3, 0.25)
    trades = made(method="trades", beta=1.5)
    assert isinstance(trades, Trades)
    assert (trades.norm, trades.beta, trades.steps, trades.share) == ("linf", 1.5, 10, 1.0)


@pytest.mark.parametrize(("images", "epochs"), [(90, 67), (299, 23), (60_000, 6)])
def test_few_images_of_ones_own_are_seen_until_something_is_learned(
    images: int, epochs: int
) -> None:
    """200 steps of 30 images at least, and six epochs."""

    names = ("healthy", "ill")
    info = DatasetInfo("mine", (8, 8, 1), names, images, 10, "", (0.5,), (0.25,))
    source = ArraySource(info, pytest.fail, pytest.fail)  # no image is read
    config = folder().replace({"training.batch_size": 30})
    assert total_epochs(config, source) == epochs
    assert total_steps(config, source) == epochs * (images // 30) >= 200
    asked = config.replace({"training.epochs": 2})
    assert total_steps(asked, source) == 2 * (images // 30)


def test_a_radius_makes_the_margin_loss() -> None:
    assert margin_loss(MarginConfig()) is None
    loss = margin_loss(MarginConfig(epsilon=0.5))
    assert loss is not None and (loss.epsilon, loss.temperature) == (0.5, 0.25)
    loss = margin_loss(MarginConfig(epsilon=0.5, temperature=0.1))
    assert loss is not None and loss.temperature == 0.1


def test_the_penalty_is_the_configured_one_with_a_step_for_its_precision() -> None:
    default = gradient_penalty(PenaltyConfig(), "float32")
    assert default.get_config() == InputGradientPenalty().get_config()
    given: dict[str, typing.Any] = {"of": "loss", "exponent": 1.0, "fraction": 0.25}
    given["method"] = "finite_differences"
    assert gradient_penalty(PenaltyConfig(**given), "bfloat16").step == 0.3
    found = gradient_penalty(PenaltyConfig(**given, step=0.05), "bfloat16")
    assert found.get_config() == InputGradientPenalty(**given, step=0.05).get_config()


@pytest.mark.parametrize(
    "method", typing.get_args(fields.walk(Config)["adversarial.method"].annotation)[1:]
)
def test_every_method_takes_an_epsilon(method: str) -> None:
    found = made(method=method, epsilon=0.02)
    assert found is not None and found.epsilon == 0.02
    norm = method.rpartition("_")[2] if method.startswith("madry") else "linf"
    norm = "l2" if method == "trades_l2" else norm
    assert getattr(found, "norm", norm) == norm


def test_the_learning_rate_follows_its_schedule() -> None:
    rate = learning_rate(OptimizerConfig(), 200)
    assert [float(rate(step)) for step in (0, 171, 196)] == pytest.approx([0.1, 0.01, 0.001])
    warm = OptimizerConfig(
        learning_rate=0.4, learning_rate_schedule="cosine", learning_rate_warmup=0.2
    )
    rate = learning_rate(warm, 100)
    assert [float(rate(step)) for step in (0, 20, 60)] == pytest.approx([0, 0.4, 0.2], abs=1e-7)
