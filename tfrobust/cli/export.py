"""Exports a network as a new version: SavedModel, ONNX and model card, checked to agree."""

from pathlib import Path
from typing import Any

from absl import flags

from tfrobust.cli import program
from tfrobust.core import shipped
from tfrobust.errors import InputError

ABOUT = """Exports a network as the next version of a folder: SavedModel, network.keras, ONNX files
and a model card. The version appears if all its forms give the same answers. For instance:
  export.py --model network.keras --output saved_models/radiographs --class_names healthy,ill"""

FLAGS = flags.FlagValues()
flags.DEFINE_string("model", None, program.MODEL, flag_values=FLAGS, required=True)
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
flags.DEFINE_bool(
    "explainer",
    True,
    "also write explainer.onnx, which takes most of the time of an export",
    flag_values=FLAGS,
)


def export(values: Any) -> None:
    """Checks the flags, then exports."""
    model_path = shipped.find(values.model, "--model to be a .keras file or a folder")
    output = Path(values.output)
    program.check_writable(output)
    program.import_tensorflow()
    from tfrobust.core.loading import class_names, load_model, shapes
    from tfrobust.exporting.saved_model import export as write

    network = load_model(model_path)
    names = values.class_names or class_names(model_path)
    if names is None:
        raise InputError(
            f"expected --class_names with the network's {shapes(network)[1]} names, as no "
            f"model card lies beside {model_path}"
        )
    try:
        folder = write(network, output, class_names=names, explainer=values.explainer)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("Nothing was written.") from None
    print(f"model {folder}/")


def main() -> None:
    """The program."""
    program.run(export, FLAGS, ABOUT)
