"""An evaluation of several labels in parts: several processes may share it."""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfrobust.core.classifier import Model, logits_of
from tfrobust.core.door import as_labels
from tfrobust.core.images import arrays, checked_images, checked_label_rows
from tfrobust.core.input_range import UNIT, check_range
from tfrobust.core.one_label import one_label
from tfrobust.core.outputs import logit
from tfrobust.errors import InputError
from tfrobust.robustness.evaluation import Evaluation
from tfrobust.robustness.labels_report import LabelReport, LabelsReport
from tfrobust.robustness.options import DEFAULT, Options
from tfrobust.robustness.predictions import Predictions
from tfrobust.robustness.report import AraReport

BATCH = 32  # images that are predicted at a time


class LabelsEvaluation:
    """An evaluation of each label of a network, as `Evaluation` is one of a classifier.

    Args:
        network: as for `evaluate_labels`, and so are images, labels and thresholds.
        images: float (N, H, W, C) in [0, 1] or uint8.
        labels: (N, K) of 0 and 1.
        options: all else that is said to `evaluate_labels`; its class_names are those of the
            labels.
        thresholds: K numbers between 0 and 1.

    Raises:
        InputError: what `Evaluation` refuses, or labels that are no rows of 0 and 1.
    """

    def __init__(
        self,
        network: Model,
        images: Any,
        labels: Any,
        options: Options = DEFAULT,
        *,
        thresholds: Sequence[float] | None = None,
    ) -> None:
        classifier = as_labels(network, input_range=options.input_range, thresholds=thresholds)
        images, labels = arrays(images, labels)
        images = checked_images(images, classifier, at_least_one=True)
        if labels is None:
            raise InputError("expected labels beside the images, (N, K) of 0 and 1, got None")
        count = classifier.check(images)
        truth = checked_label_rows(labels, len(images), count)
        if len(options.class_names) not in (0, count):
            raise InputError(
                f"expected {count} label names, as many as the network has labels, got "
                f"{len(options.class_names)}"
            )
        if classifier.input_range is None:
            ask = functools.partial(logits_of, classifier, batch_size=BATCH)
            check_range(ask, images, truth, classifier.name)
            # What is sure of all labels is not asked of each.
            classifier = as_labels(classifier, input_range=UNIT)
        self.options = dataclasses.replace(
            options,
            input_range=None,  # as_labels has been told
            name=options.name or classifier.name,
            class_names=tuple(options.class_names) or tuple(f"label {row}" for row in range(count)),
        )
        self.images = images
        self.truth = truth.astype(np.int64)
        self.thresholds = classifier.thresholds or ()
        planes = np.array([logit(one) for one in self.thresholds], np.float32)
        self.logits = logits_of(classifier, images, BATCH)
        self.predicted = (self.logits > planes).astype(np.int64)
        self._one = one_label(classifier)

    def run(self, shard: tuple[int, int] = (1, 1)) -> None:
        """Does what is still to be done of each label, and keeps it in the `partial_dir`.

        Args:
            shard: as for `Evaluation.run`.

        Raises:
            InputError: there is no such shard, or no `partial_dir`.
        """
        if self.options.partial_dir is None:
            raise InputError("expected a partial_dir, which keeps what is done, got None")
        for _, evaluation in self._each():
            evaluation.run(shard)

    def report(self, *, run: bool = False) -> LabelsReport:
        """The report of all labels.

        Args:
            run: whether to do what is still to be done. Then no `partial_dir` is needed.

        Raises:
            InputError: something is not done; the message says how much.
        """
        found = []
        for number, evaluation in self._each():
            if run:
                evaluation.run()
            found.append(
                LabelReport(
                    label=self.options.class_names[number],
                    threshold=self.thresholds[number],
                    holds=self.truth[:, number],
                    predicted=self.predicted[:, number],
                    report=self._with_own_probabilities(evaluation.report(), number),
                )
            )
        options = self.options
        return LabelsReport.of(str(options.name), options.data, tuple(found), options.seed)

    def _with_own_probabilities(self, report: AraReport, number: int) -> AraReport:
        """A label's report with the sigmoids of its logits, wherever its threshold is."""
        found, logits = report.predictions, self.logits[:, number]
        if found is None:
            return report
        of_two = np.stack([np.zeros_like(logits), logits], axis=1)
        own = Predictions.of(
            of_two, found.labels, found.attacked, files=found.files, groups=found.groups
        )
        return dataclasses.replace(
            report, predictions=dataclasses.replace(own, predicted=found.predicted)
        )

    def _each(self) -> Iterator[tuple[int, Evaluation]]:
        """Each label's evaluation, one after the other, as their perturbed images take room."""
        general = self.options
        kept = general.partial_dir
        for number, label in enumerate(self.options.class_names):
            options = dataclasses.replace(
                general,
                name=f"{general.name}, {label}",
                class_names=(f"not {label}", label),
                partial_dir=kept and Path(kept) / f"label_{number}",
            )
            with self._one.about(number):
                found = Evaluation(self._one, self.images, self.truth[:, number], options)
                yield number, found
            general = general.settled(found.batch_size)
