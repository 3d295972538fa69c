"""Shows pictures with their explanations on a page, to mark what is evidence and what is not."""

import getpass
import importlib.util
import secrets
import signal
import threading
import urllib.parse
from pathlib import Path
from typing import Any

from absl import flags

from tfrobust.cli import asked, program
from tfrobust.core.remote import is_address
from tfrobust.errors import InputError

ABOUT = """Opens a page on this machine on which a person marks, in pictures with their
explanations, what is evidence and what is not. The marks are kept as files in a folder, with who
made them, when, and for which network. Training takes them back: tfrobust-train --annotations.
For instance:
  PROGRAM --model saved_models/fashion_mnist_mini --dataset fashion_mnist_mini
  PROGRAM --model runs/x/network.keras --image folder/of/pictures --output marks
Then open the address that it prints, which is for you alone."""

FLAGS = flags.FlagValues()
asked.define(FLAGS)
flags.DEFINE_list(
    "methods",
    ["grad_cam", "gradients_inputs"],
    f"whose maps to show: {', '.join(asked.METHODS)}",
    flag_values=FLAGS,
)
flags.DEFINE_string("output", "annotations", "the folder of the marks", flag_values=FLAGS)
flags.DEFINE_integer(
    "port",
    0,
    "the port of the page; 0: a free one",
    flag_values=FLAGS,
    lower_bound=0,
    upper_bound=65535,
)


def annotate(values: Any) -> None:
    """Checks the flags, then serves the page until Ctrl-C or SIGTERM."""
    asked.check(values)
    asked.check_methods(values.methods)
    if importlib.util.find_spec("uvicorn") is None:
        raise InputError("the page needs the extra serving: pip install 'tfrobust[serving]'")
    if is_address(values.output):
        raise InputError(
            f"expected --output to be a folder of this machine, got {values.output}; copy it there "
            "once the pictures are marked"
        )
    folder = Path(values.output)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"expected --output to be a folder of marks; {folder} is a file")
    program.check_writable(folder)
    paths = asked.paths_of(values)
    program.import_tensorflow()
    from tfrobust import explanations
    from tfrobust.serving.annotation_desk import Desk
    from tfrobust.serving.annotation_server import AnnotationServer
    from tfrobust.serving.settings import Settings

    classifier, found, names, target = asked.read(values, paths)
    desk = Desk(
        classifier,
        found.images,
        [original.name for original in found.originals],
        names,
        [getattr(explanations, asked.METHODS[name])() for name in values.methods],
        folder,
        {"name": values.model, **classifier.config()},
        target,
    )
    # Other users of this machine reach the port, too, but do not know the token.
    settings = Settings(rest_port=values.port, token=secrets.token_urlsafe(24))
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with AnnotationServer(desk, settings) as server:
        address = f"http://{settings.address}:{server.port}/"
        known = urllib.parse.urlencode({"token": settings.token, "who": _user()})
        print(f"page {address}#{known}", flush=True)
        ended.wait()
    print(f"{sum(one['marked'] for one in desk.listed())} pictures are marked in {folder}")


def _user() -> str:
    """The name that the page proposes for whoever marks."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def main() -> None:
    """The program."""
    program.run(annotate, FLAGS, ABOUT)
