"""What the outputs of a network are, and how they become logits.

A network ends in logits, in a softmax over classes that exclude one another, or in sigmoids: one
for two classes, or one for each of K labels that may hold together. The ending is read from the
network, else judged by what comes out. Where that leaves two readings the user is asked.
"""

import math
import numbers
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import keras
import numpy as np

from tfrobust.errors import InputError

# What a user says of the outputs.
Output = Literal["logits", "softmax", "sigmoid"]
OUTPUTS = ("logits", "softmax", "sigmoid")
# Which of several outputs that may hold together is asked about: one by its number, or all.
Label = int | Literal["all"] | None
# For each of several labels the confidence above which it holds.
Thresholds = tuple[float, ...]

# The smallest probability above 0, and the largest below 1, of float32.
LEAST, MOST = float(np.finfo(np.float32).tiny), float(1 - np.finfo(np.float32).epsneg)
SAY = "Say which: tfrobust.as_classifier(model, output={0!r}) or output={1!r}"


class Form(NamedTuple):
    """What a network's own outputs are to the logits that are made of them.

    Args:
        activation: what makes them of logits, by Keras' name.
        single: whether there is one output, of which two logits are made.
        several: whether the outputs are labels that may hold together, and each logit is one's own.
    """

    activation: str = "linear"
    single: bool = False
    several: bool = False


def checked(output: str | None, label: Label) -> None:
    """Refuses what says nothing of outputs.

    Raises:
        InputError: another output than those of OUTPUTS, or a label that is no number from 0.
    """
    if output not in (None, *OUTPUTS):
        raise InputError(f"expected output as one of {', '.join(OUTPUTS)}, got {output!r}")
    if label in (None, "all"):
        return
    if isinstance(label, bool) or not isinstance(label, numbers.Integral) or not label >= 0:
        raise InputError(f"expected label as the number of an output, from 0, got {label!r}")


def checked_thresholds(thresholds: Sequence[float], count: int | None) -> Thresholds:
    """Thresholds of labels, as a tuple.

    Args:
        thresholds: numbers between 0 and 1.
        count: how many labels there are; None where that is not known yet.

    Raises:
        InputError: they are others, or more or fewer than the labels.
    """
    found = tuple(float(one) for one in np.ravel(thresholds))
    if count not in (None, len(found)) or not all(0 < one < 1 for one in found):
        many = "a number" if count is None else f"{count} numbers"
        raise InputError(
            f"expected thresholds as {many} between 0 and 1, one for each label, got {thresholds!r}"
        )
    return found


def logit(share: float) -> float:
    """The logit whose sigmoid is a share between 0 and 1."""
    return math.log(share) - math.log1p(-share)


def resolved(
    ending: str | None, output: str | None, label: Label, count: int, name: str
) -> str | None:
    """What a network's outputs are, as far as its ending and its user tell.

    Args:
        ending: the operation that makes the outputs, by Keras' name of an activation; "linear" for
            one without; None where it cannot be told.
        output: what the user says.
        label: which output is asked about, if the user says so; "all" for labels that may hold
            together.
        count: how many outputs there are.
        name: what errors call the network.

    Returns:
        One of OUTPUTS; None where only the outputs' values can tell.

    Raises:
        InputError: the two contradict each other, or the outputs are none that can be attacked.
    """
    ends = {"log_softmax": "logits", "linear": "logits"}.get(ending or "", ending)
    if output is not None and ends in OUTPUTS and output != ends:
        raise InputError(f"expected output={ends!r}, as {name} ends with {ending}, got {output!r}")
    if ends not in (None, *OUTPUTS) and output is None:
        raise InputError(
            f"expected a network that ends with logits, a softmax or a sigmoid, but {name} ends "
            f"with {ending}: take its last activation away, or say output='logits' if its outputs "
            "are meant as logits all the same"
        )
    found = output or ends
    if label == "all" and (count < 2 or found == "softmax"):
        raise InputError(
            f"expected a network of several labels that may hold together, but {name} has "
            + ("one output" if count < 2 else f"{count} outputs of one softmax")
        )
    if isinstance(label, int) and not (count > 1 and label < count and found != "softmax"):
        raise InputError(
            f"expected no label={label}, or one of several outputs that may hold together, but "
            f"{name} has {count} outputs{' of one softmax' if found == 'softmax' else ''}"
        )
    if found == "sigmoid" and label is None and count > 1:
        raise hold_together(name, f"ends with {count} sigmoids")
    if found == "softmax" and count == 1:
        raise InputError(f"expected several outputs of a softmax, but {name} has one")
    return found


class HoldTogether(InputError):
    """A network was asked about as one of classes, and has labels that may hold together."""


