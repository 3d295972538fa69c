"""What is measured of a run's network, and the kept measurement that it is compared with."""

import dataclasses
from pathlib import Path

import keras

from tfrobust.attacks import Attack, L2Min, LinearizedMargin
from tfrobust.certification.certificate import Certificate
from tfrobust.certification.lipschitz import certify_lipschitz
from tfrobust.certification.smoothing import certify
from tfrobust.core.door import as_classifier
from tfrobust.core.provenance import image_hash
from tfrobust.datasets import DataSource, Sample
from tfrobust.robustness import AraReport, LabelsReport, first_images
from tfrobust.robustness.evaluation import Evaluation
from tfrobust.robustness.labels_evaluation import LabelsEvaluation
from tfrobust.robustness.options import Options
from tfrobust.robustness.presets import pool_of
from tfrobust.runs.config import Config
from tfrobust.runs.folder import Run
from tfrobust.runs.recipes import RECIPES
from tfrobust.runs.temperature import Temperature, fitted

SMOKE_IMAGES = 4
CERTIFIED_IMAGES, CERTIFIED_SIGMA = 100, 0.25
TWINS = Path(__file__).parent / "twins"


@dataclasses.dataclass(frozen=True)
class Measured:
    """What was measured of a run's network.

    Args:
        report: of the Accuracy-Robustness Areas, pixels not bound to [0, 1]. Of images that may
            have several labels it is a report by label.
        twin: the same of the run's plain twin; None if none is known.
        temperature: of the network's probabilities.
    """

    report: AraReport | LabelsReport
    twin: AraReport | None
    temperature: Temperature


def measure(run: Run, network: keras.Model) -> Measured:
    """Attacks test images as the configuration says.

    Args:
        run: its configuration's section `measure` says what is done. In a smoke run only 4 images
            are attacked, by short attacks, and the report says that it is no measurement. Finished
            parts are kept in the run's folder, and the report as ara.json.
        network: float32 images (B, H, W, C) in [0, 1] → logits (B, K).
    """
    config, source = run.config, run.source
    sample, temperature = _sample(run), fitted(run, network)
    options = Options(
        preset=config.measure.preset,
        attacks=short_attacks() if run.is_smoke else None,
        pool=None if run.is_smoke else pool_of(source),
        name=config.name,
        data=f"{source.info.name}, {sample.drawn}",
        class_names=source.info.class_names,
        files=sample.files,
        groups=sample.groups,
        temperature=temperature.value,
        partial_dir=run.folder / "evaluation",
        smoke=run.is_smoke,
        seed=config.seed,
    )
    if source.info.multi_label:
        by_label = LabelsEvaluation(network, sample.images, sample.labels, options).report(run=True)
        by_label.to_json(run.folder / "ara.json")
        return Measured(by_label, None, temperature)
    evaluation = Evaluation(network, sample.images, sample.labels, options)
    evaluation.run()
    report = evaluation.report()
    if config.network.architecture == "lipschitz":
        certificate = certify_lipschitz(network, *sample[:2], seed=config.seed)
        report = dataclasses.replace(report, lipschitz=certificate)
    report.to_json(run.folder / "ara.json")
    return Measured(report, plain_twin(config, source, report), temperature)


def measure_in_box(run: Run, network: keras.Model) -> AraReport | LabelsReport:
    """Attacks the images that `measure` attacks, with perturbed pixels kept in [0, 1].

    Args:
        run: as for `measure`. The report is also kept as ara_box.json.
        network: as for `measure`.
    """
    images, labels = _sample(run)[:2]
    options = Options(
        preset="fast" if run.is_smoke else run.config.measure.preset,
        pool=pool_of(run.source),
        bounds=(0.0, 1.0),
        name=f"{run.config.name}, in [0, 1]",
        partial_dir=run.folder / "evaluation_box",
        smoke=run.is_smoke,
        seed=run.config.seed,
    )
    report: AraReport | LabelsReport
    if run.source.info.multi_label:
        options = dataclasses.replace(options, class_names=run.source.info.class_names)
        report = LabelsEvaluation(network, images, labels, options).report(run=True)
    else:
        evaluation = Evaluation(network, images, labels, options)
        evaluation.run()
        report = evaluation.report()
    report.to_json(run.folder / "ara_box.json")
    return report


def certified(run: Run, network: keras.Model) -> list[Certificate]:
    """Certifies the smoothed network on the first of the images that `measure` attacks.

    Returns:
        One certificate; of several labels that of the decision about each.
    """
    images, labels = (part[:CERTIFIED_IMAGES] for part in _sample(run)[:2])
    asked = [(network, labels)]
    if run.source.info.multi_label:
        asked = [(as_classifier(network, label=label), own) for label, own in enumerate(labels.T)]
    draws = 100 if run.is_smoke else 1000
    return [certify(one, images, own, sigma=CERTIFIED_SIGMA, n=draws) for one, own in asked]


def short_attacks() -> list[Attack]:
    """What `measure` takes in a smoke run in place of a preset."""
    size = SMOKE_IMAGES
    return [LinearizedMargin(steps=4, rivals=1, batch_size=size), L2Min(steps=10, batch_size=size)]


def plain_twin(config: Config, source: DataSource, report: AraReport) -> AraReport | None:
    """The kept measurement of the run's plain twin, on the same images by the same attacks.

    Args:
        config: of the run.
        source: of its test images.
        report: of its network.

    Returns:
        None if none is kept of this architecture, training and images, if the run has neither
        the penalty nor adversarial training, or if the report is a smoke run's.
    """
    name = config.data.name
    path = TWINS / f"{name}.json"
    is_plain = not config.penalty.on and config.adversarial.method == "none"
    if report.smoke or is_plain or not path.exists():
        return None
    if config.plain_twin() != RECIPES[f"{name}_plain"]().plain_twin():
        return None
    twin = AraReport.from_json(path)
    images, labels = source.test_arrays(twin.images)
    count = report.images
    if count > twin.images or image_hash(images, labels) != twin.image_hash:
        return None
    if not set(report.attack_names) <= set(twin.attack_names):
        return None
    same = image_hash(images[:count], labels[:count])
    return first_images(twin, count, report.attack_names, same)


def _sample(run: Run) -> Sample:
    """The test images that are measured."""
    wanted = run.config.measure
    return run.source.test_sample(SMOKE_IMAGES if run.is_smoke else wanted.images, draw=wanted.draw)
