"""`evaluate`: from a network, images and attacks to a report of its robustness."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfrobust.attacks import Attack
from tfrobust.core.bounds import Bounds
from tfrobust.core.classifier import Model
from tfrobust.core.input_range import Range
from tfrobust.robustness.evaluation import Evaluation
from tfrobust.robustness.options import Options
from tfrobust.robustness.report import AraReport


def evaluate(
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
    class_names: Sequence[str] = (),
    files: Sequence[str] = (),
    groups: Sequence[str] = (),
    pool: Any = None,
    partial_dir: str | Path | None = None,
    progress: bool = True,
    smoke: bool = False,
    seed: int = 0,
) -> AraReport:
    """Measures a network's Accuracy-Robustness Areas, for misclassification and for BTR.

    Args:
        network: any Keras classifier of such images, or whatever else `as_classifier` takes.
        images: float (N, H, W, C) in [0, 1] or uint8, at least one; or a tf.data.Dataset of pairs
            of images and labels.
        labels: int (N,), the true classes, from 0 to K − 1; None beside a data set.
        input_range: the lowest and the highest pixel that the network takes, as (0, 255), for a
            network that does not take pixels from 0 to 1. The images are from 0 to 1 all the same.
        preset: "fast", "standard" or "thorough": how long the attacks search. It is ignored
            where `attacks` are given.
        attacks: the attacks in order, the cheap ones first. An attack that can starts from the
            smallest perturbation found so far. For each image the smallest one of all attacks
            counts. Their names must differ, and their `bounds` must be those given here.
        bounds: (0, 1) to keep attacked pixels from 0 to 1, as images are. None sets no bounds, as
            in the published figures.
        name: what the report calls the network; None takes the network's own name.
        data: a few words for the report that say which images these are.
        class_names: K names for the report's pictures; without them classes have numbers.
        files: N file names for the report; empty if there are none.
        groups: for each image what it belongs to, such as a patient's number or a hospital, as the
            report shall show it; empty if nothing groups them.
        pool: float (M, H, W, C) in [0, 1] or uint8, images outside those measured, such as training
            images. A preset blends with them where no other attack finds anything. None takes those
            measured, and the report warns where it makes a difference. Attacks of your own
            have none: add `Blend(pool)` to them.
        partial_dir: a folder that keeps what is finished. The same call with the same folder
            goes on where an interrupted one ended. None keeps nothing.
        progress: whether to show a bar with the remaining time on stderr.
        smoke: whether to mark the report as a trial of the program that measures nothing.
        seed: seed of the bootstrap. Attacks that draw random numbers have seeds of their own.

    Returns:
        The report.

    Raises:
        InputError: the input cannot be measured. It is raised before the long work begins.

    Source: Woods et al., arXiv 1906.02896, "Accuracy-Robustness Area".
    """
    evaluation = Evaluation(
        network,
        images,
        labels,
        Options(
            input_range=input_range,
            preset=preset,
            attacks=attacks,
            bounds=bounds,
            name=name,
            data=data,
            class_names=class_names,
            files=files,
            groups=groups,
            pool=pool,
            partial_dir=partial_dir,
            progress=progress,
            smoke=smoke,
            seed=seed,
        ),
    )
    evaluation.run()
    return evaluation.report()