def hold_together(name: str, what: str) -> HoldTogether:
    """The error that says how to ask about a network whose labels may hold together.

    Args:
        name: of the network.
        what: how that is seen.
    """
    return HoldTogether(
        f"expected classes that exclude one another, but {name} {what}. If they are labels that "
        "may hold together, ask about one of them: tfrobust.as_classifier(model, label=0) makes "
        "two classes, without and with label 0. RobustClassifier(model, multi_label=True), "
        "tfrobust.evaluate_labels and tfrobust.export take all of them. If the classes exclude one "
        "another, take the "
        "sigmoid away, so that the network gives logits"
    )


def may_be_shares(values: np.ndarray) -> bool:
    """Whether outputs (N, K) may be probabilities: rows of sum 1, or one or several from 0 to 1."""
    return bool(values.size and values.min() >= 0 and values.max() <= 1)


def are_probabilities(values: np.ndarray) -> bool:
    """Whether all rows of (N, K) are probabilities: none negative, of sum 1."""
    # 1e-2 for the rounding of half precision, K times over.
    return may_be_shares(values) and np.allclose(values.sum(axis=1), 1, atol=1e-2)


def judged(values: np.ndarray, label: Label, name: str) -> str:
    """What outputs are, of which only values are known.

    Args:
        values: (N, K), some outputs.
        label: which output is asked about.
        name: what errors call the network.

    Raises:
        InputError: they may be logits as well as probabilities.
    """
    one = values.shape[1] == 1 or label is not None
    if one and may_be_shares(values):
        raise InputError(
            f"expected to know what the outputs of {name} are, which lie from 0 to 1: probabilities"
            f" or logits. {SAY.format('sigmoid', 'logits')}"
        )
    if not one and are_probabilities(values):
        raise InputError(
            f"expected logits, got rows of probabilities that sum to 1 from {name}, or logits that "
            f"happen to. {SAY.format('softmax', 'logits')}"
        )
    return "logits"


def check_values(values: np.ndarray, output: str, name: str) -> None:
    """Refuses outputs that are not what the user says.

    Raises:
        InputError: probabilities that are none.
    """
    right = {"softmax": are_probabilities, "sigmoid": may_be_shares}.get(output)
    if right is not None and not right(values):
        raise InputError(
            f"expected probabilities of a {output} from {name}, got outputs from "
            f"{values.min():.3g} to {values.max():.3g}; leave output={output!r} out"
        )


def as_logits(
    values: Any, output: str | None, label: Label, thresholds: Thresholds | None = None
) -> Any:
    """Logits (B, K), K at least 2, of a network's outputs.

    Args:
        values: float (B, K). A last softmax or sigmoid is better taken
            off than inverted here: a probability that is rounded to 1 has no gradient.
        output: what they are, one of OUTPUTS; None for logits.
        label: which output to make two classes of; None or "all" for all as they are. A single
            output makes two classes as well: 0 is its absence, with logit 0.
        thresholds: of the labels. The absence of a label has the logit of its threshold, so that
            the label is the likelier class just where it holds; None for thresholds of one half.
    """
    ops = keras.ops
    if output == "softmax":
        return ops.log(ops.maximum(ops.cast(values, "float32"), LEAST))
    if output == "sigmoid":
        shares = ops.clip(ops.cast(values, "float32"), LEAST, MOST)
        values = ops.log(shares) - ops.log1p(-shares)
    if isinstance(label, int):
        values = values[:, label : label + 1]
    if values.shape[-1] > 1:
        return values
    absence = logit(thresholds[label]) if thresholds and isinstance(label, int) else 0.0
    return ops.pad(values, [[0, 0], [1, 0]], constant_values=absence)


def from_logits(logits: Any, form: Form) -> Any:
    """What `as_logits` made logits of: a network's outputs in their own form.

    Args:
        logits: float (B, K).
        form: the outputs' form.

    Returns:
        (B, K), or (B, 1) for a single output.
    """
    values = logits[:, 1:] - logits[:, :1] if form.single else logits
    return keras.activations.get(form.activation)(values)


@keras.saving.register_keras_serializable(package="tfrobust")
class AsLogits(keras.layers.Layer):
    """Makes logits of a network's outputs, as its last layer: see `as_logits`.

    With the label "all" it also says, in files too, that the logits are those of labels which may
    hold together.

    Args:
        kind: what the outputs are, one of OUTPUTS.
        label: which output to make two classes of; None or "all" for all as they are.
        thresholds: of labels that may hold together, the confidence above which each holds; None
            for one half.
    """

    def __init__(
        self,
        kind: str,
        label: Label = None,
        thresholds: Sequence[float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.kind, self.label = kind, label
        self.thresholds = None if thresholds is None else tuple(thresholds)

    def call(self, values: Any) -> Any:
        """Outputs (B, K) → logits (B, K), or (B, 2) of one output."""
        return as_logits(values, self.kind, self.label, self.thresholds)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(B, K), or (B, 2) of one output."""
        one = isinstance(self.label, int) or input_shape[-1] == 1
        return (input_shape[0], 2 if one else input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs to make the layer again."""
        said = {"kind": self.kind, "label": self.label, "thresholds": self.thresholds}
        return {**super().get_config(), **said}
