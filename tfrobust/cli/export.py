"""Exports a network as a new version: SavedModel, ONNX and model card, checked to agree."""

import sys
from pathlib import Path
from typing import Any

from absl import flags

from tfrobust.cli import network, program, reading
from tfrobust.core.mirror import mirrored
from tfrobust.core.remote import is_address
from tfrobust.core.temperature import checked_temperature
from tfrobust.errors import InputError

FORMS = ["keras", "classifier", "explainer"]
ABOUT = """Exports a network as the next version of a folder: SavedModel, network.keras, ONNX files
and a model card. All forms give the same answers; one that cannot be made is left out, and the
card says why. For instance:
  PROGRAM --model network.keras --output saved_models/radiographs --class_names healthy,ill"""

FLAGS = flags.FlagValues()
network.define(FLAGS)
flags.DEFINE_string(
    "output",
    None,
    "the folder of versions, such as saved_models/NAME, or its address (s3://…)",
    flag_values=FLAGS,
    required=True,
)
flags.DEFINE_list(
    "class_names", None, "a name for each class; default: the model card's", flag_values=FLAGS
)
reading.define(FLAGS, frame=False)
flags.DEFINE_list(
    "forms",
    FORMS,
    "what to write besides the SavedModel: keras for network.keras, classifier for "
    "classifier.onnx, explainer for explainer.onnx, which takes most of the time",
    flag_values=FLAGS,
)
flags.DEFINE_float(
    "temperature",
    None,
    "what logits are divided by before they become probabilities; it changes no decision; default: "
    "the model card's, else 1",
    flag_values=FLAGS,
)


def export(values: Any) -> None:
    """Checks the flags, then exports."""
    if unknown := sorted(set(values.forms) - {"saved_model", *FORMS}):
        raise InputError(f"expected --forms out of {', '.join(FORMS)}, got {', '.join(unknown)}")
    network.check(values)
    checked_temperature(values.temperature)
    if not is_address(values.output):
        program.check_writable(Path(values.output))
    with mirrored(values.output, versions=True) as output:
        print(f"model {output.name(_export(values, output.path))}/")


def _export(values: Any, output: Path) -> Path:
    """Exports; → the folder of the version."""
    program.import_tensorflow()
    from tfrobust.core import loading
    from tfrobust.exporting.saved_model import export as write

    classifier = network.read(values)
    names = values.class_names or network.class_names(values)
    if names is None:
        raise InputError(
            f"expected --class_names with the network's {classifier.num_classes} names, as no "
            f"model card beside {values.model} names them"
        )
    for text in reading.settle(values):
        print(f"warning: {text}", file=sys.stderr)
    try:
        return write(
            classifier,
            output,
            class_names=names,
            forms=values.forms,
            bits=values.bits,
            fit=values.fit,
            temperature=values.temperature or loading.temperature_of(values.model),
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt("Nothing was written.") from None


def main() -> None:
    """The program."""
    program.run(export, FLAGS, ABOUT)
