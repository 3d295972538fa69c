"""How picture files are read: the flags that say it, and what the model card says of it."""

from typing import Any

from absl import flags

from tfrobust.cli import program
from tfrobust.datasets.names import FITS, FOLDER_PREFIX
from tfrobust.datasets.sample_bits import MAX_BITS, MIN_BITS
from tfrobust.errors import InputError

GROUP = "reading: how picture files are read"
NAMES = ("bits", "frame", "fit")
FIT = f"{program.FIT}; default: as the network's card says, else crop"


def define(values: flags.FlagValues, *, frame: bool = True) -> None:
    """Makes the flags. Where one is not given, the model card decides.

    Args:
        values: where to.
        frame: whether --frame is among them.
    """
    # absl groups flags by the name of a module, and heads the group with it.
    common: dict[str, Any] = {"flag_values": values, "module_name": GROUP}
    flags.DEFINE_integer(
        "bits", None, program.BITS, lower_bound=MIN_BITS, upper_bound=MAX_BITS, **common
    )
    if frame:
        flags.DEFINE_integer("frame", None, program.FRAME, lower_bound=1, **common)
    flags.DEFINE_enum("fit", None, FITS, FIT, **common)


def settle(values: Any, dataset: str | None = None) -> list[str]:
    """Sets the flags that were not given to what the model card says.

    A network that was trained on whole pictures between margins sees other things in their
    middles. So pictures are read for it as they were in training.

    Args:
        values: the flags, --model among them.
        dataset: the data set that is read; None for files. Only folders are read in several ways.

    Returns:
        Sentences for the user: what the command says otherwise than the card.

    Raises:
        InputError: the card is damaged.
    """
    from tfrobust.core import loading

    told: dict[str, Any] = {}
    if dataset is None or dataset.startswith(FOLDER_PREFIX):
        told = loading.reading(values.model)
    notes = []
    for name in NAMES:
        trained = told.get(name)
        if name not in values or trained is None:
            continue
        if values[name].value is None:
            try:
                values[name].value = values[name].parser.parse(trained)
            except (ValueError, TypeError):
                raise InputError(
                    f"expected the model card of {values.model} to say a {name} that there is, "
                    f"got {trained!r:.40}; give --{name}"
                ) from None
        elif values[name].value != trained:
            notes.append(
                f"the network was trained on pictures read with --{name} {trained}, and this "
                f"command has --{name} {values[name].value}: it sees them otherwise than it "
                "learned to"
            )
    if values.fit is None:
        values.fit = "crop"
    return notes
