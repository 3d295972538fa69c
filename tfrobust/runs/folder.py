"""A run's folder: it is made or found again, locked, and tells what run it holds.

It holds config.json (all that repeats the run), checkpoints/, tensorboard/, metrics.csv, the
evaluation and its report; finished.json comes last. Folders of version 0.1 have recipe.json
instead, whose names are not nested (schema 1): they are read, and such a run can go on.
"""

import contextlib
import dataclasses
import json
import os
import platform
import shlex
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tfrobust.core.files import lock, write_atomically
from tfrobust.core.provenance import machine, versions
from tfrobust.datasets import DataSource
from tfrobust.errors import InputError
from tfrobust.runs import fields, network_files
from tfrobust.runs.config import Config

SCHEMA = 2
CONFIG_FILE = "config.json"
FLAT_FILE = "recipe.json"  # of schema 1
FINISHED_FILE = "finished.json"


@dataclasses.dataclass(frozen=True)
class Run:
    """What all stages of a run start from.

    Args:
        config: the whole configuration.
        source: the images.
        folder: where the run's files are.
    """

    config: Config
    source: DataSource
    folder: Path

    @property
    def is_smoke(self) -> bool:
        """Whether the training is cut short, so that no figure of its network is a measurement."""
        return self.config.training.max_steps is not None


@contextlib.contextmanager
def open_run(
    config: Config,
    source: DataSource,
    *,
    runs_dir: Path,
    run_dir: Path | None = None,
    fresh: bool = False,
    execution: dict[str, Any],
) -> Iterator[Run]:
    """Finds the folder of an unfinished run, or makes a new one, and locks it.

    Args:
        config: of the run. A folder is gone on with only if its configuration is equal.
        source: of the images. Their classes and numbers must be equal as well, and in a user's
            folder the files' names, labels, splits and weights. So must be the bytes of the files
            that the network, or its labels' teacher, is made from.
        runs_dir: the folder of the runs. The newest unfinished run there is gone on with.
        run_dir: the very folder to use instead.
        fresh: whether to make a new folder whatever is unfinished.
        execution: what config.json notes besides: how and where the run is computed.

    Yields:
        The run. No other process can open its folder at the same time.

    Raises:
        InputError: `run_dir` holds another run, or another process works in it.
    """
    fingerprint = _fingerprint(config, source)
    if run_dir is not None:
        _check(run_dir, config, fingerprint, fresh)
        candidates = [run_dir]
    else:
        candidates = [] if fresh else _unfinished(runs_dir, config, fingerprint)
        candidates += new_folders(runs_dir, config.name)
    for folder in candidates:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".lock").touch()
        if (descriptor := lock(folder / ".lock")) is None:
            continue  # another process works in it
        try:
            if not _file(folder).exists():
                _write(folder, config, fingerprint, execution)
            yield Run(config, source, folder)
        finally:
            os.close(descriptor)
        return
    raise InputError(f"{candidates[0]} is in use by another process; name another `run_dir`")


def new_folders(runs_dir: Path, name: str) -> list[Path]:
    """Folders for a new run, none of which exists yet. The first is the best.

    Args:
        runs_dir: the folder of the runs.
        name: of the configuration.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    ends = ["", *(f"-{number}" for number in range(2, 100))]
    new = [runs_dir / f"{name}-{stamp}{end}" for end in ends]
    return [folder for folder in new if not folder.exists()]


def read(folder: Path) -> Config:
    """The configuration of the run that a folder holds.

    Args:
        folder: with a config.json, or a recipe.json of schema 1.

    Raises:
        InputError: there is none, or it cannot be read.
    """
    path = _file(folder)
    try:
        content = json.loads(path.read_text())
        if path.name == FLAT_FILE:
            return _of_flat(content["recipe"])
        if content["schema"] != SCHEMA:
            raise InputError(f"it is of schema {content['schema']}, not {SCHEMA}")
        return Config.from_json(content["config"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"expected a run's configuration at {path}, but it cannot be read ({error}); "
            "name another `run_dir`, or take that folder away"
        ) from None


def finish(folder: Path, *, model: Path, seconds: float) -> None:
    """Says in finished.json that all of the run is done.

    Args:
        folder: of the run.
        model: the folder of the exported version.
        seconds: of the call that finished it.
    """
    done = {"model": str(model), "seconds": seconds}
    write_atomically(folder / FINISHED_FILE, json.dumps(done, indent=2).encode())


def _fingerprint(config: Config, source: DataSource) -> dict[str, Any]:
    """What tells that data or a network have changed under their names, as a user's files may."""
    info = source.info
    data = {
        "classes": list(info.class_names),
        "train_images": info.train_images,
        "test_images": info.test_images,
    }
    if info.digest is not None:
        data["digest"] = info.digest
    files = network_files.digests(config.network, config.soft_labels.teacher)
    found: dict[str, Any] = {"data": data, "network": files}
    if (marks := config.annotations.digest()) is not None:
        found["annotations"] = marks
    return found


