"""The network that a program is about: the flags that say what it is, and how it is read."""

from typing import TYPE_CHECKING, Any

from absl import flags

from tfrobust.cli import thresholds
from tfrobust.core import shipped
from tfrobust.core.temperature import at_temperature, checked_temperature
from tfrobust.errors import InputError

if TYPE_CHECKING:
    from tfrobust.core.classifier import Classifier
    from tfrobust.datasets.source import DataSource

MODEL = (
    "a .keras or .h5 file, a SavedModel's folder, an address such as hf://owner/repository or "
    "https://host/x.keras#sha256=…, or a shipped network's name"
)
INPUT_RANGE = (
    "the lowest and the highest pixel that the network takes, such as 0,255; default: what its "
    "layers say, else 0,1"
)
OUTPUT = "what the network's outputs are; default: what its last layer says"
LABEL = (
    "of outputs that may hold together (multi-label), the number of the one to ask about, from 0; "
    "it becomes two classes, without and with it"
)
GROUP = "network: which one, and what its file does not say of it"
# The flags by which this command is repeated.
NAMES = ("model", "input_range", "network_output", "label", "thresholds")
# The flags by which a folder's test images are told from those to train on.
OF_DATA = ("labels", "group")


def define(values: flags.FlagValues, model: str = MODEL) -> None:
    """Makes the flags.

    Args:
        values: where to.
        model: the help of --model.
    """
    # absl groups flags by the name of a module, and heads the group with it.
    common: dict[str, Any] = {"flag_values": values, "module_name": GROUP}
    flags.DEFINE_string("model", None, model, **common)
    flags.mark_flag_as_required("model", values)
    flags.DEFINE_list("input_range", None, INPUT_RANGE, **common)
    # --output is where a program writes to.
    kinds = ["logits", "softmax", "sigmoid"]
    flags.DEFINE_enum("network_output", None, kinds, OUTPUT, **common)
    flags.DEFINE_integer("label", None, LABEL, lower_bound=0, **common)
    flags.DEFINE_list("thresholds", None, thresholds.HELP, **common)


def check(values: Any) -> None:
    """Refuses, before TensorFlow is imported, a network that is not there and no range.

    Raises:
        InputError: says which.
    """
    pair(values.input_range, "input_range")
    thresholds.read(values.thresholds)
    if not values.model.startswith(shipped.PREFIX):
        shipped.find(values.model)


def said(values: Any) -> dict[str, Any]:
    """What the flags say of the network, as `load` takes it."""
    return {
        "input_range": pair(values.input_range, "input_range"),
        "output": values.network_output,
        "label": values.label,
    }


def read(values: Any) -> "Classifier":
    """The network, with what the flags say of it: of classes, or of several labels.

    Raises:
        InputError: it cannot be read, or the flags contradict what is known of it.
    """
    from tfrobust.core.door import as_classifier, as_whole
    from tfrobust.core.loading import load

    given = thresholds.read(values.thresholds)
    asked = said(values)
    if given:
        asked["label"] = None  # once the thresholds are its labels'
    found = as_whole(load(values.model, **asked))
    if not given:
        return found
    found = _with_thresholds(found, given, values)
    return found if values.label is None else as_classifier(found, label=values.label)


def _with_thresholds(found: "Classifier", given: dict[str, float], values: Any) -> "Classifier":
    """The network of several labels with the thresholds of --thresholds.

    They are of the probabilities that the network shows, which may have a temperature.
    """
    from tfrobust.core import loading
    from tfrobust.core.door import as_labels

    if found.thresholds is None:
        raise InputError(
            "--thresholds goes with a network of several labels that may hold together, and "
            f"{values.model} is of classes that exclude one another"
        )
    temperature = checked_temperature(loading.temperature_of(values.model))
    shown = at_temperature(found.thresholds, temperature)
    wanted = thresholds.settled(given, loading.class_names(values.model), shown)
    return as_labels(found, thresholds=at_temperature(wanted, 1 / temperature))


def class_names(values: Any) -> list[str] | None:
    """The names of the network's classes, from the model card beside it; None without one.

    Raises:
        InputError: the card is damaged.
    """
    from tfrobust.core import loading

    # The card names all the labels, and not the two classes that are made of one.
    return loading.class_names(values.model) if values.label is None else None


def data_set(values: Any, classifier: "Classifier") -> "tuple[DataSource, list[str]]":
    """The data set that the flags name, brought to the network.

    Args:
        values: the flags.
        classifier: the network.

    Returns:
        The data set, and sentences for the user.

    Raises:
        InputError: the data set does not fit the network.
    """
    from tfrobust.datasets.fitting import load_fitting

    source, found = load_fitting(
        values.dataset,
        data_dir=values.data_dir,
        image_shape=(classifier.input_shape or (None,) * 4)[1:],
        num_classes=classifier.num_classes,
        class_names=class_names(values),
        bits=values.bits,
        frame=values.frame,
        labels=values.labels,
        group=values.group,
        fit=values.fit,
        several=classifier.task == "multi-label",
        label=values.label,
    )
    return source, [*found, *notes(values)]


def notes(values: Any) -> list[str]:
    """What the model card says of --dataset otherwise than this command.

    With another split some of the test images may be those that were trained on.

    Raises:
        InputError: the card is damaged.
    """
    from tfrobust.core import loading

    trained = loading.training_data(values.model)
    if trained.get("name") != values.dataset:
        return []
    return [
        f"the network was trained with {_said(name, trained[name])}, and this command has "
        f"{_said(name, values[name].value)}: test images may be others, even such as were trained "
        "on"
        for name in OF_DATA
        if name in trained and trained[name] != values[name].value
    ]


def _said(name: str, value: Any) -> str:
    return f"no --{name}" if value is None else f"--{name} {value}"


def pair(words: list[str] | None, flag: str) -> tuple[float, float] | None:
    """The two numbers that a flag gives.

    Raises:
        InputError: it gives something else.
    """
    if words is None:
        return None
    try:
        low, high = map(float, words)
    except ValueError:
        low = high = 0.0
    if not low < high:
        raise InputError(
            f"expected --{flag} as the lowest and the highest pixel, such as 0,1, got "
            f"{','.join(words)}"
        )
    return low, high
