"""Networks at an address: Hugging Face's hub, a web server, or storage that fsspec can read.

What is fetched is kept by its hash in a folder of the user's, and hashed again at every use.
"""

import dataclasses
import functools
import hashlib
import os
import re
import shutil
from pathlib import Path, PurePosixPath
from typing import Any

from tfrobust.core import version_folders as versions
from tfrobust.core.provenance import file_hashes
from tfrobust.errors import InputError

EXPECTED = "an address such as hf://owner/repository, https://host/x.keras#sha256=…, s3://…, gs://…"
# More is no classifier that a machine here could hold.
MOST_BYTES = 8 * 2**30
MOST_FILES = 10_000
BLOCK = 2**20
KERAS_FILE = "network.keras"
SAVED_MODEL_FILE = "saved_model.pb"
# Files of these kinds are read without running anything that is in them.
HARMLESS = {".keras", ".h5", ".onnx"}
# Nobody vouches for what such servers hand out, or for the way to them.
UNPROVEN = {"http", "https", "ftp"}
PACKAGES = {
    "hf": "huggingface_hub",
    "http": "aiohttp",
    "https": "aiohttp",
    "s3": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "abfs": "adlfs",
    "az": "adlfs",
}
OBJECT_STORES = {"s3", "gs", "gcs", "abfs", "az"}
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_HASH = re.compile(r"sha256=[0-9a-f]{64}")


def is_address(model: str | Path) -> bool:
    """Whether this names a network at an address, and not one at a path."""
    return _ADDRESS.match(str(model)) is not None


@functools.cache
def fetch(address: str) -> Path:
    """Brings a network here, unless it is here already.

    Without a hash it is fetched once in a process. The hash is needed where nobody vouches for
    what is handed out: on web servers, and for a SavedModel, which is a program.

    Args:
        address: of a .keras, .h5 or .onnx file, or of a folder as `load` takes it, of whose
            versions the newest is fetched. It may end in #sha256= and the 64 digits that
            `sha256sum` gives for the file; for a folder those of `hash_of`. Storage is read with
            the credentials that its own tools set up.

    Returns:
        The file or folder, in TFROBUST_CACHE, else in ~/.cache/tfrobust.

    Raises:
        InputError: nothing can be read there, a package to read it with is missing, it is too
            large, its hash is another, or it needs one.
    """
    place, _, fragment = address.partition("#")
    if fragment and not _HASH.fullmatch(fragment):
        raise InputError(
            f"expected {place} to be followed by nothing, or by #sha256= and 64 hexadecimal digits "
            f"in small letters, got #{fragment}"
        )
    wanted = fragment.removeprefix("sha256=")
    if wanted and (known := _kept(wanted)):
        return known
    files = _listed(place)
    with versions.staging(_cache()) as folder:
        _copy(files, folder)
        [found] = folder.glob("*/*")
        hashed = hash_of(found)
        _check(place, found, hashed, wanted)
        # Another process may have been faster, and reads it already.
        if known := _kept(hashed):
            shutil.rmtree(folder)
            return known
        shutil.rmtree(_cache() / hashed, ignore_errors=True)  # somebody wrote in it
        os.rename(folder, _cache() / hashed)
    return _cache() / hashed / found.relative_to(folder)


def _kept(hashed: str) -> Path | None:
    """The file or folder of this hash, if it is here whole."""
    found = list((_cache() / hashed).glob("*/*"))
    return found[0] if len(found) == 1 and hash_of(found[0]) == hashed else None


def hash_of(path: Path) -> str:
    """The hash by which a network at an address is told from another.

    Args:
        path: a file or a folder.

    Returns:
        64 hexadecimal digits: a file's SHA-256; for a folder that of the lines which
        `find . -type f -printf '%P\n' | LC_ALL=C sort | xargs -d '\n' sha256sum` prints in it.
    """
    hashes = file_hashes(path)
    if path.is_file():
        return hashes[path.name]
    lines = (f"{hashes[name]}  {name}\n" for name in sorted(hashes))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _cache() -> Path:
    base = os.environ.get("TFROBUST_CACHE")
    return Path(base) if base else Path.home() / ".cache" / "tfrobust"


@dataclasses.dataclass(frozen=True)
class _File:
    """A file at an address: where it lies, and where it goes below the folder that is kept."""

    system: Any
    path: str
    name: PurePosixPath
    size: int | None


