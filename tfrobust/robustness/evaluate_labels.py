"""`evaluate_labels`: how robust is a network of several labels that may hold together?"""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfrobust.attacks import Attack
from tfrobust.core.bounds import Bounds
from tfrobust.core.classifier import Classifier, Model, logits_of
from tfrobust.core.door import as_labels
from tfrobust.core.images import arrays, checked_images, checked_label_rows
from tfrobust.core.input_range import UNIT, Range, check_range
from tfrobust.core.one_label import one_by_one
from tfrobust.errors import InputError
from tfrobust.robustness.evaluation import Evaluation
from tfrobust.robustness.labels_report import LabelReport, LabelsReport
from tfrobust.robustness.options import Options

BATCH = 32  # images that are predicted at a time


def evaluate_labels(
    network: Model,
    images: Any,
    labels: Any = None,
    *,
    input_range: Range | None = None,
    preset: str = "standard",
    attacks: Sequence[Attack] | None = None,
    bounds: Bounds | None = None,
    name: str | None = None,
    data: str = "",
    label_names: Sequence[str] = (),
    partial_dir: str | Path | None = None,
    progress: bool = True,
    smoke: bool = False,
    seed: int = 0,
) -> LabelsReport:
    """Measures the Accuracy-Robustness Area of each label of a multi-label network.

    A label's decision is that between two classes, without and with the label, at a confidence of
    one half. For each image and label it searches the smallest perturbation that turns it.

    Args:
        network: ends in K sigmoids, or in their logits: see `as_labels`.
        images: float (N, H, W, C) in [0, 1] or uint8, at least one; or a tf.data.Dataset of pairs
            of images and labels.
        labels: (N, K) of 0 and 1: 1 where a label holds; None beside a data set.
        input_range: as for `evaluate`, and so are preset, attacks, bounds, progress, smoke and
            seed.
        preset: "fast", "standard" or "thorough".
        attacks: the attacks in order.
        bounds: the lowest and highest value that an attacked pixel may have, as (0, 1).
        name: what the report calls the network; None takes the network's own name.
        data: a few words for the report that say which images these are.
        label_names: K names; without them labels have numbers.
        partial_dir: a folder that keeps what is finished, in a folder for each label. The same call
            goes on where an interrupted one ended.
        progress: whether to show a bar for each label.
        smoke: whether to mark the report as a trial that measures nothing.
        seed: of the bootstrap.

    Returns:
        The report.

    Raises:
        InputError: the input cannot be measured. It is raised before the long work begins.

    Source: Woods et al., arXiv 1906.02896, "Accuracy-Robustness Area", for each label.
    """
    classifier = as_labels(network, input_range=input_range)
    images, labels = arrays(images, labels)
    images = checked_images(images, classifier, at_least_one=True)
    if labels is None:
        raise InputError("expected labels beside the images, (N, K) of 0 and 1, got None")
    count = classifier.check(images)
    truth = checked_label_rows(labels, len(images), count)
    if len(label_names) not in (0, count):
        raise InputError(
            f"expected {count} label names, as many as the network has labels, got "
            f"{len(label_names)}"
        )
    if classifier.input_range is None:
        check_range(functools.partial(_answers, classifier), images, truth, classifier.name)
        # What is sure of all labels is not asked of each.
        classifier = as_labels(classifier, input_range=UNIT)
    names = tuple(label_names) or tuple(f"label {number}" for number in range(count))
    called = name or classifier.name
    predicted = (_answers(classifier, images) > 0).astype(np.int64)
    options = Options(
        preset=preset,
        attacks=attacks,
        bounds=bounds,
        data=data,
        progress=progress,
        smoke=smoke,
        seed=seed,
    )
    found = []
    for number, (label, one) in enumerate(zip(names, one_by_one(classifier), strict=True)):
        of_this = dataclasses.replace(
            options,
            name=f"{called}, {label}",
            class_names=(f"not {label}", label),
            partial_dir=partial_dir and Path(partial_dir) / f"label_{number}",
        )
        evaluation = Evaluation(one, images, truth[:, number], of_this)
        evaluation.run()
        found.append(
            LabelReport(
                label=label,
                holds=truth[:, number].astype(np.int64),
                predicted=predicted[:, number],
                report=evaluation.report(),
            )
        )
    return LabelsReport.of(called, data, tuple(found), seed)


def _answers(classifier: Classifier, images: np.ndarray) -> np.ndarray:
    return logits_of(classifier, images, BATCH)
