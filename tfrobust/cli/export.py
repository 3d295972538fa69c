"""Exports a network as a new version: SavedModel, ONNX and model card, checked to agree."""

from pathlib import Path
from typing import Any

from absl import flags

from tfrobust.cli import program
from tfrobust.core import shipped
from tfrobust.errors import InputError

FORMS = ["keras", "classifier", "explainer"]
ABOUT = """Exports a network as the next version of a folder: SavedModel, network.keras, ONNX files
and a model card. All forms give the same answers; one that cannot be made is left out, and the
card says why. For instance:
  export.py --model network.keras --output saved_models/radiographs --class_names healthy,ill"""

FLAGS = flags.FlagValues()
flags.DEFINE_string("model", None, program.MODEL, flag_values=FLAGS, required=True)
flags.DEFINE_list("input_range", None, program.INPUT_RANGE, flag_values=FLAGS)
flags.DEFINE_string(
    "output",
    None,
    "the folder of versions, such as saved_models/NAME",
    flag_values=FLAGS,
    required=True,
)
flags.DEFINE_list(
    "class_names", None, "a name for each class; default: the model card's", flag_values=FLAGS
)
flags.DEFINE_list(
    "forms",
    FORMS,
    "what to write besides the SavedModel: keras for network.keras, classifier for "
    "classifier.onnx, explainer for explainer.onnx, which takes most of the time",
    flag_values=FLAGS,
)


def export(values: Any) -> None:
    """Checks the flags, then exports."""
    if unknown := sorted(set(values.forms) - {"saved_model", *FORMS}):
        raise InputError(f"expected --forms out of {', '.join(FORMS)}, got {', '.join(unknown)}")
    shipped.find(values.model)
    output = Path(values.output)
    program.check_writable(output)
    program.import_tensorflow()
    from tfrobust.core.door import as_classifier
    from tfrobust.core.loading import class_names, load
    from tfrobust.exporting.saved_model import export as write

    network = as_classifier(load(values.model), input_range=program.input_range(values))
    names = values.class_names or class_names(values.model)
    if names is None:
        raise InputError(
            f"expected --class_names with the network's {network.num_classes} names, as no "
            f"model card lies beside {values.model}"
        )
    try:
        folder = write(network, output, class_names=names, forms=values.forms)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("Nothing was written.") from None
    print(f"model {folder}/")


def main() -> None:
    """The program."""
    program.run(export, FLAGS, ABOUT)
