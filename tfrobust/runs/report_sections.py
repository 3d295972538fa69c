"""What a run's report shows beside the measurement: its training, and explanations."""

from collections.abc import Sequence

import keras

from tfrobust.core.files import write_atomically
from tfrobust.reports.page import Section
from tfrobust.reports.plots import training_curves_svg
from tfrobust.runs.explained import pictures
from tfrobust.runs.folder import Run
from tfrobust.runs.metrics_log import read_metrics

PICTURE = "explanations.png"
EXPLAINED_IMAGES = 8


def training_section(run: Run, notes: Sequence[str]) -> Section:
    """The curves of the training, and what a reader must know of it."""
    rows = read_metrics(run.folder / "metrics.csv")
    said = "".join(f" {note[0].upper()}{note[1:]}." for note in notes)
    caption = (
        f"{len(rows)} steps; each point is one batch, validation once an epoch.{said} The images: "
        f"{run.source.info.provenance}"
    )
    return Section("Training", training_curves_svg(rows), caption)


def explanations_sections(
    run: Run, network: keras.Model, temperature: float | None
) -> list[Section]:
    """Explanations of some test images, in a section for each label if there are several.

    The first picture is also written as a file of its own. Confidences are told at the
    temperature, as the exported network tells them.
    """
    count = 1 if run.is_smoke else EXPLAINED_IMAGES
    images, labels = run.source.test_sample(count, draw=run.config.measure.draw)[:2]
    names = run.source.info.class_names
    found = list(pictures(network, images, labels, names, temperature=temperature))
    write_atomically(run.folder / PICTURE, found[0].png)
    if not found[0].label:
        caption = (
            "Test images, changed so that the network is surer or less sure of the class it gives "
            "them, and surer of that class's rival (arXiv 1906.02896), beside Grad-CAM by "
            "tf-explain."
        )
        return [Section("Explanations", found[0].png, caption)]
    caption = (
        "Test images, changed so that the network is surer or less sure that the label holds "
        "(arXiv 1906.02896)."
    )
    return [Section(f"Explanations of {one.label}", one.png, caption) for one in found]
