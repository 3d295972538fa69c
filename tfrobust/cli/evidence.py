"""Writes evidence about a network that others can verify, and verifies it."""

import getpass
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from tfrobust.cli import program
from tfrobust.core import shipped
from tfrobust.errors import InputError, ReportedError

if TYPE_CHECKING:
    from tfrobust.reports.evidence_file import Made

ABOUT = """Writes an evidence file, as JSON and as a page: what was trained on what, how it was
measured, how accurate, robust and calibrated it is by class and group, which checks were made, and
what is not known. For instance:
  PROGRAM --model saved_models/radiographs --report runs/evaluate-…/ara.json --data path/to/images
Everybody who has the files can verify it. What does not hold is printed, and the exit status is 1:
  PROGRAM --verify evidence.json"""

FLAGS = flags.FlagValues()
flags.DEFINE_string(
    "model", None, "the network: an exported version's folder, or a file", flag_values=FLAGS
)
flags.DEFINE_string("report", None, "its ara.json, of evaluate or train", flag_values=FLAGS)
flags.DEFINE_string(
    "data",
    None,
    "the folder of the measured images, where these are files: each is hashed, and the network is "
    "asked about each",
    flag_values=FLAGS,
)
flags.DEFINE_string("run", None, "the folder of the training run", flag_values=FLAGS)
BY = "who makes it; default: the user's name on this machine"
flags.DEFINE_string("by", None, BY, flag_values=FLAGS)
flags.DEFINE_string(
    "output", "evidence.json", "the JSON to write; the page is beside it", flag_values=FLAGS
)
flags.DEFINE_string("verify", None, "an evidence file to verify", flag_values=FLAGS)
flags.DEFINE_string(
    "fingerprint", None, "with --verify, the SHA-256 that its maker told you", flag_values=FLAGS
)
SOURCES = ("model", "report", "run", "data")


def evidence(values: Any) -> None:
    """Checks the flags, then writes or verifies."""
    if values.verify is not None:
        given = [name for name in SOURCES if values[name].value is not None]
        if given:
            raise InputError(
                f"--verify finds the files that the evidence names: leave --{given[0]} out"
            )
        _verify(values)
        return
    if values.fingerprint is not None:
        raise InputError("--fingerprint goes with --verify")
    for name in ("model", "report"):
        if values[name].value is None:
            raise InputError(f"expected --{name}, or --verify with an evidence file")
    paths = {name: Path(values[name].value) for name in SOURCES if values[name].value is not None}
    paths["model"] = shipped.find(values.model)
    for name, path in paths.items():
        if not path.exists():
            raise InputError(f"expected --{name} to be there, but there is nothing at {path}")
    output = Path(values.output)
    if output.suffix != ".json":
        raise InputError(f"expected --output to end in .json, got {output}")
    program.check_writable(output.resolve().parent)
    by = values.by or _user()
    program.import_tensorflow()
    from tfrobust.core.loading import version_folder
    from tfrobust.runs import evidence_file

    if paths["model"].is_dir():
        paths["model"] = version_folder(paths["model"])
    for name, path in paths.items():
        if name != "run" and path.resolve() in (output.resolve(), *output.resolve().parents):
            raise InputError(
                f"expected --output outside of --{name}, which the evidence is about, got {output}"
            )
    gathered = evidence_file.gather(paths, output.parent, _made(by))
    evidence_file.refuse_other_answers(paths)
    fingerprint = evidence_file.write(gathered, output)
    print(f"evidence    {output}\npage        {output.with_suffix('.html')}")
    print(f"fingerprint {fingerprint}")


def _verify(values: Any) -> None:
    path = Path(values.verify)
    if not path.is_file():
        raise InputError(f"expected --verify to be an evidence file, but {path} is none")
    program.import_tensorflow()
    from tfrobust.runs.evidence_verification import verify

    found = verify(path, _made(""), fingerprint=values.fingerprint)
    for note in found.notes:
        print(f"note: {note}", file=sys.stderr)
    if found.broken:
        listed = "\n".join(f"  {one}" for one in found.broken)
        raise ReportedError(f"{path} does not hold:\n{listed}")
    print(f"{path} holds: all its figures follow from its files, and all files are as they were")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container may run as a user whom it does not know.
        raise InputError("expected --by, for this machine does not know your name") from None


def _made(by: str) -> "Made":
    """Who makes it, when, and with what."""
    import hashlib

    import tfrobust
    from tfrobust.core.provenance import file_hashes, versions
    from tfrobust.reports.evidence_file import Made

    code = {
        name: digest
        for name, digest in file_hashes(Path(tfrobust.__file__).parent).items()
        if name.endswith(".py")
    }
    return Made(
        by=by,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        command=shlex.join(sys.argv),
        versions=versions(),
        code=hashlib.sha256(repr(sorted(code.items())).encode()).hexdigest(),
    )


def main() -> None:
    """The program."""
    program.run(evidence, FLAGS, ABOUT)
