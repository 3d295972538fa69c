"""Draws what a network would need to see to be surer of a class, or less sure."""

import sys
from pathlib import Path
from typing import Any

from absl import flags

from tfrobust.cli import program
from tfrobust.errors import InputError

ABOUT = """Explains a network's decision about a picture: writes a PNG with the adversarial
explanations for a class and for its rival, and Grad-CAM beside them. For instance:
  explain.py --model saved_models/fashion_mnist_mini --image x.png --target Coat"""

FLAGS = flags.FlagValues()
flags.DEFINE_string(
    "model", None, "a .keras file, or a SavedModel's folder", flag_values=FLAGS, required=True
)
flags.DEFINE_string("image", None, "a PNG or JPEG file", flag_values=FLAGS, required=True)
flags.DEFINE_string(
    "target", None, "class to explain, name or number; default: the predicted", flag_values=FLAGS
)
flags.DEFINE_float(
    "rho",
    0.1,
    "size of the explanation, RMSE of pixels from 0 to 1",
    flag_values=FLAGS,
    lower_bound=1e-6,
    upper_bound=1.0,
)
flags.DEFINE_string(
    "output", None, "PNG to write; default: IMAGE-explained.png here", flag_values=FLAGS
)


def explain(values: Any) -> None:
    """Checks the flags, then draws."""
    from tfrobust.datasets import pictures

    model_path, image_path = Path(values.model), Path(values.image)
    if not model_path.exists():
        raise InputError(f"expected --model to be a .keras file or a folder; {model_path} is none")
    output = Path(values.output or f"{image_path.stem}-explained.png")
    if output.is_dir():
        raise InputError(f"expected --output to be a PNG to write, but {output} is a folder")
    program.check_writable(output.resolve().parent)
    try:
        header = pictures.inspect(image_path)
    except pictures.PictureError as error:
        raise InputError(
            f"expected --image to be a readable PNG or JPEG; {image_path} is not: {error}"
        ) from None
    program.import_tensorflow()
    import numpy as np

    from tfrobust.exporting.loading import class_names, load_model, shapes

    network = load_model(model_path)
    (height, width, channels), classes = shapes(network)
    names = class_names(model_path) or [str(number) for number in range(classes)]
    target = chosen_class(values.target, names)
    picture = pictures.read(image_path, channels)
    if picture.shape[:2] != (height, width):
        print(
            f"note: {image_path} has {picture.shape[0]} × {picture.shape[1]} pixels; its middle "
            f"is resized to the network's {height} × {width}",
            file=sys.stderr,
        )
    if header.transparent:
        print(f"note: {image_path} has transparent pixels; they are laid on white", file=sys.stderr)
    image = pictures.fit(picture, (height, width)).astype(np.float32) / 255
    from tfrobust.evaluation.atomic import write_atomically
    from tfrobust.explanations.figures import explanation_picture

    drawn = explanation_picture(network, image, target, names, rho=values.rho)
    write_atomically(output, drawn)
    logits = np.asarray(network(image[None]))[0].astype(np.float64)
    shares = np.exp(logits - logits.max())
    shares /= shares.sum()
    for number in np.argsort(-shares)[:3]:
        print(f"{shares[number]:6.1%}  {names[number]}")
    print(f"picture {output}")


def chosen_class(target: str | None, names: list[str]) -> int:
    """The class that --target means: a name, or a number from 0; −1 when None.

    Raises:
        InputError: no such class.
    """
    if target is None:
        return -1
    lowered = [name.lower() for name in names]
    if target.lower() in lowered:
        return lowered.index(target.lower())
    if target.isdecimal() and int(target) < len(names):
        return int(target)
    listed = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
    raise InputError(
        f"expected --target to be a class, from 0 to {len(names) - 1} or one of {listed}; "
        f"got {target!r}"
    )


def main() -> None:
    """The program."""
    program.run(explain, FLAGS, ABOUT)
