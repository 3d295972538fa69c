"""What a worker of Ray Train does in a training, and how it tells the program of it."""

import dataclasses
import io
import logging
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfrobust.cli import program
from tfrobust.cli.ray_connection import check_versions
from tfrobust.core.provenance import versions
from tfrobust.errors import InputError, ReportedError, UnfinishedError
from tfrobust.runs.cluster import MissingPeerError
from tfrobust.runs.config import Config


@dataclasses.dataclass(frozen=True)
class Order:
    """What every worker is to do.

    Args:
        config: of the run.
        arguments: the others of `stages.run`.
        called_in: the folder of the program's call. Paths are relative to it.
        meeting: a folder below the runs, by which a worker sees that it has the same disk.
        versions: the packages of the machine that the program was called on.
        board: the `Board`, as Ray hands it on.
        argv, orig_argv: the program's command, which the run and its messages name.
    """

    config: Config
    arguments: Mapping[str, Any]
    called_in: Path
    meeting: Path
    versions: dict[str, str]
    board: Any
    argv: Sequence[str] = dataclasses.field(default_factory=lambda: sys.argv)
    orig_argv: Sequence[str] = dataclasses.field(default_factory=lambda: sys.orig_argv)


class Board:
    """What the workers say, kept where the program can read it."""

    def __init__(self) -> None:
        self._said = ""
        self._ended: ReportedError | None = None

    def write(self, text: str) -> None:
        """Adds what the program is to print."""
        self._said += text

    def end(self, error: ReportedError) -> None:
        """Says why there is no use in going on. The first one who says it counts."""
        self._ended = self._ended or error

    def read(self) -> tuple[str, ReportedError | None]:
        """What came since the last call; and why there is no use in going on."""
        said, self._said = self._said, ""
        return said, self._ended


class _OnBoard(io.TextIOBase):
    """A file whose text the program prints."""

    def __init__(self, board: Any) -> None:
        self._board = board

    def write(self, text: str) -> int:
        self._board.write.remote(text)
        return len(text)


def work(order: Order) -> str | None:
    """What a worker does: all of a run on the chief, its part of the training on others.

    Returns:
        What the chief found, in words.

    Raises:
        Exception: whatever may go well in another attempt, such as `LostPeerError`. What would
            fail again is told to the board instead, which ends all.
    """
    import ray
    from ray.train import get_context

    # Ray sets it for Keras 2, which is not ours.
    os.environ.pop("TF_USE_LEGACY_KERAS", None)
    sys.argv, sys.orig_argv = list(order.argv), list(order.orig_argv)
    if get_context().get_world_rank() == 0:
        sys.stderr = _OnBoard(order.board)
        warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    try:
        check_versions(versions(), order.versions)
        if not order.meeting.is_dir():
            raise InputError(
                f"expected all machines of the Ray cluster to see {order.meeting.parent} on a disk "
                f"that they share, but {os.uname().nodename} does not. Name such a folder for "
                "--runs_dir and --saved_models, and call the program in one"
            )
        os.chdir(order.called_in)
        program.import_tensorflow(many_hosts=True)
        for name in ("absl", "tensorflow"):  # Ray lets all talk
            logging.getLogger(name).setLevel(logging.WARNING)
        from tfrobust.runs import stages

        summary = stages.run(order.config, **order.arguments)
    except ReportedError as error:
        # Who waited for another in vain is told so by Ray as well.
        if may_go_well(error):
            raise
        # Of one of these kinds, which are found without TensorFlow.
        kinds = InputError, UnfinishedError, ReportedError
        kind = next(kind for kind in kinds if isinstance(error, kind))
        ray.get(order.board.end.remote(kind(str(error))))
        raise
    return None if summary is None else str(summary)


def may_go_well(error: BaseException) -> bool:
    """Whether another attempt may go well: an error that comes of another worker's loss."""
    from tfrobust.runs.distribution import LostPeerError

    return isinstance(error, LostPeerError | MissingPeerError)
