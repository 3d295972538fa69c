"""A robust network beside its plain twin: the ratios of their areas."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfrobust.core.ara import Ara, Ratio, accuracy_robustness_area, area_ratio
from tfrobust.core.presenters import Presented
from tfrobust.core.records import Record
from tfrobust.errors import InputError
from tfrobust.robustness.predictions import UNKNOWN
from tfrobust.robustness.report import AraReport


@dataclasses.dataclass(frozen=True)
class Comparison(Record, Presented):
    """How many times as robust one network is as another.

    Args:
        attack: the ratio of the attack ARAs.
        btr: the ratio of the BTR ARAs.
        notes: sentences that say why a ratio is less than fair.
    """

    attack: Ratio
    btr: Ratio
    notes: tuple[str, ...]


def compare(robust: AraReport, twin: AraReport) -> Comparison:
    """Divides one report's areas by another's, with bootstrap intervals over images.

    If both reports are of the same images, the bootstrap is paired: each resample takes the same
    images for both networks.

    Args:
        robust: the report of the network whose gain is asked for.
        twin: the report of the network that it is compared with.

    Returns:
        The ratios, and notes on their fairness.

    Raises:
        InputError: the reports have different numbers of classes, or their attacks had different
            bounds.
    """
    if (robust.num_classes, robust.bounds) != (twin.num_classes, twin.bounds):
        raise InputError(
            "expected two reports of as many classes, both within the same bounds; got "
            f"{robust.num_classes} classes, bounds {robust.bounds} and {twin.num_classes} classes, "
            f"bounds {twin.bounds}; evaluate both networks in the same way"
        )
    paired = robust.image_hash == twin.image_hash
    notes = []
    if not paired:
        notes.append(
            f"The two networks were measured on different images ({robust.images} and "
            f"{twin.images}): the interval of the ratio is wider than it need be. "
            "Evaluate both on the same images."
        )
    if set(robust.attack_names) != set(twin.attack_names):
        notes.append(
            f"The twin was attacked by {' + '.join(twin.attack_names)}, this network by "
            f"{' + '.join(robust.attack_names)}: unequal attacks make an unfair ratio. "
            "Evaluate both with the same attacks."
        )
    groups = robust.groups if paired else ()
    attack, btr = (
        area_ratio(mine, theirs, robust.num_classes, paired=paired, groups=groups, seed=robust.seed)
        for mine, theirs in (
            (robust.attack_rmse, twin.attack_rmse),
            (robust.btr_rmse, twin.btr_rmse),
        )
    )
    return Comparison(attack, btr, tuple(notes))


def first_images(
    report: AraReport, count: int, attack_names: Sequence[str], image_hash: str
) -> AraReport:
    """The report as it would be of its first images and some of its attacks only.

    Args:
        report: a report of at least `count` images and at least these attacks.
        count: how many images to keep.
        attack_names: the names of the attacks to keep.
        image_hash: the hash of the first images and their labels.

    Returns:
        The smaller report. Its seconds and checks are those of the whole one. It has no
        certificate, no CLEVER estimate and no examples, which belong to other images. Where another
        attack found the smallest perturbation, the class under attack is not known.
    """

    def area(rmse: np.ndarray) -> Ara:
        groups = report.groups[:count]
        return accuracy_robustness_area(rmse, report.num_classes, groups=groups, seed=report.seed)

    kept = [record for record in report.attacks if record.name in attack_names]
    sizes = {
        goal: np.min([record.rmse[:count] for record in kept if record.goal == goal], axis=0)
        for goal in ("attack", "btr")
    }
    # As in `evaluate`: an image whose label is less likely than a guess is misclassified too.
    sizes["attack"] = np.minimum(sizes["attack"], sizes["btr"])
    predictions = report.predictions
    if predictions is not None:
        same = sizes["attack"] == report.attack_rmse[:count]
        attacked = np.where(same, predictions.attacked[:count], UNKNOWN)
        predictions = predictions.first(count, attacked)
    records = []
    for record in kept:
        rmse = record.rmse[:count]
        rivals = [
            rival.rmse[:count]
            for rival in kept
            if rival.goal == record.goal and rival is not record
        ]
        best = np.all([rmse < rival for rival in rivals], axis=0) & np.isfinite(rmse) & (rmse > 0)
        records.append(
            dataclasses.replace(record, rmse=rmse, ara=area(rmse), won=int(np.sum(best)))
        )
    return dataclasses.replace(
        report,
        clean_accuracy=float(np.mean(sizes["attack"] > 0)),
        attack_ara=area(sizes["attack"]),
        btr_ara=area(sizes["btr"]),
        attack_rmse=sizes["attack"],
        btr_rmse=sizes["btr"],
        attack_linf=None if report.attack_linf is None else report.attack_linf[:count],
        attacks=tuple(records),
        image_hash=image_hash,
        certificate=None,
        clever=None,
        lipschitz=None,
        examples=(),
        predictions=predictions,
    )
