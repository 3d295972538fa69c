"""Asks a server what pictures show."""

from pathlib import Path
from typing import Any

from absl import flags

from tfrobust.cli import program, token_file
from tfrobust.datasets.names import FITS
from tfrobust.datasets.sample_bits import MAX_BITS, MIN_BITS
from tfrobust.errors import InputError

ABOUT = """Asks TF Serving, or a server that speaks its protocol, what pictures show. For instance:
  PROGRAM --server localhost:8500 --model fashion_mnist_mini --image x.png"""

FLAGS = flags.FlagValues()
flags.DEFINE_string(
    "server",
    "localhost:8500",
    "host:port of its gRPC port, or http://host:port of its REST port",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "model", None, "the model's name on the server", flag_values=FLAGS, required=True
)
flags.DEFINE_integer(
    "version", None, "the model's version; default: the newest", flag_values=FLAGS, lower_bound=0
)
flags.DEFINE_string(
    "version_label", None, "the version's label on the server, as stable", flag_values=FLAGS
)
flags.DEFINE_list(
    "image", None, "picture files, separated by commas", flag_values=FLAGS, required=True
)
flags.DEFINE_integer(
    "bits", None, program.BITS, flag_values=FLAGS, lower_bound=MIN_BITS, upper_bound=MAX_BITS
)
flags.DEFINE_integer("frame", None, program.FRAME, flag_values=FLAGS, lower_bound=1)
flags.DEFINE_enum("fit", "crop", FITS, program.FIT, flag_values=FLAGS)
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
    """Checks the flags, then asks the server."""
    from tfrobust.cli import pictures

    paths = [Path(name) for name in values.image]
    pictures.check(paths, values.frame)
    token = token_file.read(values.token_file)
    program.import_tensorflow()
    from tfrobust.serving import Client

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
        found = client.predict(pictures.read(paths, shape[1:], values))
    for path, name, shares in zip(paths, found.class_name, found.probabilities, strict=True):
        print(f"{path}: {name}, {shares.max():.1%}")


def main() -> None:
    """The program."""
    program.run(predict, FLAGS, ABOUT)
