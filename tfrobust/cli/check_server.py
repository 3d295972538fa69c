"""Checks that a server answers as TF Serving does."""

from collections.abc import Callable, Iterator
from typing import Any

from absl import flags

from tfrobust.cli import program
from tfrobust.errors import InputError, ReportedError

ABOUT = """Checks that a server answers as TF Serving does: every signature of a model, and the
error code for every kind of wrong request. The server may be tools/serve.py, or TF Serving with
the batching of serving/config/batching.config. For instance:
  PROGRAM --server localhost:8500 --model fashion_mnist_mini"""

FLAGS = flags.FlagValues()
flags.DEFINE_string("server", "localhost:8500", "host:port of its gRPC port", flag_values=FLAGS)
flags.DEFINE_string(
    "model", None, "the name of a model that it serves", flag_values=FLAGS, required=True
)

Check = tuple[str, str, Callable[[], Any]]


def check(values: Any) -> None:
    """Runs the checks, and prints a line for each."""
    if "://" in values.server:
        raise InputError(
            f"expected --server as host:port of gRPC, whose error codes are checked, got "
            f"{values.server}"
        )
    program.import_tensorflow()
    from tfrobust.serving import Client, ServerError

    failed = total = 0
    with Client(values.server, model=values.model, timeout=120) as client:
        for name, expected, call in checks(client, values):
            try:
                call()
                got = "OK"
            except ServerError as error:
                got = error.code
            total += 1
            failed += got != expected
            verdict = "ok" if got == expected else f"FAILED: expected {expected}, got {got}"
            print(f"{name}: {verdict}", flush=True)
    print(f"{total - failed} of {total} as TF Serving answers")
    if failed:
        raise ReportedError(f"{failed} of {total} checks failed at {values.server}")


def checks(client: Any, values: Any) -> Iterator[Check]:
    """The checks: a name, the code that TF Serving gives, and the call."""
    import numpy as np

    from tfrobust.datasets.pictures import encode_png
    from tfrobust.serving import Client
    from tfrobust.serving.channel import MOST_IMAGES

    signatures = client.metadata()
    yield "GetModelMetadata", "OK", client.metadata
    yield "GetModelStatus", "OK", client.status
    shape = [max(size, 1) for size in signatures["serving_default"]["inputs"]["images"][1]]
    image = np.full((1, *shape[1:]), 0.5, np.float32)
    two = np.repeat(image, 2, axis=0)
    yield "Predict, a batch of 1", "OK", lambda: client.predict(image)
    yield "Predict, a batch of 2", "OK", lambda: client.predict(two)
    ask, wrong = client.ask, "INVALID_ARGUMENT"
    # As serving/config/batching.config has it. The client splits what is more, by `predict`.
    whole, more = (np.repeat(image, count, axis=0) for count in (MOST_IMAGES, MOST_IMAGES + 1))
    yield f"a batch of {len(whole)}", "OK", lambda: ask("serving_default", images=whole)
    yield f"a batch of {len(more)}", wrong, lambda: ask("serving_default", images=more)
    yield f"{len(more)} images, by the client", "OK", lambda: client.predict(more)
    if "explain" in signatures:
        yield "Predict, explain", "OK", lambda: client.explain(image)
    if "robustness" in signatures:
        yield "Predict, robustness", "OK", lambda: client.robustness(image)
    if "predict_bytes" in signatures:
        file = encode_png(np.full((*shape[1:3], 1), 127, np.uint8))
        yield "Predict, predict_bytes", "OK", lambda: client.predict_files([file])
        yield "predict_bytes of no picture", wrong, lambda: client.predict_files([b"no picture"])
    other = Client(values.server, model="no such model", timeout=30)
    yield "an unknown model", "NOT_FOUND", lambda: other.predict(image)
    yield "status of an unknown model", "NOT_FOUND", other.status
    old = Client(values.server, model=values.model, version=10**9, timeout=30)
    yield "an unknown version", "NOT_FOUND", lambda: old.predict(image)
    yield "an unknown signature", "FAILED_PRECONDITION", lambda: client.ask("no such", images=image)
    labelled = Client(values.server, model=values.model, version_label="no such", timeout=30)
    yield "an unknown label", wrong, lambda: labelled.predict(image)
    yield "pixels that are no numbers", wrong, lambda: ask("serving_default", images=image * np.nan)
    if "explain" in signatures:
        classes = signatures["serving_default"]["outputs"]["logits"][1][-1]
        yield "explain of a class that is none", wrong, lambda: client.explain(image, classes)
    yield "no input", wrong, lambda: ask("serving_default")
    yield "an unknown input", wrong, lambda: ask("serving_default", images=image, more=image)
    yield (
        "an input of another type",
        wrong,
        lambda: ask("serving_default", images=image.astype(np.float64)),
    )
    yield "an input of another shape", wrong, lambda: ask("serving_default", images=image[..., 0])
    yield "Predict once more", "OK", lambda: client.predict(image)


def main() -> None:
    """The program."""
    program.run(check, FLAGS, ABOUT)
