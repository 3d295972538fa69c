"""What all programs share: flags, help, complaints, interruption."""

import contextlib
import os
import re
import shlex
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from absl import flags

from tfrobust.core.interruption import ONE_PRESS
from tfrobust.errors import InputError, ReportedError, UnfinishedError

FAILED = 1
USAGE_ERROR = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells have it
NOTICE_AFTER = 0.5  # seconds that a program may take to end before it says that it will

# Help texts of flags that several programs have.
DATA_DIR = "where TensorFlow Datasets keeps its sets"
BITS = (
    "how many bits of each sample carry the picture, such as 12, in 16-bit files that do not say "
    "it; 16 if they are meant to be dark"
)

LABELS = "a CSV with the label of each file of a folder; default: the sub-folders are the classes"
GROUP = (
    "what must not be on both sides of a folder's split: column:NAME of the CSV, dicom:PatientID, "
    "pattern:REGEX of file names, or none"
)
FIT = "how pictures of other proportions are brought to one size: by their middle, or with margins"
DRAW = (
    "which test images: drawn by label, or the first ones; default: stratified for a folder, first "
    "for a published set"
)
FRAME = "which frame of DICOM files to read, from 1; default: the only one"


def run(main: Callable[[Any], None], values: flags.FlagValues, about: str) -> NoReturn:
    """Parses the command line, runs the program, and ends with its exit status.

    Args:
        main: takes the parsed flags.
        values: the program's flags alone, so that --help does not list absl's and TensorFlow's.
        about: what the program does. It begins the --help. PROGRAM in it becomes the words that
            the program is called by.
    """
    script = sys.argv[0]
    name = f"python {script}" if script.endswith(".py") else Path(script).name
    if any(re.fullmatch("--?(help|h|helpfull|helpshort)", word) for word in sys.argv[1:]):
        # The program's own flags first, then those that came in groups.
        groups = dict.fromkeys([main.__module__, *values.flags_by_module_dict()])
        helps = [values.module_help(group).strip("\n") for group in groups]
        helps[0] = helps[0].replace(f"{main.__module__}:", "flags:", 1)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` is no error
        print("\n\n".join([about.replace("PROGRAM", name), *helps]))
        sys.exit(0)
    try:
        rest = values(sys.argv)
        if len(rest) > 1:
            raise InputError(f"expected flags only, got {rest[1]!r}")
    except (flags.Error, InputError) as error:
        print(f"error: {error}\n{name} --help lists the flags.", file=sys.stderr)
        sys.exit(USAGE_ERROR)
    # A scheduler that takes its machine back sends SIGTERM, which works like Ctrl-C.
    signal.signal(signal.SIGTERM, _interrupt)
    told = _watch_signals()
    # For a user, the line of the package that warns says nothing.
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    try:
        main(values)
    except ReportedError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(USAGE_ERROR if isinstance(error, InputError) else FAILED)
    except KeyboardInterrupt as interrupt:
        told.set()
        kept = f" {interrupt}" if str(interrupt) else ""
        print(f"\ninterrupted.{kept}", file=sys.stderr)
        # All is said and done: Ctrl-C while Python cleans up need not be told by a traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        sys.exit(INTERRUPTED)
    except OSError as error:
        # A full disk or a vanished folder is no fault of the program.
        print(f"error: {error}", file=sys.stderr)
        sys.exit(FAILED)
    sys.exit(0)


@contextlib.contextmanager
def resumable(kept: str) -> Iterator[None]:
    """Within it, an interruption says what is kept, and the command that goes on.

    A failure does so too where the work says that it is unfinished.

    Args:
        kept: what to say where the work itself does not say it.
    """
    try:
        yield
    except UnfinishedError as error:
        raise UnfinishedError(f"{error} To go on: {command()}") from error
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(f"{str(interrupt) or kept} To go on: {command()}") from None


def command() -> str:
    """The command that goes on with what this process does. --fresh would begin anew."""
    return shlex.join(word for word in sys.orig_argv if not re.match("--?fresh(=|$)", word))


def _interrupt(number: int, _: object) -> NoReturn:
    # A scheduler's second SIGTERM must not disturb what is saved now.
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _watch_signals() -> threading.Event:
    """Ends the program at a second Ctrl-C, whatever it is at.

    Python's own handlers wait until TensorFlow's C++ gives control back, which may take minutes.
    So Python also writes each signal's number into a pipe, and a thread reads them.

    Returns:
        To be set once the program says that it was interrupted.
    """
    told = threading.Event()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)

    def watch() -> None:
        os.read(reader, 1)
        first = time.monotonic()
        if not told.wait(NOTICE_AFTER):
            print("\ninterrupted: it ends soon; Ctrl-C again ends it at once", file=sys.stderr)
        while number := os.read(reader, 1):
            if number[0] == signal.SIGINT and time.monotonic() > first + ONE_PRESS:
                print("\ninterrupted again: ended at once", file=sys.stderr, flush=True)
                os._exit(INTERRUPTED)

    threading.Thread(target=watch, daemon=True).start()
    return told


def import_tensorflow(
    *, cpu_devices: int = 1, many_hosts: bool = False, one_at_a_time: bool = False
) -> None:
    """Imports TensorFlow. Without a GPU its notices about that are left out.

    Args:
        cpu_devices: the number of logical devices to split the CPU into, to test distribution.
        many_hosts: whether TensorFlow must not be used before its strategy is made.
        one_at_a_time: whether a machine without a GPU runs one operator at a time, with all its
            threads. Otherwise a sum of three tensors rounds by which of them is free at that time.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # TensorFlow itself chooses it on CPUs with AVX-512 only. With AVX2 a training step took .56 to
    # .66 of the time (docs/figures/speed.md).
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    # With a GPU, the notices tell why TensorFlow cannot use it.
    quiet = contextlib.nullcontext if Path("/dev/nvidiactl").exists() else _stderr_to_nothing
    with quiet():
        import tensorflow as tf

        found = {device.device_type for device in tf.config.list_physical_devices()}
        if one_at_a_time and "GPU" not in found:
            tf.config.threading.set_inter_op_parallelism_threads(1)
        if cpu_devices > 1:
            parts = [tf.config.LogicalDeviceConfiguration() for _ in range(cpu_devices)]
            cpu = tf.config.list_physical_devices("CPU")[0]
            tf.config.set_logical_device_configuration(cpu, parts)
        if not many_hosts:
            tf.config.list_logical_devices()


@contextlib.contextmanager
def _stderr_to_nothing() -> Iterator[None]:
    # The notices come from C++ and do not pass through sys.stderr.
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def check_writable(folder: Path) -> None:
    """Refuses a folder that cannot be written to, or made where there is none.

    It is not made yet: a program that fails leaves no empty folder.

    Raises:
        InputError: names the folder and the reason.
    """
    try:
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        probe = there / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(
            f"expected a folder that can be written to, but {folder} cannot: {error.strerror}; "
            "name another"
        ) from None
