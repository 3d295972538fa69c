"""Says what pictures show: by a network here, to a CSV, or by a server."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from tfrobust.cli import network, program, reading, token_file
from tfrobust.core import shipped
from tfrobust.core.temperature import checked_temperature
from tfrobust.errors import InputError

if TYPE_CHECKING:
    from tfrobust.core.classifier import Classifier

ABOUT = """Says what pictures show. It writes a CSV with a line for each picture: the class or the
labels, the probability of each, and whether a person should look at it. After an interruption, the
same command goes on. For instance:
  PROGRAM --model saved_models/radiographs --image folder/of/pictures
  PROGRAM --model … --image list.csv --distance --output answers.csv
With --server it asks TF Serving, or a server that speaks its protocol, and prints the answers:
  PROGRAM --server localhost:8500 --model fashion_mnist_mini --image x.png"""

FLAGS = flags.FlagValues()
KEPT = "What was predicted is kept."
MODEL = f"{network.MODEL}; with --server its name there"
IMAGE = (
    "picture files, separated by commas; without --server also one folder, or one CSV with a "
    "column `file`, whose names are relative to the CSV"
)
# What only a server, and what only a network here can be told.
OF_SERVER = (
    *("version", "version_label", "certificate", "client_certificate", "client_key"),
    *("token_file", "timeout"),
)
OF_FILES = (
    *("input_range", "network_output", "label", "thresholds", "output", "distance"),
    *("flag_margin", "flag_distance", "fresh"),
)

network.define(FLAGS, MODEL)
flags.DEFINE_list("image", None, IMAGE, flag_values=FLAGS, required=True)
reading.define(FLAGS)
flags.DEFINE_string(
    "output", None, "the CSV to write; default: NAME-predicted.csv in this folder",
    flag_values=FLAGS,
)  # fmt: skip
flags.DEFINE_bool(
    "distance",
    False,
    "also measure how far each picture is from another decision, as RMSE of pixels from 0 to 1, by "
    "the attack of the preset fast; takes some hundred times as long, for each of several labels",
    flag_values=FLAGS,
)
flags.DEFINE_float(
    "flag_margin",
    0.2,
    "flag a picture if its two likeliest classes are less apart, a difference of probabilities; of "
    "several labels, if one's probability is within half of this of its threshold",
    flag_values=FLAGS,
    lower_bound=0.0,
    upper_bound=1.0,
)
flags.DEFINE_float(
    "flag_distance",
    None,
    "with --distance, flag a picture if another decision is nearer; default: 0.02",
    flag_values=FLAGS,
    lower_bound=0.0,
)
flags.DEFINE_bool("fresh", False, "forget what is already predicted there", flag_values=FLAGS)
flags.DEFINE_string(
    "server",
    None,
    "ask a server: host:port of its gRPC port, such as localhost:8500, or http://host:port of its "
    "REST port",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "version", None, "the model's version; default: the newest", flag_values=FLAGS, lower_bound=0
)
flags.DEFINE_string(
    "version_label", None, "the version's label on the server, as stable", flag_values=FLAGS
)
flags.DEFINE_string(
    "certificate",
    None,
    "PEM file that the server's certificate must be signed by; default: no TLS",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "client_certificate", None, "PEM of the certificate to show to the server", flag_values=FLAGS
)
flags.DEFINE_string("client_key", None, "PEM of that certificate's private key", flag_values=FLAGS)
flags.DEFINE_string("token_file", None, "a file with the server's token", flag_values=FLAGS)
flags.DEFINE_float(
    "timeout", 30.0, "seconds that the request may take", flag_values=FLAGS, lower_bound=0.01
)


def predict(values: Any) -> None:
    """Checks the flags, then predicts here or asks the server."""
    here = values.server is None
    for name in OF_SERVER if here else OF_FILES:
        if not values[name].using_default_value:
            with_or_without = "with" if here else "without"
            raise InputError(f"--{name} goes {with_or_without} --server")
    if here:
        _predict_here(values)
    else:
        _ask(values)


def _predict_here(values: Any) -> None:
    from tfrobust.cli import pictures

    if values.flag_distance is not None and not values.distance:
        raise InputError("--flag_distance goes with --distance, which measures it")
    files = pictures.listed(values.image)
    network.check(values)
    stem = Path(values.image[0]).resolve().stem
    output = Path(values.output or f"{stem}-predicted.csv")
    pictures.check_output(output, values.image)
    program.check_writable(output.resolve().parent)
    program.import_tensorflow()
    from tfrobust.core.files import alone
    from tfrobust.core.images import GREY_OR_COLOUR

    for text in reading.settle(values):
        pictures.note(f"warning: {text}")
    classifier = network.read(values)
    if classifier.image_shape[2] not in GREY_OR_COLOUR:
        raise InputError(
            "expected a network of pictures, which have 1 or 3 channels, but "
            f"{values.model} takes {classifier.image_shape[2]}"
        )
    with alone(output.resolve()):
        _write_table(values, classifier, files, output)


def _write_table(
    values: Any, classifier: "Classifier", files: list[tuple[str, Path | None]], output: Path
) -> None:
    """Predicts, writes the CSV, and tells what a person should know of it."""
    from tfrobust.core.files import write_atomically
    from tfrobust.core.loading import temperature_of
    from tfrobust.datasets.folder import Reading
    from tfrobust.runs import file_predictions
    from tfrobust.runs.prediction_table import Rule, to_csv

    kept = output.with_name(f"{output.name}.partial")
    if values.fresh:
        kept.unlink(missing_ok=True)
    try:
        with program.resumable(KEPT):
            rows = file_predictions.predict_files(
                classifier,
                files,
                Reading(bits=values.bits, frame=values.frame, fit=values.fit),
                distance=values.distance,
                temperature=checked_temperature(temperature_of(values.model)),
                kept=kept,
                question=_question(values),
            )
    except file_predictions.AnotherPrediction as error:
        raise InputError(f"{error}: --fresh does that") from None
    known = network.class_names(values)
    count = next((len(row.probabilities) for row in rows if row.probabilities), 0)
    names = known or [f"class {number}" for number in range(count)]
    rule, several = Rule(values.flag_margin), classifier.thresholds is not None
    if values.flag_distance is not None:
        rule = rule._replace(distance=values.flag_distance)
    write_atomically(output, to_csv(rows, names, rule, several=several).encode())
    kept.unlink(missing_ok=True)
    said = f"its two likeliest classes are less than {rule.margin:g} apart"
    if several:
        said = f"a label's probability is within {rule.margin / 2:g} of its threshold"
    if values.distance:
        said += f", or another decision is nearer than RMSE {rule.distance:g}"
    _tell(rows, rule, said, output)


def _question(values: Any) -> dict[str, Any]:
    """What the answers depend on beside the files and how they are read."""
    from tfrobust.core.loading import version_folder
    from tfrobust.core.provenance import file_hashes

    told: dict[str, Any] = {name: values[name].value for name in network.NAMES if name != "model"}
    if values.model.startswith(shipped.PREFIX):
        return {**told, "network": values.model}
    path = shipped.find(values.model)
    return {**told, "network": file_hashes(version_folder(path) if path.is_dir() else path)}


def _tell(rows: Any, rule: Any, said: str, output: Path) -> None:
    """Prints what a person should know of the rows."""
    from tfrobust.cli import pictures

    broken = [row for row in rows if row.problem]
    flagged = [row for row in rows if rule.reasons(row)]
    for row in broken:
        pictures.note(f"unreadable: {row.file}: {pictures.with_flags(row.problem)}")
    print(f"predicted  {len(rows) - len(broken)} of {len(rows)} files")
    print(f"flagged    {len(flagged)}, for a person to look at: {said}")
    if broken:
        print(f"unreadable {len(broken)}; their lines say why")
    print(f"table      {output}")


def _ask(values: Any) -> None:
    from tfrobust.cli import pictures

    paths = [Path(name) for name in values.image]
    pictures.check(paths, values.frame)
    values.fit = values.fit or "crop"
    token = token_file.read(values.token_file)
    program.import_tensorflow()
    from tfrobust.serving import Client
    from tfrobust.serving.answers import several

    with Client(
        values.server,
        model=values.model,
        version=values.version,
        timeout=values.timeout,
        version_label=values.version_label,
        certificate=values.certificate,
        client_certificate=values.client_certificate,
        client_key=values.client_key,
        token=token,
    ) as client:
        taken = client.metadata().get("serving_default", {}).get("inputs", {})
        shape = taken["images"][1] if "images" in taken else ()
        if len(shape) != 4 or min(shape[1:]) < 1:
            raise InputError(
                f"expected {values.model} at {values.server} to take images (B, H, W, C) of one "
                f"size, got {taken}"
            )
        images = pictures.fitted(pictures.originals(paths, shape[1:], values), shape[1:])
        if not several(client.metadata()["serving_default"]["outputs"]):
            found = client.predict(images)
            for path, name, shares in zip(
                paths, found.class_name, found.probabilities, strict=True
            ):
                print(f"{path}: {name}, {shares.max():.1%}")
            return
        labels = client.predict_labels(images)
    for path, shares, holds in zip(paths, labels.probabilities, labels.predicted, strict=True):
        told = [f"{labels.label_names[row]}, {shares[row]:.1%}" for row in holds.nonzero()[0]]
        print(f"{path}: {'; '.join(told) or 'no label'}")


def main() -> None:
    """The program."""
    program.run(predict, FLAGS, ABOUT)
