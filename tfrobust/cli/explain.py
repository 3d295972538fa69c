"""Explains a network's decisions about pictures, and draws the explanations."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from absl import flags
from tqdm import tqdm

from tfrobust.cli import asked, program
from tfrobust.errors import InputError

if TYPE_CHECKING:
    from tfrobust.cli.explained import Images
    from tfrobust.core.classifier import Classifier
    from tfrobust.explanations import Method

ABOUT = """Explains a network's decisions about pictures. It writes a PNG for each picture: what
would make the network surer of a class, or less sure, or see its rival, at the picture's own size
and with a scale in grey levels; and other methods' maps beside it.
--html adds a page with a slider over the explanation's size, --animation a moving picture. For
instance:
  PROGRAM --model saved_models/fashion_mnist_mini --image x.png --target Coat --html
  PROGRAM --model … --image x.dcm --sizes .02,.05,.1
  PROGRAM --model … --image folder/of/pictures --methods grad_cam,smooth_grad,smallest_change
  PROGRAM --model … --dataset fashion_mnist_mini --images 4 --animation gif"""

MOST_SIZES = 8  # beside one another
# Sizes on the page with a slider, RMSE of pixels from 0 to 1; the largest of --sizes is another.
SLIDER_SIZES = (0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2)
FRAMES = 12  # of an animation, after the image itself

FLAGS = flags.FlagValues()
asked.define(FLAGS)
flags.DEFINE_list(
    "sizes",
    ["0.1"],
    "the sizes of the explanations, RMSE of pixels in [0, 1], such as .02,.05,.1",
    flag_values=FLAGS,
)
flags.DEFINE_alias("rho", "sizes", flag_values=FLAGS)
flags.DEFINE_list(
    "methods", ["grad_cam"], f"other methods to show: {', '.join(asked.METHODS)}", flag_values=FLAGS
)
flags.DEFINE_bool(
    "html",
    False,
    "also write a page with a slider over the size, for each image",
    flag_values=FLAGS,
)
flags.DEFINE_enum(
    "animation",
    None,
    ["gif", "png"],
    "also write an animation of the growing explanation, for each image",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "output",
    None,
    "the PNG to write; default: NAME-explained.png in this folder",
    flag_values=FLAGS,
)


def explain(values: Any) -> None:
    """Checks the flags, then draws."""
    from tfrobust.cli import pictures

    asked.check(values)
    asked.check_methods(values.methods)
    sizes = checked_sizes(values.sizes)
    output = Path(values.output or f"{_stem(values)}-explained.png")
    if values.html and output.suffix == ".html":
        raise InputError(f"expected --output to be a PNG; --html writes its page beside {output}")
    pictures.check_output(output, [values.image or ""])
    program.check_writable(output.resolve().parent)
    paths = asked.paths_of(values)
    program.import_tensorflow()
    from tfrobust import explanations
    from tfrobust.cli import explained
    from tfrobust.core.files import write_atomically
    from tfrobust.reports.animation import animate

    classifier, found, names, target = asked.read(values, paths)
    methods = [getattr(explanations, asked.METHODS[name])() for name in values.methods]
    several = len(found.images) > 1
    rows = range(len(found.images))
    for row in tqdm(rows, desc="explaining", unit="picture", disable=not several):
        image, name = found.images[row : row + 1], found.names[row]
        beside = output.with_name(f"{output.stem}-{name}" if several else output.stem)
        drawn = _sheet(classifier, found, row, target, sizes, methods, names)
        sheet = beside.with_name(f"{beside.name}{output.suffix}")
        write_atomically(sheet, drawn)
        written = [f"picture {sheet}"]
        if values.html:
            page = beside.with_name(f"{beside.name}.html")
            write_atomically(page, _slider(classifier, image, target, sizes[-1], names).encode())
            written.append(f"page    {page}")
        if values.animation:
            moving = beside.with_name(f"{beside.name}-growing.{values.animation}")
            rhos = [sizes[-1] * number / FRAMES for number in range(1, FRAMES + 1)]
            steps = explanations.at_sizes(classifier, image, target, rhos=rhos)
            write_atomically(moving, animate(steps, names, kind=values.animation))
            written.append(f"moving  {moving}")
        explained.tell(classifier, image, names, name if several else "")
        print("\n".join(written))


def _sheet(
    classifier: "Classifier",
    found: "Images",
    row: int,
    target: int,
    sizes: list[float],
    methods: "list[Method]",
    names: list[str],
) -> bytes:
    """The picture of one image: of the class asked for, or the predicted one, and its rival."""
    from tfrobust.cli import explained
    from tfrobust.explanations import at_sizes, rivals
    from tfrobust.explanations.overviews import by_methods
    from tfrobust.reports.sheet import LESS_SURE, RIVAL, SURER, Question, sheet_png

    image = found.images[row : row + 1]
    ask = partial(at_sizes, classifier, image, rhos=sizes, batch_size=len(sizes))
    questions = [Question(SURER, ask(target))]
    asked = questions[0].answers[0].target
    # Of two classes, less of the one is more of the other.
    if len(names) > 2:
        questions.append(Question(LESS_SURE, ask(asked, direction=-1)))
    questions.append(Question(RIVAL, ask(rivals(classifier, image, asked))))
    return sheet_png(
        found.originals[row],
        questions,
        explained.probabilities(classifier, image),
        maps=by_methods(methods, classifier, image, asked),
        class_names=names,
        label=None if found.labels is None else int(found.labels[row]),
    )


def _slider(classifier: "Classifier", image: Any, target: int, rho: float, names: list[str]) -> str:
    """The page with a slider for one image: of the class asked for, or the likeliest two."""
    from tfrobust.explanations import at_sizes, rivals
    from tfrobust.reports.slider import slider_page

    predicted = int(np.argmax(classifier(image)))
    targets = [predicted, int(rivals(classifier, image)[0])] if target < 0 else [target]
    images = np.repeat(image, len(targets), axis=0)
    rhos = sorted({*SLIDER_SIZES, rho})
    surer, less_sure = (
        at_sizes(classifier, images, targets, rhos=rhos, direction=one) for one in (1, -1)
    )
    return slider_page(surer, less_sure, names, predicted=predicted)


def checked_sizes(words: list[str]) -> list[float]:
    """The numbers of --sizes, sorted.

    Raises:
        InputError: they are no sizes, too many, or one is there twice.
    """
    try:
        sizes = sorted(map(float, words))
    except ValueError:
        sizes = []
    if not sizes or not all(1e-6 <= size <= 1 for size in sizes):
        raise InputError(
            "expected --sizes as RMSE of pixels above 0 and at most 1, such as .02,.05,.1, got "
            f"{','.join(words)!r}"
        )
    if len(set(sizes)) < len(sizes) or len(sizes) > MOST_SIZES:
        raise InputError(f"expected at most {MOST_SIZES} --sizes, each once, got {','.join(words)}")
    return sizes


def _stem(values: Any) -> str:
    """The name of the written files by default."""
    if values.dataset is None:
        return Path(values.image).resolve().stem
    return str(values.dataset).rstrip("/").split("/")[-1].replace(":", "_")


def main() -> None:
    """The program."""
    program.run(explain, FLAGS, ABOUT)
