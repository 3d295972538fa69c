"""Measures the Accuracy-Robustness Area of a network on a data set."""

import dataclasses
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from tfrobust.cli import network, program, reading, shards, workers
from tfrobust.core import shipped
from tfrobust.core.bounds import checked_bounds
from tfrobust.core.mirror import Mirror, mirrored
from tfrobust.core.remote import is_address
from tfrobust.datasets.names import DRAWS
from tfrobust.errors import InputError

if TYPE_CHECKING:
    from tfrobust.robustness.evaluation import Evaluation
    from tfrobust.robustness.labels_report import LabelsReport
    from tfrobust.robustness.options import Options
    from tfrobust.robustness.report import AraReport

ABOUT = """Measures a network's Accuracy-Robustness Area: attacks test images, and writes ara.json
and report.html. After an interruption, the same command goes on. For instance:
  PROGRAM --model saved_models/fashion_mnist_mini --dataset fashion_mnist_mini
Several processes or machines that share the output folder can do parts of it:
  PROGRAM --model … --dataset … --output runs/big --shard 1/8        (and so on, to 8/8)
  PROGRAM --model … --dataset … --output runs/big --merge
With both, --shard 1/8 --merge, whoever is the last to be done writes the report."""

FLAGS = flags.FlagValues()
KEPT = "What was measured is kept."
OTHERS = (
    "an .onnx file, attacked without gradients unless tfrobust[torch] is installed; or "
    "python:module:function, attacked without"
)
DATASET = "fashion_mnist_mini, a set of TensorFlow Datasets, or folder:/path"

BOUNDS = "0,1 keeps adversarial images in [0, 1]; default: no bounds"

network.define(FLAGS, f"{network.MODEL}; {OTHERS}")
flags.DEFINE_string("dataset", None, DATASET, flag_values=FLAGS, required=True)
flags.DEFINE_string("data_dir", None, program.DATA_DIR, flag_values=FLAGS)
reading.define(FLAGS)
flags.DEFINE_string("labels", None, program.LABELS, flag_values=FLAGS)
flags.DEFINE_string("group", None, program.GROUP, flag_values=FLAGS)
flags.DEFINE_integer("images", 100, "test images to attack", flag_values=FLAGS, lower_bound=1)
flags.DEFINE_enum("draw", None, DRAWS, program.DRAW, flag_values=FLAGS)
flags.DEFINE_enum(
    "preset",
    "standard",
    ["fast", "standard", "thorough"],
    "the attacks; thorough includes the paper's of 450 steps",
    flag_values=FLAGS,
)
flags.DEFINE_list("bounds", None, BOUNDS, flag_values=FLAGS)
flags.DEFINE_float(
    "certify",
    None,
    "also certify the smoothed network, with noise of this standard deviation, such as 0.25",
    flag_values=FLAGS,
    lower_bound=1e-3,
)
flags.DEFINE_integer(
    "draws", 1000, "noisy copies of an image to certify", flag_values=FLAGS, lower_bound=1
)
flags.DEFINE_bool(
    "certify_lipschitz",
    False,
    "also certify the network itself by the Lipschitz constants of its layers: of use for networks "
    "that were made for it, such as the recipe fashion_mnist_lipschitz",
    flag_values=FLAGS,
)
OUTPUT = "the folder or address (s3://…) to write to; default: runs/evaluate-MODEL-DATASET"
flags.DEFINE_string("output", None, OUTPUT, flag_values=FLAGS)
flags.DEFINE_bool("fresh", False, "forget what is already measured there", flag_values=FLAGS)
shards.define(FLAGS)
WORKERS = "processes that share the work; default: one for each GPU"
flags.DEFINE_integer("workers", None, WORKERS, flag_values=FLAGS, lower_bound=1)
RAY = "share the work on the Ray cluster at this address, such as auto; or here, on this machine"
flags.DEFINE_string("ray", None, RAY, flag_values=FLAGS)