def _file(folder: Path) -> Path:
    """Where a folder's configuration is, or will be."""
    flat = folder / FLAT_FILE
    return flat if flat.exists() else folder / CONFIG_FILE


def _of_flat(recipe: dict[str, Any]) -> Config:
    """A configuration from the fields of schema 1, whose names are not nested."""
    paths = {name: path for path, name in fields.flat_names(Config).items()}
    if unknown := sorted(set(recipe) - set(paths)):
        raise InputError(f"there is no field {', '.join(unknown)}")
    values: dict[str, Any] = {}
    for name, value in recipe.items():
        section, _, field = paths[name].rpartition(".")
        (values.setdefault(section, {}) if section else values)[field] = value
    return Config.from_json(values)


def _check(run_dir: Path, config: Config, fingerprint: dict[str, Any], fresh: bool) -> None:
    """Refuses a folder that holds another run, or anything else."""
    if not _file(run_dir).exists():
        if run_dir.exists() and any(run_dir.iterdir()):
            raise InputError(f"expected {run_dir} to be empty or a run folder; it is neither")
        return
    kept = read(run_dir)
    if changed := _changed(run_dir, fingerprint):
        raise InputError(f"{run_dir} is the run of {changed} since; name another `run_dir`")
    if different := config.differences(kept):
        raise InputError(
            f"{run_dir} is the run of another configuration ({'; '.join(different)}); name "
            "another `run_dir`"
        )
    if fresh:
        raise InputError(f"{run_dir} exists; `fresh` needs a new `run_dir`, or none")


def _changed(folder: Path, fingerprint: dict[str, Any]) -> str:
    """What is no longer as the run in a folder had it; "" if nothing."""
    content = json.loads(_file(folder).read_text())
    kept, data = content.get("data"), fingerprint["data"]
    # Version 0.1 noted no digest.
    if not kept or {**data, **kept} != data:
        return "other images: the data's classes, numbers of images, labels or splits have changed"
    if content.get("annotations") != fingerprint.get("annotations"):
        return "other marks: the folder of `annotations.folder` has changed"
    network = content.get("network", {})
    if files := [field for field in network if network[field] != fingerprint["network"].get(field)]:
        return f"another network: the file of `{'`, `'.join(files)}` has changed"
    return ""


def _unfinished(runs_dir: Path, config: Config, fingerprint: dict[str, Any]) -> list[Path]:
    """The unfinished runs of this configuration and data, the newest first."""
    found = []
    for folder in sorted(runs_dir.glob(f"{config.name}-*"), reverse=True):
        with contextlib.suppress(InputError):
            same = read(folder) == config and not _changed(folder, fingerprint)
            if same and not (folder / FINISHED_FILE).exists():
                found.append(folder)
    return found


def _write(
    folder: Path, config: Config, fingerprint: dict[str, Any], execution: dict[str, Any]
) -> None:
    content = {
        "schema": SCHEMA,
        "config": config.to_json(),
        "execution": execution,
        **fingerprint,
        "command": shlex.join(sys.argv),
        "versions": versions(),
        "machine": f"{machine()}, {platform.platform()}",
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_atomically(folder / CONFIG_FILE, json.dumps(content, indent=2).encode())
