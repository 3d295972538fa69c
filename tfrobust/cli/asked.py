"""What a program is to explain, and by which methods: the flags, and what they come to."""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from absl import flags

from tfrobust.cli import network, program, reading
from tfrobust.core.extras import missing
from tfrobust.errors import InputError

if TYPE_CHECKING:
    from tfrobust.cli.explained import Images
    from tfrobust.core.classifier import Classifier

# The class in tfrobust.explanations that each name stands for.
METHODS = {
    "attention": "Attention",
    "grad_cam": "GradCAM",
    "gradients": "VanillaGradients",
    "gradients_inputs": "GradientsInputs",
    "integrated_gradients": "IntegratedGradients",
    "lime": "LIME",
    "occlusion": "Occlusion",
    "rise": "RISE",
    "score_cam": "ScoreCAM",
    "shap": "PartitionSHAP",
    "smallest_change": "SmallestChange",
    "smooth_grad": "SmoothGrad",
    "sparse_change": "SparseChange",
}
MOST_IMAGES = 64
GROUP = "images: which ones, and the class that is explained"


class Asked(NamedTuple):
    """What is to be explained.

    Args:
        classifier: the network, at the temperature of its card; of several labels, the one that
            --target names.
        found: the images.
        names: of the classes.
        target: the class that --target names; −1 for the predicted one.
    """

    classifier: "Classifier"
    found: "Images"
    names: list[str]
    target: int


def define(values: flags.FlagValues) -> None:
    """Makes the flags that say which network, which images and which class."""
    network.define(values)
    common: dict[str, Any] = {"flag_values": values, "module_name": GROUP}
    flags.DEFINE_string("image", None, "a picture file, or a folder of them", **common)
    reading.define(values)
    flags.DEFINE_string("labels", None, program.LABELS, **common)
    flags.DEFINE_string("group", None, program.GROUP, **common)
    flags.DEFINE_string(
        "dataset", None, "test images of this data set, instead of --image", **common
    )
    flags.DEFINE_string("data_dir", None, program.DATA_DIR, **common)
    flags.DEFINE_integer(
        "images",
        8,
        "how many images of a folder or data set to take, the first ones",
        lower_bound=1,
        upper_bound=MOST_IMAGES,
        **common,
    )
    flags.DEFINE_string(
        "target",
        None,
        "the class or label to explain, name or number; default: the predicted class",
        **common,
    )


def check(values: Any) -> None:
    """Checks the flags, but not yet the pictures, before TensorFlow is imported.

    Raises:
        InputError: says what is missing or wrong.
    """
    network.check(values)
    if (values.image is None) == (values.dataset is None):
        raise InputError("expected either --image, a file or folder, or --dataset, a data set")


def paths_of(values: Any) -> list[Path]:
    """The pictures of --image; none with --dataset, which is looked up.

    Raises:
        InputError: there are none, or no such data set.
    """
    from tfrobust.cli import pictures

    if values.dataset is None:
        return pictures.readable(Path(values.image), values.images, values.frame)
    from tfrobust.datasets.groups import read_labels
    from tfrobust.datasets.names import validate

    validate(values.dataset, values.data_dir)
    read_labels(values.labels, values.group)
    return []


def read(values: Any, paths: list[Path]) -> Asked:
    """Reads the network and the images.

    Args:
        values: the flags.
        paths: what `paths_of` gave.

    Raises:
        InputError: they do not go together.
    """
    from tfrobust.cli import explained, pictures
    from tfrobust.core.images import GREY_OR_COLOUR
    from tfrobust.core.loading import temperature_of

    classifier = network.read(values).at_temperature(temperature_of(values.model))
    channels = classifier.image_shape[-1]
    if channels not in GREY_OR_COLOUR:
        raise InputError(
            f"expected a network of pictures, which have 1 or 3 channels, but {values.model} takes "
            f"{channels}. Give arrays in Python: tfrobust.explain(network, images)"
        )
    known = network.class_names(values)
    for text in reading.settle(values, values.dataset):
        pictures.note(f"warning: {text}")
    found = (
        explained.of_files(paths, classifier.image_shape, values)
        if paths
        else explained.of_data_set(values, classifier)
    )
    names = known or [str(number) for number in range(classifier.check(found.images))]
    target = chosen_class(values.target, names)
    if classifier.task == "multi-label":
        classifier, found, names = explained.about_label(classifier, found, names, target)
        target = 1
    return Asked(classifier, found, names, target)


def check_methods(methods: list[str]) -> None:
    """Refuses unknown names of methods, and those whose package is not installed.

    Raises:
        InputError: says which there are, or what to install.
    """
    for name in methods:
        if name not in METHODS:
            raise InputError(f"expected --methods of {', '.join(METHODS)}, got {name!r}")
    if len(set(methods)) < len(methods):
        raise InputError(f"expected each of --methods once, got {','.join(methods)}")
    if "shap" in methods and importlib.util.find_spec("shap") is None:
        raise InputError(missing("shap", "--methods shap"))


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