def evaluate(values: Any) -> None:
    """Checks the flags, then attacks."""
    from tfrobust.datasets.groups import read_labels
    from tfrobust.datasets.names import validate

    shard = shards.given(values)
    network.check(values)
    if not values.model.startswith(shipped.PREFIX):
        values.model = str(shipped.find(values.model))
    if values.certify:
        _check_certificate(values)
    if values.ray and values.thresholds:
        raise InputError("--ray goes without --thresholds, which its processes do not know")
    if values.ray:
        workers.check_ray(values.ray, values.model)
    bounds = checked_bounds(network.pair(values.bounds, "bounds"))
    validate(values.dataset, values.data_dir)
    read_labels(values.labels, values.group)
    place = values.output or str(default_folder(values.model, values.dataset))
    if not is_address(place):
        program.check_writable(Path(place))
    with mirrored(place) as output:
        _evaluate(values, output, shard, bounds)


def _evaluate(
    values: Any, output: Mirror, shard: tuple[int, int] | None, bounds: tuple[float, float] | None
) -> None:
    """Attacks, and writes what was found."""
    folder = output.path
    if values.fresh:
        shutil.rmtree(folder / "evaluation", ignore_errors=True)
    # If TensorFlow were used before the workers start, it would take all the GPUs' memory.
    program.import_tensorflow(many_hosts=True)
    alone = shard or values.merge or values.ray
    count = 1 if alone else values.workers or workers.gpus()
    if count > 1:
        with program.resumable(KEPT):
            workers.run(_command(values, folder), count, folder, values.images)
    from tfrobust.core.loading import temperature_of
    from tfrobust.robustness.evaluation import Evaluation
    from tfrobust.robustness.labels_evaluation import LabelsEvaluation
    from tfrobust.robustness.labels_report import LabelsReport
    from tfrobust.robustness.options import Options
    from tfrobust.robustness.partials import AnotherEvaluation, MissingShards
    from tfrobust.robustness.presets import pool_of
    from tfrobust.robustness.report import AraReport

    classifier, source = _model_and_data(values)
    sample = source.test_sample(values.images, draw=values.draw)
    images, labels, names = sample.images, sample.labels, source.info.class_names
    if values.label is not None and labels.ndim == 2:
        labels = labels[:, values.label]
        names = (f"not {names[values.label]}", names[values.label])
    several = labels.ndim == 2
    if several and (values.certify or values.certify_lipschitz):
        raise InputError("a certificate is about classes: name one of the labels by --label")
    if several and values.ray:
        raise InputError("--ray is for classes: name one of the labels by --label")
    options = Options(
        preset=values.preset,
        name=values.model,
        data=f"{source.info.name}, {sample.drawn}",
        bounds=bounds,
        class_names=names,
        files=sample.files,
        groups=sample.groups,
        pool=pool_of(source),
        temperature=temperature_of(values.model),
        partial_dir=folder / "evaluation",
    )
    evaluation: Evaluation | LabelsEvaluation
    try:
        kind = LabelsEvaluation if several else Evaluation
        evaluation = kind(classifier, images, labels, options)
        lipschitz = None
        if values.certify_lipschitz and (values.merge or not shard):
            from tfrobust.certification.lipschitz import certify_lipschitz

            # Before the attacks, as it takes seconds and may not know a layer.
            lipschitz = certify_lipschitz(classifier, images, labels)
        if shard or not values.merge:
            with program.resumable(KEPT):
                if values.ray and isinstance(evaluation, Evaluation):
                    _by_ray(values, evaluation, options)
                else:
                    evaluation.run(shard or (1, 1))
    except AnotherEvaluation as error:
        whole = ", in a command without --shard," if shard else ""
        raise InputError(f"{error}: --fresh{whole} does that") from None
    report: AraReport | LabelsReport
    if shard and not values.merge:
        print(
            f"shard {values.shard} is done, in {output.name(folder / 'evaluation')}. Once all are, "
            "the same command with --merge instead of --shard writes the report"
        )
        return
    try:
        # Anew after a shard, to see what others have done meanwhile. Of two that end at once,
        # each has sent its own before it looks.
        output.send()
        output.fetch()
        report = (kind(classifier, images, labels, options) if shard else evaluation).report()
    except MissingShards:
        if not shard:
            raise
        print(f"shard {values.shard} is done; the last one to be done writes the report")
        return
    if isinstance(report, AraReport):
        report = dataclasses.replace(report, lipschitz=lipschitz)
    _write(report, folder)
    if values.certify and isinstance(report, AraReport):
        from tfrobust.certification.smoothing import certify

        with program.resumable(KEPT):
            certificate = certify(classifier, images, labels, sigma=values.certify, n=values.draws)
        report = dataclasses.replace(report, certificate=certificate)
        _write(report, folder)
    written = (output.name(folder / name) for name in ("report.html", "ara.json"))
    print(report.summary(), "\nreport  {}\nfigures {}".format(*written), sep="\n")


