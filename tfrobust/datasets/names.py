"""The names of data sets and the checks that need no TensorFlow.

The programs call `validate` before they import TensorFlow. So a mistyped name or a wrong folder is
refused in well under a second. `load` makes the full check.
"""

import difflib
import importlib.util
import os
from pathlib import Path
from typing import Literal, get_args

from tfrobust.errors import InputError

EMBEDDED = "fashion_mnist_mini"
FOLDER_PREFIX = "folder:"
Augmentation = Literal["none", "flip", "crop", "crop_flip", "imagenet", "radiograph"]
AUGMENTATIONS = get_args(Augmentation)
Balance = Literal["none", "weights", "sampling"]
BALANCES = get_args(Balance)
# How a picture of other proportions is brought to a size.
Fit = Literal["crop", "letterbox"]
FITS = get_args(Fit)
# Which test images are measured: drawn by label, or the first ones of the stored order.
Draw = Literal["stratified", "first"]
DRAWS = get_args(Draw)

# These sets of tensorflow-datasets 4.9.10 pair one uint8 image with one class label, or with
# several by an adapter of `several_labels`. To ask tfds itself would take three seconds, as it
# imports TensorFlow.
CATALOG_TEXT = """
beans binary_alpha_digits caltech101 caltech_birds2010 caltech_birds2011 cars196 cassava
cats_vs_dogs chexpert cifar10 cifar100 cifar100_n cifar10_1 cifar10_corrupted cifar10_h cifar10_n
citrus_leaves cmaterdb coco coil100 colorectal_histology controlled_noisy_web_labels
curated_breast_imaging_ddsm cycle_gan deep_weeds diabetic_retinopathy_detection dmlab
domainnet dtd emnist eurosat fashion_mnist food101 geirhos_conflict_stimuli
horses_or_humans i_naturalist2017 i_naturalist2018 imagenet2012 imagenet2012_corrupted
imagenet2012_fewshot imagenet2012_subset imagenet_a imagenet_lt imagenet_r
imagenet_resized imagenet_sketch imagenet_v2 imagenette imagewang kmnist malaria mnist
mnist_corrupted omniglot oxford_flowers102 oxford_iiit_pet patch_camelyon
places365_small placesfull plant_leaves plant_village plantae_k pneumonia_mnist
quickdraw_bitmap resisc45 rock_paper_scissors s3o4d siscore smallnorb so2sat
stanford_dogs stl10 sun397 svhn_cropped tf_flowers uc_merced visual_domain_decathlon
wake_vision
"""
CATALOG = tuple(CATALOG_TEXT.split())


def base_name(name: str) -> str:
    """The set's own name: "imagenet_resized" for "imagenet_resized/32x32:0.1.0"."""
    return name.split("/")[0].split(":")[0]


def unknown_name(name: str) -> InputError:
    """The error for a name that no image-classification set has. It lists the nearest names."""
    nearest = difflib.get_close_matches(base_name(name), (EMBEDDED, *CATALOG), n=4, cutoff=0.5)
    hint = f"Nearest names: {', '.join(nearest)}. " if nearest else ""
    return InputError(
        f"unknown image-classification data set {name!r}. {hint}Expected {EMBEDDED}, a set of "
        f"TensorFlow Datasets such as cifar10 or imagenet2012, or {FOLDER_PREFIX}/path/to/images."
    )


def prepared_sets(data_dir: str | os.PathLike[str]) -> list[str]:
    """The names of the sets that a folder of TensorFlow Datasets holds.

    Args:
        data_dir: the folder.

    Returns:
        Sorted names. There are none if the folder is missing.
    """
    root = Path(data_dir).expanduser()
    found = [*root.glob("*/*/dataset_info.json"), *root.glob("*/*/*/dataset_info.json")]
    return sorted({path.relative_to(root).parts[0] for path in found})


