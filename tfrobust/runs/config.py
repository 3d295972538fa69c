"""A run's whole configuration: nested frozen records, checked when made, to JSON and back."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Annotated, Any

import pydantic
from pydantic import Field
from pydantic_core import from_json, to_json

from tfrobust.errors import InputError
from tfrobust.runs import fields
from tfrobust.runs.annotations_section import AnnotationsConfig
from tfrobust.runs.fields import Flat, record
from tfrobust.runs.margin_section import MarginConfig
from tfrobust.runs.network_section import NetworkConfig
from tfrobust.runs.penalty_section import PenaltyConfig
from tfrobust.runs.sections import (
    AdversarialConfig,
    DataConfig,
    MeasureConfig,
    OptimizerConfig,
    PsiConfig,
    TrainingConfig,
    WatchConfig,
)
from tfrobust.runs.soft_labels_section import SoftLabelsConfig
from tfrobust.runs.weights_section import WeightPerturbationConfig


@record()
class Config:
    """How a network is trained and measured.

    The defaults are the constants of the published CIFAR-10 example of arXiv 1906.02896. Two runs
    of one configuration on one machine are the same run.

    Raises:
        InputError: a value that a field cannot have; it names the field by its path, such as
            `optimizer.learning_rate`.
    """

    name: str
    """The run folder's name begins with it, and the exported model has it."""

    data: DataConfig
    network: NetworkConfig = NetworkConfig()
    training: TrainingConfig = TrainingConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    margin: Annotated[MarginConfig, Flat(prefix="margin_")] = MarginConfig()
    penalty: Annotated[PenaltyConfig, Flat(prefix="penalty_")] = PenaltyConfig()
    psi: Annotated[PsiConfig, Flat(prefix="psi_")] = PsiConfig()
    adversarial: Annotated[AdversarialConfig, Flat(prefix="adversarial_")] = AdversarialConfig()
    annotations: Annotated[AnnotationsConfig, Flat(prefix="annotations_")] = AnnotationsConfig()
    soft_labels: SoftLabelsConfig = SoftLabelsConfig()
    weight_perturbation: Annotated[
        WeightPerturbationConfig, Flat(prefix="weight_perturbation_")
    ] = WeightPerturbationConfig()
    measure: Annotated[MeasureConfig, Flat(prefix="eval_")] = MeasureConfig()
    watch: WatchConfig = WatchConfig()

    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """The seed of the weights, the order of the images, their augmentation, the random logits of
    the penalty, and the perturbations."""

    def __post_init__(self) -> None:
        if self.optimizer.weight_average and self.watch.keep_best != "none":
            raise InputError(
                "expected `optimizer.weight_average` 0 where there is `watch.keep_best`, got "
                f"{self.optimizer.weight_average}: what is watched are the weights themselves"
            )

    def to_json(self) -> dict[str, Any]:
        """The configuration as JSON's own types, nested as the classes are."""
        return dict(from_json(to_json(self)))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Config":
        """The inverse of `to_json`; fields that are missing get their defaults.

        Raises:
            InputError: an unknown field, or a value that a field cannot have.
        """
        try:
            return pydantic.TypeAdapter(cls).validate_json(to_json(values))
        except pydantic.ValidationError as error:
            raise InputError(fields.words(error)) from None

    def replace(self, changes: Mapping[str, Any]) -> "Config":
        """A copy with other values in some fields.

        Args:
            changes: a field's path → its new value, such as {"optimizer.learning_rate": 0.2}.

        Raises:
            InputError: an unknown path, or a value that a field cannot have.
        """
        values, known = self.to_json(), fields.walk(Config)
        for path, value in changes.items():
            if path not in known:
                raise InputError(fields.unknown(path, Config))
            section, _, name = path.rpartition(".")
            (values[section] if section else values)[name] = value
        return Config.from_json(values)

    def differences(self, other: "Config") -> list[str]:
        """Where two configurations differ, such as "`training.epochs`: 6 here, 8 there"."""
        return [
            f"`{path}`: {_at(self, path)} here, {_at(other, path)} there"
            for path in fields.walk(Config)
            if _at(self, path) != _at(other, path)
        ]

    def plain_twin(self) -> "Config":
        """The same network and training with ReLU, without the penalty and adversarial images.

        Fields that have no effect then, or only on what is measured, are at their defaults.
        """
        default = TrainingConfig()
        return Config(
            name="plain",
            data=dataclasses.replace(self.data, data_dir=None),
            network=dataclasses.replace(self.network, activation="relu"),
            training=dataclasses.replace(
                self.training, max_steps=None, checkpoint_every=default.checkpoint_every
            ),
            optimizer=self.optimizer,
            penalty=PenaltyConfig(on=False),
            seed=self.seed,
        )


def _at(config: Config, path: str) -> Any:
    return functools.reduce(getattr, path.split("."), config)
