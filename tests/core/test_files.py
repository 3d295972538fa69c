import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tfrobust.core.files import alone, lock, write_atomically
from tfrobust.errors import InputError

# Locks a path, says so, and waits to be killed.
HOLDER = """
import sys, time
from pathlib import Path
from tfrobust.core.files import lock
assert lock(Path(sys.argv[1])) is not None
print("held", flush=True)
time.sleep(600)
"""


def test_a_file_is_worked_on_by_one_alone(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    said = r"table\.csv is in use by another process"
    with alone(path), pytest.raises(InputError, match=said), alone(path):
        pass
    with alone(path), alone(tmp_path / "other.csv"):
        pass
    assert not list(tmp_path.iterdir())


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    for content in (b"first, longer", b"second"):
        write_atomically(path, content)
        assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(InputError, match=f"expected to write {tmp_path}/file/x"):
        write_atomically(tmp_path / "file" / "x", b"")


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_killed_process_leaves_no_lock(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "locked"
    path.touch() if kind == "file" else path.mkdir()
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        assert lock(path) is None
        holder.send_signal(signal.SIGKILL)
    descriptor = lock(path)
    assert descriptor is not None
    # Another descriptor of the same process does not get the lock either, until it is closed.
    assert lock(path) is None
    os.close(descriptor)
    again = lock(path)
    assert again is not None
    os.close(again)


def test_what_is_gone_cannot_be_locked(tmp_path: Path) -> None:
    assert lock(tmp_path / "gone") is None