def not_prepared(name: str, data_dir: str | os.PathLike[str]) -> InputError:
    """The error for a `data_dir` that does not hold the wanted set.

    Args:
        name: the data set.
        data_dir: the folder that the user gave.

    Returns:
        The error to raise. It says how to obtain the set and what the folder does hold.
    """
    directory = Path(data_dir).expanduser()
    held = ", ".join(prepared_sets(directory)) or "no prepared set"
    if base_name(name) in prepared_sets(directory.parent):
        advice = f"Its parent does: give data_dir={directory.parent}."
    elif base_name(name) == "imagenet2012":
        advice = imagenet_advice(directory)
    else:
        advice = (
            f"To download it there: tfds build {name} --data_dir {directory} ; or give the "
            "data_dir that holds it; or give no data_dir, which downloads to "
            f"{default_data_dir()}."
        )
    return InputError(f"{directory} does not hold {name}; it holds {held}. {advice}")


def imagenet_advice(data_dir: str | os.PathLike[str]) -> str:
    """How to obtain ImageNet, which nobody may redistribute, and where to put it."""
    return (
        "ImageNet is downloaded by hand: sign in at https://image-net.org/download.php, get "
        "ILSVRC2012_img_train.tar (138 GB) and ILSVRC2012_img_val.tar (6 GB), put both into "
        f"{Path(data_dir) / 'downloads' / 'manual'} and run: "
        f"tfds build imagenet2012 --data_dir {data_dir}"
    )


def default_data_dir() -> Path:
    """Where TensorFlow Datasets keeps its sets when no `data_dir` is given."""
    return Path(os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")).expanduser()


def folder_path(name: str) -> Path:
    """The folder of a `folder:/path` name.

    Args:
        name: starts with "folder:".

    Returns:
        The absolute path of an existing folder.

    Raises:
        InputError: there is no such folder.
    """
    text = name.removeprefix(FOLDER_PREFIX)
    path = Path(text).expanduser()
    if not text or not path.is_dir():
        problem = "is not a folder" if text and path.exists() else "does not exist"
        raise InputError(
            f"expected {FOLDER_PREFIX}/path/to/images, a folder with one sub-folder a class; "
            f"{text or 'an empty path'!r} {problem}. Check the path."
        )
    return path.resolve()


def check_name(name: str) -> None:
    """Refuses a name that no data set has, without importing TensorFlow.

    Args:
        name: as for `load`.

    Raises:
        InputError: there is no such set or no such folder.
    """
    if not isinstance(name, str) or not name:
        raise InputError(f"expected the name of a data set, got {name!r}")
    if name.startswith(FOLDER_PREFIX):
        folder_path(name)
    elif name != EMBEDDED and base_name(name) not in CATALOG and not _is_newer_set(name):
        raise unknown_name(name)


def validate(name: str, data_dir: str | os.PathLike[str] | None = None) -> None:
    """Refuses a wrong name or folder, without importing TensorFlow.

    Args:
        name: as for `load`.
        data_dir: as for `load`. Only `load` itself can check a bucket (gs://…).

    Raises:
        InputError: the name is unknown, the folder is missing, or it does not hold that set.
    """
    if data_dir is None or "://" in str(data_dir):
        check_name(name)
        return
    directory = Path(data_dir).expanduser()
    if not directory.is_dir():
        raise InputError(
            f"data_dir {directory} is not an existing folder. Give the folder that holds the "
            "prepared sets of TensorFlow Datasets, or leave data_dir out."
        )
    if isinstance(name, str) and base_name(name) in prepared_sets(directory):
        return
    check_name(name)
    if name != EMBEDDED and not name.startswith(FOLDER_PREFIX):
        raise not_prepared(name, directory)


def _is_newer_set(name: str) -> bool:
    """Whether the installed tfds, or the default folder, has this set though `CATALOG` lacks it."""
    own = base_name(name)
    if not own.isidentifier():
        return False
    if own in prepared_sets(default_data_dir()):
        return True
    spec = importlib.util.find_spec("tensorflow_datasets")
    roots = (spec.submodule_search_locations or ()) if spec else ()
    return any((Path(root) / "datasets" / own).is_dir() for root in roots)