def _by_ray(values: Any, evaluation: "Evaluation", options: "Options") -> None:
    """Does on a Ray cluster what is still to be done."""
    from tfrobust.cli import ray_cluster

    ray_cluster.run(
        evaluation, options,
        address=values.ray, model=values.model, asked=network.said(values), count=values.workers,
    )  # fmt: skip


def default_folder(model: str, dataset: str) -> Path:
    """The folder of an evaluation that is given none.

    Args:
        model: --model: a path, or python:module:function.
        dataset: --dataset.
    """
    words = [model.removeprefix(shipped.PREFIX)]
    if not model.startswith(shipped.PREFIX):
        # With its ending, because x.keras and x.onnx are two networks.
        words = list(Path(model).resolve().parts[-2:])
    return Path("runs", re.sub("[/:]", "-", "-".join(["evaluate", *words, dataset])))


def _write(report: "AraReport | LabelsReport", folder: Path) -> None:
    report.to_json(folder / "ara.json")
    report.to_html(folder / "report.html")


def _command(values: Any, folder: Path) -> list[str]:
    """This command as a worker runs it. Its shard is still to be added."""
    same = (
        *network.NAMES,
        *("dataset", "data_dir", "bits", "frame", "labels", "group", "fit"),
        *("images", "draw", "preset", "bounds"),
    )
    given = {name: values[name].value for name in same if values[name].value is not None}
    told = {name: ",".join(one) if isinstance(one, list) else one for name, one in given.items()}
    words = [f"--{name}={value}" for name, value in {**told, "output": folder}.items()]
    return [sys.executable, sys.argv[0], *words]


def _check_certificate(values: Any) -> None:
    """Refuses a certificate that could not be made, before the attacks begin.

    Raises:
        InputError: the network has no gradients, a shard is asked for, or there are too few draws.
    """
    from tfrobust.certification.certificate import ALPHA, CHOOSING_DRAWS, check_settings

    if values.model.startswith(shipped.PREFIX) or Path(values.model).suffix == ".onnx":
        raise InputError(f"--certify takes a .keras file or a SavedModel, got {values.model}")
    if values.shard:
        raise InputError("--certify goes with --merge or without shards: leave --shard out")
    check_settings(sigma=values.certify, n0=CHOOSING_DRAWS, n=values.draws, alpha=ALPHA, seed=0)


def _model_and_data(values: Any) -> tuple[Any, Any]:
    """The network and the data set.

    Raises:
        InputError: the data set does not fit the network.
    """
    from tfrobust.datasets.fitting import check_classes

    classifier = network.read(values)
    told = reading.settle(values, values.dataset)
    source, notes = network.data_set(values, classifier)
    notes += told
    print(*notes, sep="\n", end="\n" if notes else "")
    # A function does not say how many classes it tells apart before it is asked.
    count = classifier.check(source.test_arrays(1)[0])
    if values.label is None or not source.info.multi_label:
        check_classes(source, count)
    return classifier, source


def main() -> None:
    """The program."""
    program.run(evaluate, FLAGS, ABOUT)
