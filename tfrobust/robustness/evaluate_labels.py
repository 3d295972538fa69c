"""`evaluate_labels`: how robust is a network of several labels that may hold together?"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfrobust.attacks import Attack
from tfrobust.core.bounds import Bounds
from tfrobust.core.classifier import Model
from tfrobust.core.input_range import Range
from tfrobust.robustness.labels_evaluation import LabelsEvaluation
from tfrobust.robustness.labels_report import LabelsReport
from tfrobust.robustness.options import Options


def evaluate_labels(
    network: Model,
    images: Any,
    labels: Any = None,
    *,
    input_range: Range | None = None,
    thresholds: Sequence[float] | None = None,
    preset: str = "standard",
    attacks: Sequence[Attack] | None = None,
    bounds: Bounds | None = None,
    name: str | None = None,
    data: str = "",
    label_names: Sequence[str] = (),
    files: Sequence[str] = (),
    groups: Sequence[str] = (),
    pool: Any = None,
    partial_dir: str | Path | None = None,
    progress: bool = True,
    smoke: bool = False,
    seed: int = 0,
) -> LabelsReport:
    """Measures the Accuracy-Robustness Area of each label of a multi-label network.

    A label's decision is that between two classes, without and with the label: it holds where its
    confidence is above its threshold. For each image and label the attacks search the smallest
    perturbation that turns the decision.

    Args:
        network: ends in K sigmoids, or in their logits: see `as_labels`.
        images: float (N, H, W, C) in [0, 1] or uint8, at least one; or a tf.data.Dataset of pairs
            of images and labels.
        labels: (N, K) of 0 and 1: 1 where a label holds; None beside a data set.
        input_range: as for `evaluate`, and so are preset, attacks, bounds, progress, smoke and
            seed.
        thresholds: as for `as_labels`.
        preset: "fast", "standard" or "thorough".
        attacks: the attacks in order.
        bounds: the lowest and highest value that an attacked pixel may have, as (0, 1).
        name: what the report calls the network; None takes the network's own name.
        data: a few words for the report that say which images these are.
        label_names: K names; without them labels have numbers.
        files, groups, pool: as for `evaluate`.
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
    options = Options(
        class_names=label_names,
        input_range=input_range,
        preset=preset,
        attacks=attacks,
        bounds=bounds,
        name=name,
        data=data,
        files=files,
        groups=groups,
        pool=pool,
        partial_dir=partial_dir,
        progress=progress,
        smoke=smoke,
        seed=seed,
    )
    evaluation = LabelsEvaluation(network, images, labels, options, thresholds=thresholds)
    return evaluation.report(run=True)
