"""Explains a network's decisions about pictures, and draws the explanations."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from absl import flags

from tfrobust.cli import network, program
from tfrobust.datasets.names import FITS
from tfrobust.datasets.sample_bits import MAX_BITS, MIN_BITS
from tfrobust.errors import InputError

if TYPE_CHECKING:
    from tfrobust.core.classifier import Classifier

ABOUT = """Explains a network's decisions about pictures. It writes a PNG with a row for each
picture: adversarial explanations for a class and for its rival, and other methods beside them.
--html adds a page with a slider over the explanation's size, --animation a moving picture. For
instance:
  PROGRAM --model saved_models/fashion_mnist_mini --image x.png --target Coat --html
  PROGRAM --model … --image folder/of/pictures --methods grad_cam,smooth_grad,smallest_change
  PROGRAM --model … --dataset fashion_mnist_mini --images 4 --animation gif"""

# The class in tfrobust.explanations that each name stands for.
METHODS = {
    "grad_cam": "GradCAM",
    "gradients": "VanillaGradients",
    "gradients_inputs": "GradientsInputs",
    "integrated_gradients": "IntegratedGradients",
    "occlusion": "Occlusion",
    "smallest_change": "SmallestChange",
    "smooth_grad": "SmoothGrad",
}
MOST_IMAGES = 64  # rows of one picture
# Sizes on the page with a slider, RMSE of pixels from 0 to 1; --rho is another.
SLIDER_SIZES = (0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2)
FRAMES = 12  # of an animation, after the image itself

FLAGS = flags.FlagValues()
network.define(FLAGS)
flags.DEFINE_string("image", None, "a picture file, or a folder of them", flag_values=FLAGS)
flags.DEFINE_integer(
    "bits", None, program.BITS, flag_values=FLAGS, lower_bound=MIN_BITS, upper_bound=MAX_BITS
)
flags.DEFINE_integer("frame", None, program.FRAME, flag_values=FLAGS, lower_bound=1)
flags.DEFINE_enum("fit", "crop", FITS, program.FIT, flag_values=FLAGS)
flags.DEFINE_string("labels", None, program.LABELS, flag_values=FLAGS)
flags.DEFINE_string("group", None, program.GROUP, flag_values=FLAGS)
flags.DEFINE_string(
    "dataset", None, "test images of this data set, instead of --image", flag_values=FLAGS
)
flags.DEFINE_string("data_dir", None, program.DATA_DIR, flag_values=FLAGS)
flags.DEFINE_integer(
    "images",
    8,
    "how many images of a folder or data set to take, the first ones",
    flag_values=FLAGS,
    lower_bound=1,
    upper_bound=MOST_IMAGES,
)
flags.DEFINE_string(
    "target",
    None,
    "the class to explain, name or number; default: the predicted one",
    flag_values=FLAGS,
)
flags.DEFINE_float(
    "rho",
    0.1,
    "the size of the explanation, RMSE of pixels in [0, 1]",
    flag_values=FLAGS,
    lower_bound=1e-6,
    upper_bound=1.0,
)
flags.DEFINE_list(
    "methods", ["grad_cam"], f"other methods to show: {', '.join(METHODS)}", flag_values=FLAGS
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


class Images(NamedTuple):
    """What is to be explained.

    Args:
        names: a short name for each image, for the names of files.
        images: float32 (N, H, W, C) in [0, 1].
        labels: int32 (N,), the true classes; None if they are not known.
    """

    names: list[str]
    images: Any
    labels: Any


def explain(values: Any) -> None:
    """Checks the flags, then draws."""
    from tfrobust.cli import pictures

    network.check(values)
    if (values.image is None) == (values.dataset is None):
        raise InputError("expected either --image, a file or folder, or --dataset, a data set")
    check_methods(values.methods)
    output = Path(values.output or f"{_stem(values)}-explained.png")
    if output.is_dir():
        raise InputError(f"expected --output to be a PNG to write, but {output} is a folder")
    if values.html and output.suffix == ".html":
        raise InputError(f"expected --output to be a PNG; --html writes its page beside {output}")
    program.check_writable(output.resolve().parent)
    paths: list[Path] = []
    if values.dataset is None:
        paths = pictures.readable(Path(values.image), values.images, values.frame)
    else:
        from tfrobust.datasets.groups import read_labels
        from tfrobust.datasets.names import validate

        validate(values.dataset, values.data_dir)
        read_labels(values.labels, values.group)
    program.import_tensorflow()
    from tfrobust import explanations
    from tfrobust.core.files import write_atomically
    from tfrobust.core.images import GREY_OR_COLOUR
    from tfrobust.reports.animation import animate

    classifier = network.read(values)
    channels = classifier.image_shape[-1]
    if channels not in GREY_OR_COLOUR:
        raise InputError(
            f"expected a network of pictures, which have 1 or 3 channels, but {values.model} takes "
            f"{channels}. Give arrays in Python: tfrobust.explain(network, images)"
        )
    known = network.class_names(values)
    found = (
        _pictures(paths, classifier.image_shape, values)
        if paths
        else _test_images(values, classifier, known)
    )
    names = known or [str(number) for number in range(classifier.check(found.images))]
    target = chosen_class(values.target, names)
    methods = [getattr(explanations, METHODS[name])() for name in values.methods]
    overview = explanations.overview(
        classifier, found.images, target, rho=values.rho, methods=methods
    )
    overview.to_png(output, names, labels=found.labels)
    written = [f"picture {output}"]
    several = len(found.images) > 1
    for name, image in zip(found.names, found.images, strict=True):
        beside = output.with_name(f"{output.stem}-{name}" if several else output.stem)
        if values.html:
            page = beside.with_name(f"{beside.name}.html")
            write_atomically(page, _slider(classifier, image, target, values.rho, names).encode())
            written.append(f"page    {page}")
        if values.animation:
            moving = beside.with_name(f"{beside.name}-growing.{values.animation}")
            rhos = [values.rho * number / FRAMES for number in range(1, FRAMES + 1)]
            steps = explanations.at_sizes(classifier, image[None], target, rhos=rhos)
            drawn = animate(steps, names, kind=values.animation)
            write_atomically(moving, drawn)
            written.append(f"moving  {moving}")
        _tell(classifier, image, names, name if several else "")
    print("\n".join(written))


def _slider(classifier: "Classifier", image: Any, target: int, rho: float, names: list[str]) -> str:
    """The page with a slider for one image: of the class asked for, or the likeliest two."""
    import numpy as np

    from tfrobust.explanations import at_sizes, rivals
    from tfrobust.reports.slider import slider_page

    predicted = int(np.argmax(classifier(image[None])))
    targets = [predicted, int(rivals(classifier, image[None])[0])] if target < 0 else [target]
    images = np.repeat(image[None], len(targets), axis=0)
    rhos = sorted({*SLIDER_SIZES, rho})
    surer, less_sure = (
        at_sizes(classifier, images, targets, rhos=rhos, direction=one) for one in (1, -1)
    )
    return slider_page(surer, less_sure, names, predicted=predicted)


def check_methods(methods: list[str]) -> None:
    """Refuses unknown names of methods.

    Raises:
        InputError: says which there are.
    """
    for name in methods:
        if name not in METHODS:
            raise InputError(f"expected --methods of {', '.join(METHODS)}, got {name!r}")
    if len(set(methods)) < len(methods):
        raise InputError(f"expected each of --methods once, got {','.join(methods)}")


def _stem(values: Any) -> str:
    """The name of the written files by default."""
    if values.dataset is None:
        return Path(values.image).resolve().stem
    return str(values.dataset).rstrip("/").split("/")[-1].replace(":", "_")


def _pictures(paths: list[Path], shape: tuple[int, int, int], values: Any) -> Images:
    from tfrobust.cli import pictures

    stems = [path.stem for path in paths]
    # Of a.png and a.jpg in one folder, the pages are told apart by the whole name.
    names = [path.name if stems.count(path.stem) > 1 else path.stem for path in paths]
    return Images(names, pictures.read(paths, shape, values), None)


def _test_images(values: Any, classifier: "Classifier", class_names: list[str] | None) -> Images:
    from tfrobust.cli import pictures
    from tfrobust.datasets.fitting import load_fitting

    source, notes = load_fitting(
        values.dataset,
        data_dir=values.data_dir,
        image_shape=classifier.image_shape,
        num_classes=classifier.num_classes,
        class_names=class_names,
        bits=values.bits,
        frame=values.frame,
        labels=values.labels,
        group=values.group,
        fit=values.fit,
    )
    for text in [*notes, *network.notes(values)]:
        pictures.note(f"note: {text}")
    sample = source.test_sample(values.images)
    names = [str(number) for number in range(len(sample.images))]
    return Images(names, sample.images, sample.labels)


def _tell(classifier: "Classifier", image: Any, names: list[str], name: str) -> None:
    """Prints the three likeliest classes of an image."""
    import numpy as np

    logits = np.asarray(classifier(image[None]))[0].astype(np.float64)
    shares = np.exp(logits - logits.max())
    shares /= shares.sum()
    if name:
        print(f"{name}:")
    for number in np.argsort(-shares)[:3]:
        print(f"{shares[number]:6.1%}  {names[number]}")


def chosen_class(target: str | None, names: list[str]) -> int:
    """The class that --target names: by its name or its number from 0. −1 for None.

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
