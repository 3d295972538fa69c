"""KServe's model server for one model, or an explainer beside its predictor.

`tfrobust-kserve --help` lists the flags. KServe's controller calls it with flags of
its SDK, so they are parsed by the SDK's own parser.
"""

import argparse
import sys
from pathlib import Path

from tfrobust.errors import InputError
from tfrobust.serving.settings import Settings


def serve(arguments: list[str]) -> None:
    """Serves until SIGTERM.

    Args:
        arguments: the command line's words after the program's name.

    Raises:
        InputError: KServe's SDK is missing, or the model cannot be served.
    """
    try:
        from kserve import model_server
    except ImportError:
        raise InputError("expected KServe's SDK; pip install 'tfrobust[kserve]' has it") from None
    settings = Settings()
    parser = argparse.ArgumentParser(
        parents=[model_server.parser],
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--model_dir",
        type=Path,
        default=Path("/mnt/models"),
        help="a folder of versions; it is not read if there is a --predictor_host",
    )
    parser.add_argument(
        "--most_images", type=int, default=settings.most_images, help="the most of one request"
    )
    parser.add_argument(
        "--message_bytes", type=int, default=settings.message_bytes, help="the largest REST request"
    )
    values = parser.parse_args(arguments)
    settings = Settings(most_images=values.most_images, message_bytes=values.message_bytes)
    if values.predictor_host:
        from tfrobust.serving.kserve.explainer import PredictorExplainer

        models = [PredictorExplainer(values.model_name, settings.most_images)]
    else:
        if values.workers > 1:
            raise InputError(
                f"expected --workers 1, got {values.workers}: one process answers many requests "
                "at once. For more, let KServe start more replicas"
            )
        from tfrobust.serving.kserve.model import Served, signature_models

        models = signature_models(Served(values.model_name, values.model_dir, settings))
    from tfrobust.serving.kserve.body_limit import BodyLimit

    model_server.app.add_middleware(BodyLimit, most=settings.message_bytes)
    model_server.ModelServer().start(models)


def main() -> None:
    """The program."""
    try:
        serve(sys.argv[1:])
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
