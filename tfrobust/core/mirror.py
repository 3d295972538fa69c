"""A folder here that stands for one at an address, in storage that fsspec can write."""

import contextlib
import os
import shutil
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from tfrobust.core import remote
from tfrobust.errors import InputError, ReportedError

EVERY = 60.0  # seconds between two times that what is new is sent
# What is only being written: by `write_atomically`, an export or TensorFlow; and locks.
_UNFINISHED = (".tmp", ".lock")
_TEMPORARY = ("_temp", ".tempstate")
# A version without these is none, so that nobody reads one whose other files are under way.
_LAST = ("network.keras", "saved_model.pb")


class Mirror:
    """A folder to work in, and what it stands for.

    Files are sent in the order in which they were last written, and what was taken away here is
    taken away there last. So a file that says that others are complete, such as the index of a
    checkpoint, is not there before them, and a process that is killed leaves what an earlier
    sending left, or more. In S3, Google's and Azure's storage a file appears whole or not at all;
    elsewhere it is written under another name and renamed.

    Args:
        place: an address; or a path, which stands for itself.

    Raises:
        InputError: the address cannot be written, or a package for it is missing.
    """

    def __init__(self, place: str | Path) -> None:
        self.place = str(place).rstrip("/") if remote.is_address(place) else str(place)
        self.path = Path(place)
        self._system: Any = None
        self._sent: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()
        if remote.is_address(place):
            self._system, self._root = remote.storage_of(self.place)
            self._probe()
            self.path = Path(tempfile.mkdtemp(prefix="tfrobust-"))

    def name(self, path: Path) -> str:
        """What a path within the folder is called where it stands for."""
        return str(path) if self._system is None else f"{self.place}/{path.relative_to(self.path)}"

    def told(self, text: str) -> str:
        """A text in which paths within the folder have become addresses."""
        return text if self._system is None else text.replace(str(self.path), self.place)

    def fetch(self) -> None:
        """Brings here what is there and not here.

        Raises:
            InputError: it cannot be read.
        """
        with self._listed() as found:
            for name, one in found.items():
                path = self.path / name
                if path.exists():
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                unfinished = path.with_name(f".{path.name}.tmp")
                self._system.get_file(one, str(unfinished))
                os.replace(unfinished, path)
                self._sent[str(name)] = _state(path)

    def fetch_numbers(self) -> None:
        """Makes the folders of versions that are there, empty, so that their numbers are taken.

        Raises:
            InputError: it cannot be read.
        """
        with self._listed() as found:
            for folder in {folder for name in found for folder in name.parents}:
                if folder.name.isdecimal():
                    (self.path / folder).mkdir(parents=True, exist_ok=True)

    def send(self) -> None:
        """Brings there what is new here, and takes away there what was taken away here.

        Raises:
            ReportedError: it cannot be written. What is here stays.
        """
        if self._system is None:
            return
        with self._lock, _in_words(f"write {self.place}; what was found is kept in {self.path}"):
            if not self.path.is_dir():
                return  # closed, or taken away: what is there is not to be taken away with it
            found = {}
            for path in self.path.rglob("*"):
                name = path.relative_to(self.path).as_posix()
                if path.is_file() and not _is_unfinished(name):
                    with contextlib.suppress(FileNotFoundError):
                        found[name] = _state(path)
            for name in sorted(found, key=lambda name: (name.endswith(_LAST), found[name])):
                if self._sent.get(name) != found[name]:
                    self._put(name)
                    self._sent[name] = found[name]
            for name in [name for name in self._sent if name not in found]:
                with contextlib.suppress(FileNotFoundError):  # another was faster
                    self._system.rm_file(f"{self._root}/{name}")
                del self._sent[name]

    def close(self) -> None:
        """Takes the folder away, if it is not the place itself."""
        if self._system is not None:
            with self._lock:
                shutil.rmtree(self.path, ignore_errors=True)

    @contextlib.contextmanager
    def _listed(self) -> Iterator[dict[PurePosixPath, str]]:
        """The files that are there: name within the folder → path in the storage."""
        if self._system is None:
            yield {}
            return
        with self._lock, _in_words(f"read {self.place}"):
            self._system.invalidate_cache()
            found = {
                PurePosixPath(one).relative_to(self._root): one
                for one in self._system.find(self._root)
            }
            for name in found:
                if ".." in name.parts:
                    raise InputError(f"expected files within {self.place}, got one called {name}")
            yield found

    def _put(self, name: str) -> None:
        path, target = self.path / name, f"{self._root}/{name}"
        if remote.is_object_store(self.place):
            self._system.put_file(str(path), target)
            return
        self._system.makedirs(target.rpartition("/")[0], exist_ok=True)
        between = f"{target}.{uuid.uuid4().hex[:8]}.tmp"
        self._system.put_file(str(path), between)
        self._system.mv(between, target)

    def _probe(self) -> None:
        """Refuses, before any work, an address that cannot be written."""
        name = f"{self._root}/.writable-{uuid.uuid4().hex[:8]}"
        try:
            if not remote.is_object_store(self.place):  # there it would make a misspelt bucket
                self._system.makedirs(self._root, exist_ok=True)
            self._system.pipe_file(name, b"")
            self._system.rm_file(name)
        except Exception as error:  # each storage has errors of its own
            raise InputError(
                f"expected an address that can be written, but {self.place} cannot: "
                f"{str(error) or type(error).__name__}"
            ) from None


@contextlib.contextmanager
def mirrored(place: str | Path, *, versions: bool = False) -> Iterator[Mirror]:
    """Within it, what lies at a place is here, and what is written here goes there.

    At an address it is sent every minute and at the end, also after an interruption. Only one
    process may change a file; several may write files of different names, as shards do.

    Args:
        place: as for `Mirror`.
        versions: whether new versions of networks are added there. Those that are there stay
            there, and only their numbers are known here.

    Yields:
        The mirror.

    Raises:
        InputError: the place cannot be read or written.
        ReportedError: what was found could not be sent in the end. It is kept here.
    """
    mirror, over = Mirror(place), threading.Event()

    def send() -> None:
        while not over.wait(EVERY):
            try:
                mirror.send()
            except ReportedError as error:
                print(f"warning: {error}; tried again in {EVERY:.0f} s", file=sys.stderr)

    try:
        mirror.fetch_numbers() if versions else mirror.fetch()
    except BaseException:
        mirror.close()
        raise
    sender = threading.Thread(target=send, daemon=True)
    if remote.is_address(place):
        print(f"{mirror.place} is in {mirror.path} meanwhile", file=sys.stderr)
        sender.start()
    try:
        yield mirror
    finally:
        over.set()
        if remote.is_address(place):
            sender.join()
        mirror.send()
        mirror.close()


@contextlib.contextmanager
def _in_words(what: str) -> Iterator[None]:
    try:
        yield
    except ReportedError:
        raise
    except Exception as error:  # each storage has errors of its own
        told = str(error) or type(error).__name__
        raise ReportedError(f"expected to {what}; the storage says: {told}") from None


def _state(path: Path) -> tuple[int, int]:
    """By which a file that was written again is known."""
    about = path.stat()
    return about.st_mtime_ns, about.st_size


def _is_unfinished(name: str) -> bool:
    return any(
        part.endswith(_UNFINISHED) or any(word in part for word in _TEMPORARY)
        for part in PurePosixPath(name).parts
    )