def _listed(place: str) -> list[_File]:
    """The files of the network: one, or a folder's; of a folder of versions the newest's."""
    system, path = storage_of(place)
    try:
        if _scheme(place) in UNPROVEN or system.isfile(path):
            name = _called(path)
            if name.suffix.lower() not in HARMLESS:
                raise InputError(f"expected a .keras, .h5 or .onnx file or a folder at {place}")
            return [_File(system, path, name, system.info(path).get("size"))]
        found = system.find(path, detail=True)
    except InputError:
        raise
    except Exception as error:  # each storage has errors of its own
        raise _unreadable(place, error) from None
    below = {PurePosixPath(one).relative_to(path): one for one in found}
    version = _newest(list(below))
    if version is None:
        raise InputError(
            f"expected a network at {place}; there is no {KERAS_FILE} or {SAVED_MODEL_FILE} in it "
            f"or in a version of it, among {len(below)} files"
        )
    name = _called(f"{path}/{version}")
    return [
        _File(system, one, name / relative.relative_to(version), found[one].get("size"))
        for relative, one in below.items()
        if relative.is_relative_to(version)
    ]


def storage_of(place: str) -> tuple[Any, str]:
    """What reads and writes an address, and the path in it.

    Args:
        place: the address, without a hash.

    Raises:
        InputError: nothing reads such addresses, or a package for it is missing; it is named.
    """
    if _scheme(place) in UNPROVEN and "@" in place.split("/")[2]:
        raise InputError(
            "expected an address without a user's name and password, which files would keep and "
            f"everybody read; got one of {place.split('/')[2].rpartition('@')[2]}"
        )
    if "::" in place:
        raise InputError(f"expected {EXPECTED}; got a chain of addresses, {place}")
    try:
        import fsspec

        return fsspec.url_to_fs(place)
    except ImportError as error:
        package = PACKAGES.get(_scheme(place), "fsspec")
        raise InputError(
            f"expected the packages that read {place}: pip install fsspec {package} ({error})"
        ) from None
    except Exception as error:  # each storage has errors of its own
        said = str(error) or type(error).__name__
        raise InputError(f"expected {EXPECTED}; {place} cannot be read: {said}") from None


def is_object_store(place: str) -> bool:
    """Whether a file at this address appears whole or not at all when it is put there."""
    return _scheme(place) in OBJECT_STORES


def _scheme(place: str) -> str:
    return place.partition(":")[0].lower()


def _newest(files: list[PurePosixPath]) -> PurePosixPath | None:
    """The folder that holds the network: the one asked for, or its version of highest number."""
    holders = {file.parent for file in files if file.name in (KERAS_FILE, SAVED_MODEL_FILE)}
    here = PurePosixPath()
    numbered = [one for one in holders if re.fullmatch("[0-9]+", str(one))]
    return here if here in holders else max(numbered, key=lambda one: int(one.name), default=None)


def _called(path: str) -> PurePosixPath:
    """What a network is called here: its name below its folder's, as reports show it."""
    words = re.sub(r"[^\w./-]", "-", path.partition("://")[2] or path)
    parts = [part for part in words.split("/") if part.strip(".")]
    return PurePosixPath(*["network", *parts][-2:])


def _copy(files: list[_File], folder: Path) -> None:
    from tqdm import tqdm

    announced = sum(file.size or 0 for file in files)
    _check_size(len(files), announced)
    with tqdm(total=announced or None, unit="B", unit_scale=True, desc="fetching") as bar:
        for file in files:
            if ".." in file.name.parts:
                raise InputError(f"expected files within the folder, got one called {file.name}")
            path = folder / file.name
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with file.system.open(file.path, "rb") as source, path.open("wb") as copied:
                    while block := source.read(BLOCK):
                        bar.update(len(block))
                        # Also of what does not say how long it is.
                        _check_size(len(files), bar.n)
                        copied.write(block)
            except InputError:
                raise
            except Exception as error:
                raise _unreadable(file.path, error) from None


def _check_size(count: int, size: int) -> None:
    if count > MOST_FILES or size > MOST_BYTES:
        raise InputError(
            f"expected a network of at most {MOST_FILES} files and {MOST_BYTES // 2**30} GiB; "
            f"there are {count} files and {size / 2**30:.1f} GiB or more"
        )


def _check(place: str, found: Path, hashed: str, wanted: str) -> None:
    if wanted and hashed != wanted:
        raise InputError(
            f"expected what lies at {place} to have the hash {wanted}; what came has {hashed}: it "
            "was changed or damaged on its way"
        )
    if wanted:
        return
    why = None
    if _scheme(place) in UNPROVEN:
        why = "nobody vouches for what a web server hands out"
    elif found.is_dir() and not (found / KERAS_FILE).is_file():
        why = "a SavedModel is a program"
    if why:
        raise InputError(
            f"expected a hash behind {place}, because {why}. What came now is "
            f"{place}#sha256={hashed}: give that if it is the hash that its maker names"
        )


def _unreadable(place: str, error: Exception) -> InputError:
    said = str(error) or type(error).__name__
    return InputError(f"expected a network at {place}, but it cannot be read: {said}")
