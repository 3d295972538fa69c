"""Tries at the start of a run, on the untrained network, what could fail at its end."""

import os
import shutil
import sys
from pathlib import Path

import keras
from tqdm import tqdm

from tfrobust.core.files import check_utf8
from tfrobust.core.images import GREY_OR_COLOUR
from tfrobust.datasets import DatasetInfo
from tfrobust.errors import InputError, reason_of
from tfrobust.exporting import saved_model
from tfrobust.models.names import ARCHITECTURES
from tfrobust.runs.build import FEW_STEPS
from tfrobust.runs.checkpoints import KEPT
from tfrobust.runs.config import Config
from tfrobust.runs.explained import pictures
from tfrobust.runs.folder import Run

MEGABYTE = 2**20
# The network's weights, its optimizer's state beside them, and a second average of the weights.
COPIES_OF_A_CHECKPOINT = 3
# SavedModel, network.keras, classifier.onnx, explainer.onnx, and network.keras in the run's folder.
COPIES_OF_AN_EXPORT = 5
# Of an evaluation: two goals for each of so many attacks, whose perturbed images are kept.
KEPT_RESULTS = 12
BESIDES = 50 * MEGABYTE  # logs, reports, and the graphs of an export


def check_text(config: Config, info: DatasetInfo, *folders: Path) -> None:
    """Refuses names that reports, JSON and a terminal cannot hold.

    Args:
        config: of the run.
        info: of the data.
        *folders: where the run writes to.

    Raises:
        InputError: a name is not UTF-8, as a folder's may be.
    """
    for text in (str(config.data.name), *info.class_names, info.provenance, *map(str, folders)):
        check_utf8(text)


def check_room(config: Config, network: keras.Model, *, runs: Path, saved_models: Path) -> None:
    """Refuses a disk on which the run's files would have no room.

    Args:
        config: of the run.
        network: that is trained.
        runs: the folder of the run, or of the runs.
        saved_models: the folder of the exports.

    Raises:
        InputError: there is less room than the files will take.
    """
    weights = sum(variable.numpy().nbytes for variable in network.variables)
    height, width, channels = network.input_shape[1:]
    results = KEPT_RESULTS * config.measure.images * height * width * channels * 4
    # While a checkpoint is written, the older ones are still there.
    of_run = (KEPT + 1) * COPIES_OF_A_CHECKPOINT * weights + results + BESIDES
    of_export = COPIES_OF_AN_EXPORT * weights + BESIDES
    needed: dict[int, int] = {}
    folders: dict[int, Path] = {}
    for folder, size in ((runs, of_run), (saved_models, of_export)):
        there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
        disk = os.stat(there).st_dev
        needed[disk] = needed.get(disk, 0) + size
        folders.setdefault(disk, there)
    for disk, size in needed.items():
        free = shutil.disk_usage(folders[disk]).free
        if free < size:
            raise InputError(
                f"expected {size // MEGABYTE} MB of room at {folders[disk]}, for checkpoints, "
                f"reports and the export, got {free // MEGABYTE} MB; make room, or name another "
                "folder"
            )


def few_steps(config: Config, steps: int) -> str:
    """Why a training is too short to mean anything; "" if it is not, or is a smoke run.

    Args:
        config: of the run.
        steps: of the whole training.
    """
    if steps >= FEW_STEPS or config.training.max_steps is not None:
        return ""
    return (
        f"the training has {steps} steps. In fewer than {FEW_STEPS} a network learns little, and ψ "
        "cannot grow as far as in the paper: figures of it say more about the length of the "
        "training than about the network. Train for more epochs, or by smaller batches"
    )


def is_risky(config: Config) -> bool:
    """Whether a network is none of ours, whose every stage tests have tried."""
    return config.network.architecture not in ARCHITECTURES


def rehearse(run: Run, network: keras.Model) -> None:
    """Explains an image, draws it, and exports, all into nothing.

    Args:
        run: its first training image is explained.
        network: as it would be measured and exported after the training.

    Raises:
        InputError: a stage after the training would fail.
    """
    tqdm.write("trying explanations and export before the training", file=sys.stderr)
    info = run.source.info
    images, labels = run.source.test_arrays(1)

    try:
        if is_drawable(run):
            next(pictures(network, images, labels, info.class_names))
        left_out = saved_model.rehearse(
            network, run.folder, class_names=info.class_names, bits=info.bits
        )
    except Exception as error:  # a stranger's layer may raise anything
        raise InputError(
            f"expected a network that can be explained and exported once it is trained, but "
            f"`network.architecture` {run.config.network.architecture} cannot: {reason_of(error)}"
        ) from error
    for file, reason in left_out.items():
        tqdm.write(f"warning: {file} will be left out of the export: {reason}", file=sys.stderr)


def is_drawable(run: Run) -> bool:
    """Whether pictures can show the run's images: grey or colour."""
    return run.source.info.image_shape[-1] in GREY_OR_COLOUR
