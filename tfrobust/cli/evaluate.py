"""Measures the Accuracy-Robustness Area of any network on any data set."""

from pathlib import Path
from typing import Any

from absl import flags

from tfrobust.cli import program
from tfrobust.errors import InputError

ABOUT = """Measures a network's Accuracy-Robustness Area: attacks test images, and writes ara.json
and report.html. The same command goes on where an interrupted one stopped. For instance:
  evaluate.py --model saved_models/fashion_mnist_mini --dataset fashion_mnist_mini"""

FLAGS = flags.FlagValues()
flags.DEFINE_string(
    "model", None, "a .keras file, or a SavedModel's folder", flag_values=FLAGS, required=True
)
flags.DEFINE_string(
    "dataset",
    None,
    "fashion_mnist_mini, a set of TensorFlow Datasets, or folder:/path",
    flag_values=FLAGS,
    required=True,
)
flags.DEFINE_string("data_dir", None, "where TensorFlow Datasets keeps its sets", flag_values=FLAGS)
flags.DEFINE_integer("images", 100, "test images to attack", flag_values=FLAGS, lower_bound=1)
flags.DEFINE_enum(
    "preset",
    "standard",
    ["fast", "standard", "thorough"],
    "the attacks; thorough includes the paper's of 450 steps",
    flag_values=FLAGS,
)
flags.DEFINE_bool("box", False, "keep adversarial images in [0, 1]", flag_values=FLAGS)
flags.DEFINE_string(
    "output", None, "folder to write to; default: runs/evaluate-MODEL-DATASET", flag_values=FLAGS
)


def evaluate(values: Any) -> None:
    """Checks the flags, then attacks."""
    from tfrobust.datasets.names import validate

    model_path = Path(values.model)
    if not model_path.exists():
        raise InputError(f"expected --model to be a .keras file or a folder; {model_path} is none")
    validate(values.dataset, values.data_dir)
    words = [*model_path.resolve().with_suffix("").parts[-2:], values.dataset]
    label = "-".join(words).replace("/", "-").replace(":", "-")
    folder = Path(values.output or f"runs/evaluate-{label}")
    program.check_writable(folder)
    program.import_tensorflow()
    from tfrobust import datasets
    from tfrobust.evaluation.evaluate import evaluate as measure
    from tfrobust.exporting.loading import load_model, shapes

    network = load_model(model_path)
    image_shape, classes = shapes(network)
    height, width, _ = image_shape
    native = datasets.load(values.dataset, data_dir=values.data_dir)
    source = native
    if native.info.image_shape[:2] != (height, width) and height == width:
        source = datasets.load(values.dataset, data_dir=values.data_dir, image_size=height)
        print(f"images of {native.info.name} are resized to {height} × {width}")
    if source.info.image_shape != image_shape:
        raise InputError(
            f"the network takes images of {image_shape}, but {values.dataset} has "
            f"{native.info.image_shape}; name a data set that fits"
        )
    if source.info.num_classes != classes:
        raise InputError(
            f"the network tells {classes} classes apart, but {values.dataset} "
            f"has {source.info.num_classes}; name a data set that fits"
        )
    images, labels = source.test_arrays(values.images)
    try:
        report = measure(
            network,
            images,
            labels,
            preset=values.preset,
            name=str(model_path),
            data=f"{source.info.name}, first {len(images)} test images",
            box=values.box,
            partial_dir=folder / "evaluation",
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt("What was measured is kept; the same command goes on.") from None
    report.to_json(folder / "ara.json")
    report.to_html(folder / "report.html")
    print(f"{report.summary()}\n\nreport  {folder / 'report.html'}\nfigures {folder / 'ara.json'}")


def main() -> None:
    """The program."""
    program.run(evaluate, FLAGS, ABOUT)
