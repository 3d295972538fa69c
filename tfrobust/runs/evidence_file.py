"""Gathers an evidence file from what was trained and measured."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfrobust.core import loading
from tfrobust.core.door import as_classifier, as_labels
from tfrobust.core.files import write_atomically
from tfrobust.core.provenance import file_hashes
from tfrobust.datasets.folder import Reading
from tfrobust.errors import InputError
from tfrobust.reports.evidence_file import EvidenceFile, LabelEvidence, Made, evidence_page
from tfrobust.robustness import LabelsReport
from tfrobust.robustness.performance import Performance
from tfrobust.robustness.report import AraReport
from tfrobust.runs.evidence_contradictions import (
    Report,
    read_report,
    refuse_another_model,
    refuse_contradictions,
    reports_of,
)
from tfrobust.runs.file_predictions import predicted
from tfrobust.runs.folder import CONFIG_FILE

NEEDED, OPTIONAL = ("model", "report"), ("run", "data")
# What of a run's folder says how the training went. Checkpoints are many and large.
RUN_FILES = (CONFIG_FILE, "metrics.csv", "finished.json")
ASKED_AT_A_TIME = 50  # files
# Another machine may round a probability otherwise by less than this.
FAR = 1e-3
LIMITS = (
    "Sizes of perturbations are upper bounds by the attacks named: a stronger attack can only "
    "lower them.",
    "Attacks change pixels a little. Other cameras, rotation, blur, occlusion and patches were not "
    "tested.",
    "The figures are of the images counted. They hold for a place of use only as far as these "
    "images stand for it.",
)
NO_DATA = (
    "The measured images are named by one hash over their pixels and labels; their files were not "
    "given, so no single file is hashed, and the network was not asked about them again."
)
NO_RUN = "The run's folder was not given, so its configuration and its log are not hashed."


def gather(sources: Mapping[str, Path], beside: Path, made: Made) -> EvidenceFile:
    """Gathers the evidence.

    Args:
        sources: "model", a folder of one version; "report", an ara.json; and if they are there
            "run", the folder of the training run, and "data", the folder that the measured files
            lie in.
        beside: the folder of the evidence file, which the sources are named relative to.
        made: by whom and when.

    Raises:
        InputError: a source is missing or damaged, or they contradict one another or themselves.
    """
    if not set(NEEDED) <= set(sources) <= {*NEEDED, *OPTIONAL}:
        raise InputError(
            f"expected the sources {', '.join(NEEDED)}, and perhaps {', '.join(OPTIONAL)}, got "
            f"{', '.join(sources) or 'none'}"
        )
    report = read_report(sources["report"])
    first = reports_of(report)[0]
    card = loading.card(sources["model"]) or {}
    refuse_another_model(report, card, sources)
    refuse_contradictions(report, sources["report"])
    told = card.get("limits", [])
    if not isinstance(told, list):
        raise InputError(
            f"expected the model card of {sources['model']} to have a list of limits, got "
            f"{told!r:.40}"
        )
    limits = [*LIMITS, *map(str, told)]
    limits += [text for key, text in (("data", NO_DATA), ("run", NO_RUN)) if key not in sources]
    files = {name: _hashes(name, path) for name, path in sources.items()}
    measured = first.predictions.files if "data" in sources and first.predictions else ()
    if unhashed := [name for name in measured if name not in files["data"]]:
        raise InputError(
            f"expected the measured images in {sources['data']}, but {len(unhashed)} are not "
            f"there, the first is {unhashed[0]}"
        )
    return EvidenceFile(
        made=made,
        sources={name: _relative(path, beside) for name, path in sources.items()},
        files=files,
        network={name: card.get(name) for name in ("name", "version", "date", "classes", "input")},
        training=_training(card, sources.get("run")),
        measurement={
            "network": report.name,
            "images": report.data,
            "number of images": first.images,
            **_hash_of_images(report),
            "attacks": list(first.attack_names),
            "gradients for each image, at most": first.attack_gradients,
            "bounds of attacked pixels": list(first.bounds or ["none"]),
            "seed": report.seed,
            "command": first.command,
            "only a trial": first.smoke,
            "versions": dict(first.versions),
        },
        limits=tuple(limits),
        **_figures(report),
    )


def _hash_of_images(report: Report) -> dict[str, Any]:
    if isinstance(report, AraReport):
        return {"hash of images and labels": report.image_hash}
    hashes = {one.label: one.report.image_hash for one in report.labels}
    return {"hash of images and of each label": hashes}


def _figures(report: Report) -> dict[str, Any]:
    """The fields of an `EvidenceFile` that are about what was found."""
    if isinstance(report, AraReport):
        return {
            "attack_ara": report.attack_ara,
            "btr_ara": report.btr_ara,
            "performance": Performance.of(report),
            "checks": report.checks,
            "unchecked": report.unchecked,
        }
    labels = [
        LabelEvidence(label=one.label, threshold=one.told_threshold, **_figures(one.report))
        for one in report.labels
    ]
    return {
        "attack_ara": report.mean_ara,
        "btr_ara": None,
        "performance": None,
        "checks": {},
        "unchecked": {},
        "labels": tuple(labels),
    }


def write(evidence: EvidenceFile, path: Path) -> str:
    """Writes the JSON and, beside it, the page.

    Args:
        evidence: to write.
        path: of the JSON; the page has the same name and ends in .html.

    Returns:
        The fingerprint: the SHA-256 of the JSON.
    """
    evidence.to_json(path)
    fingerprint = hashlib.sha256(path.read_bytes()).hexdigest()
    page = evidence_page(evidence, fingerprint)
    write_atomically(path.with_suffix(".html"), page.encode())
    return fingerprint


def _training(card: Mapping[str, Any], run: Path | None) -> dict[str, Any]:
    """What is known of the training."""
    told = {name: card.get(name) for name in ("provenance", "packages", "recipe")}
    if run is None:
        return told
    path = run / CONFIG_FILE
    try:
        content = json.loads(path.read_text())
        json.dumps(content, allow_nan=False)  # which the evidence could not hold
        config = content["config"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"expected a run's configuration at {path}, got: {error!r}") from None
    if told["recipe"] is not None and told["recipe"] != config:
        raise InputError(
            f"expected {path} to be of the run that the model card tells of, but they differ"
        )
    names = ("data", "command", "versions", "machine", "started", "execution")
    return {**told, "recipe": config, "run": {name: content.get(name) for name in names}}


def _hashes(source: str, path: Path) -> dict[str, str]:
    if source != "run":
        return file_hashes(path)
    return {
        name: digest
        for part in RUN_FILES
        if (path / part).is_file()
        for name, digest in file_hashes(path / part).items()
    }


def _relative(path: Path, beside: Path) -> str:
    return os.path.relpath(path.resolve(), beside.resolve()).replace(os.sep, "/")


def refuse_other_answers(sources: Mapping[str, Path]) -> None:
    """Asks the network about the measured files again, if these are there.

    Hashes say that no file has changed since. This says that the report is of this network and of
    these files.

    Args:
        sources: as for `gather`.

    Raises:
        InputError: it answers otherwise than the report says.
    """
    if "data" not in sources:
        return
    report = read_report(sources["report"])
    several = isinstance(report, LabelsReport)
    said_of_each = [one.predictions for one in reports_of(report) if one.predictions is not None]
    names = said_of_each[0].files
    if not names:
        raise InputError(
            "expected a report that names the files of its images, where the folder of its data is "
            "given; evaluate the folder again"
        )
    model, told = sources["model"], loading.reading(sources["model"])
    reading = Reading(told.get("bits"), told.get("frame"), fit=told.get("fit", "crop"))
    classifier = (as_labels if several else as_classifier)(loading.load(model))
    # Of two classes, without and with a label, only the second is a label's own answer.
    found = said_of_each[0].probabilities
    if several:
        found = np.stack([one.probabilities[:, 1] for one in said_of_each], axis=1)
    files = [(name, sources["data"] / name) for name in names]
    for first in range(0, len(files), ASKED_AT_A_TIME):
        some = files[first : first + ASKED_AT_A_TIME]
        rows = predicted(classifier, some, reading, batch_size=ASKED_AT_A_TIME)
        for row, said in zip(rows, found[first:], strict=False):
            if row.problem:
                raise InputError(f"expected to read {sources['data'] / row.file}: {row.problem}")
            if len(said) != len(row.probabilities) or np.abs(said - row.probabilities).max() > FAR:
                raise InputError(
                    f"expected the network at {model} to answer {row.file} as the report says, but "
                    "it answers otherwise: one of network, file and report is another"
                )
