"""The shape of the package; `make test` checks the floors with import-linter (setup.cfg)."""

import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "tfrobust"
LINES = {path: len(path.read_text().splitlines()) for path in sorted(PACKAGE.rglob("*.py"))}


def test_no_file_is_longer_than_300_lines() -> None:
    long = {path.relative_to(PACKAGE).as_posix() for path in LINES if LINES[path] > 300}
    assert not long


def test_no_room_holds_more_than_a_fifth_of_the_package() -> None:
    whole = sum(LINES.values())
    for room in (folder for folder in PACKAGE.iterdir() if folder.is_dir()):
        lines = sum(LINES[path] for path in LINES if path.is_relative_to(room))
        assert lines <= whole / 5, f"{room.name} holds {lines} of {whole} lines"


def test_the_package_itself_does_not_import_tensorflow() -> None:
    code = (
        "import sys, tfrobust, tfrobust.runs.recipes, tfrobust.datasets, tfrobust.cli.train, "
        "tfrobust.cli.evaluate, tfrobust.cli.explain, tfrobust.cli.export, "
        "tfrobust.runs.cluster;"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd="/")


def test_who_asks_a_server_does_not_import_tensorflow() -> None:
    """The client by REST, and what runs in the pod of KServe's explainer but KServe's own SDK."""
    code = (
        "import sys, tfrobust.serving.client, tfrobust.serving.async_client, "
        "tfrobust.serving.rest_channel, tfrobust.serving.json_memory, tfrobust.cli.kserve;"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd="/")
