"""Serves a folder of models for development."""

import os
import resource
import signal
import threading
from pathlib import Path
from typing import Any

from absl import flags

from tfrobust.cli import program, token_file
from tfrobust.errors import InputError

ABOUT = """Serves the models of a folder over TF Serving's gRPC and REST, with a page to try them.
It is for development. In production use TF Serving (serving/README.md). For instance:
  PROGRAM --models saved_models/
Then open http://localhost:8501/. New versions in the folder are loaded while it runs.
A SavedModel is a program: whoever made it can run anything on this machine, with your rights. Serve
only models whose maker you trust."""

OPEN_FILES = 65_536

FLAGS = flags.FlagValues()
flags.DEFINE_string(
    "models", "saved_models", "a folder of models, NAME/VERSION/", flag_values=FLAGS
)
flags.DEFINE_string(
    "host",
    "127.0.0.1",
    "the address to listen on; 0.0.0.0 lets every machine in: give --token_file or --client_ca",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "port", 8500, "the gRPC port", flag_values=FLAGS, lower_bound=0, upper_bound=65535
)
flags.DEFINE_integer(
    "rest_port",
    8501,
    "the port of REST and of the page; -1: neither",
    flag_values=FLAGS,
    lower_bound=-1,
    upper_bound=65535,
)
flags.DEFINE_integer(
    "workers",
    2,
    "how many predictions are computed at once, and as many explanations",
    flag_values=FLAGS,
    lower_bound=1,
)
flags.DEFINE_integer(
    "queue",
    64,
    "how many more may wait; any further one is refused",
    flag_values=FLAGS,
    lower_bound=0,
)
flags.DEFINE_integer(
    "most_images",
    32,
    "the most images of one request, as max_batch_size in serving/config/batching.config",
    flag_values=FLAGS,
    lower_bound=1,
)
flags.DEFINE_string(
    "grpc_socket_path", None, "a Unix socket on which gRPC listens as well", flag_values=FLAGS
)
flags.DEFINE_string(
    "token_file",
    None,
    'a file with a token that clients must show, as "authorization: Bearer TOKEN"',
    flag_values=FLAGS,
)
flags.DEFINE_string("certificate", None, "PEM of the certificate, for TLS", flag_values=FLAGS)
flags.DEFINE_string("key", None, "PEM of the certificate's private key", flag_values=FLAGS)
flags.DEFINE_string(
    "client_ca",
    None,
    "PEM of the certificate that signed those of the clients to let in",
    flag_values=FLAGS,
)
flags.DEFINE_list(
    "allowed_hosts",
    [],
    "names by which browsers reach this machine, besides localhost and its own",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "message_bytes", 64 * 2**20, "the largest request", flag_values=FLAGS, lower_bound=1024
)
flags.DEFINE_float(
    "poll_seconds",
    2.0,
    "seconds between two looks for new versions",
    flag_values=FLAGS,
    lower_bound=0.05,
)
flags.DEFINE_float(
    "grace",
    10.0,
    "seconds that requests get to end when the server stops",
    flag_values=FLAGS,
    lower_bound=0.0,
)


def serve(values: Any) -> None:
    """Checks the flags, then serves until Ctrl-C or SIGTERM."""
    root = Path(values.models)
    if not root.is_dir():
        raise InputError(f"expected --models to be a folder of models; {root} is none")
    token = token_file.read(values.token_file)
    program.import_tensorflow()
    from tfrobust.serving.local import Server
    from tfrobust.serving.settings import Settings

    settings = Settings(
        host=values.host,
        port=values.port,
        rest_port=None if values.rest_port < 0 else values.rest_port,
        workers=values.workers,
        queue=values.queue,
        socket_path=values.grpc_socket_path,
        most_images=values.most_images,
        message_bytes=values.message_bytes,
        token=token,
        certificate=_path(values.certificate),
        key=_path(values.key),
        client_ca=_path(values.client_ca),
        allowed_hosts=tuple(values.allowed_hosts),
        poll_seconds=values.poll_seconds,
        grace=values.grace,
    )
    # Every connection takes a file, and the usual limit of 1,024 is soon reached.
    few, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if few != resource.RLIM_INFINITY:
        wanted = OPEN_FILES if most == resource.RLIM_INFINITY else min(OPEN_FILES, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(few, wanted), most))
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with Server(root, settings) as server:
        print(f"gRPC {settings.address}:{server.port}", flush=True)
        if server.rest_port is not None:
            shown = "#token=…" if token else ""
            print(
                f"page {settings.scheme}://{settings.address}:{server.rest_port}/{shown}",
                flush=True,
            )
        ended.wait()
        print("stopping, once the requests that came have ended", flush=True)
    if server.engine.is_busy:
        # TensorFlow cannot be told to stop within an operation, and Python would wait for it.
        os._exit(0)


def _path(value: str | None) -> Path | None:
    return None if value is None else Path(value)


def main() -> None:
    """The program."""
    program.run(serve, FLAGS, ABOUT)
