"""The models of a folder: their newest versions loaded, watched, and swapped while they answer.

A version is loaded as TF Serving does it, by the SavedModel loader into a Session, and warmed up by
its own requests. The old one goes once its last request has ended.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tfrobust.serving.protocol import Refused

INIT = "__saved_model_init_op"  # TensorFlow's own: it prepares a model, and is not to be asked
WARMUP = Path("assets.extra") / "tf_serving_warmup_requests"
WARMUPS = 1000  # TF Serving reads no more


class Version:
    """One version, loaded.

    Args:
        folder: of a SavedModel.
        number: its version.

    Attributes:
        signatures: name → SignatureDef, of those that can be asked.
        definitions: the same and TensorFlow's own, as metadata tells them.

    Raises:
        Exception: whatever TensorFlow finds wrong with the folder or its warm-up requests.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self.folder, self.number = folder, number
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        try:
            with self._session.graph.as_default():
                meta = tf.compat.v1.saved_model.load(self._session, ["serve"], str(folder))
            self.definitions = {name: meta.signature_def[name] for name in meta.signature_def}
            self.signatures = {
                name: one for name, one in self.definitions.items() if name != INIT
            }
            # One callable a signature, with all its outputs: a Session keeps what it compiled for
            # each set of outputs ever asked, so that requests' own sets would fill the memory.
            self._calls = {name: self._callable(one) for name, one in self.signatures.items()}
            self._warm_up()
        except BaseException:
            self._session.close()
            raise

    def signature(self, name: str) -> Any:
        """The SignatureDef of a name.

        Raises:
            Refused: FAILED_PRECONDITION: the model has no such signature.
        """
        if name not in self.signatures:
            raise Refused(
                "FAILED_PRECONDITION",
                f'Serving signature key "{name[:80]}" not found; there are '
                f"{sorted(self.signatures)}",
            )
        return self.signatures[name]

    def run(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Computes a signature's outputs.

        Args:
            signature: its name.
            inputs: of the names, types and shapes that it says.

        Raises:
            Refused: what the graph found wrong, with its own code.
        """
        names, call = self._calls[signature]
        definition = self.signatures[signature]
        try:
            values = call(*(inputs[name] for name in definition.inputs))
        except tf.errors.OpError as error:
            raise Refused(
                _CODES.get(error.error_code, "UNKNOWN"), error.message.split("\n\t [[")[0][:2000]
            ) from None
        return {name: np.asarray(value) for name, value in zip(names, values, strict=True)}

    def close(self) -> None:
        """Gives its memory back."""
        self._session.close()

    def _callable(self, definition: Any) -> tuple[list[str], Callable[..., list[Any]]]:
        names = list(definition.outputs)
        graph = self._session.graph
        call = self._session.make_callable(
            [graph.as_graph_element(definition.outputs[name].name) for name in names],
            feed_list=[
                graph.as_graph_element(definition.inputs[name].name) for name in definition.inputs
            ],
        )
        return names, call

    def _warm_up(self) -> None:
        """Replays the requests that came with the version."""
        path = self.folder / WARMUP
        if not path.exists():
            return
        for record in tf.data.TFRecordDataset(str(path)).take(WARMUPS).as_numpy_iterator():
            request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
            name = request.model_spec.signature_name or "serving_default"
            self.signature(name)
            self.run(name, {key: tf.make_ndarray(value) for key, value in request.inputs.items()})


_CODES = {
    getattr(tf.errors, name): name
    for name in (
        "CANCELLED INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED "
        "UNAUTHENTICATED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED "
        "INTERNAL UNAVAILABLE DATA_LOSS"
    ).split()
}


class State(NamedTuple):
    """What became of a version.

    Args:
        state: "LOADING", "AVAILABLE", "UNLOADING" or "END".
        code: "OK", or gRPC's name of why it could not be loaded.
        message: for people.
    """

    state: str
    code: str = "OK"
    message: str = ""


class _Model:
    """The versions of one name. `Models` holds the lock for all that changes."""

    def __init__(self) -> None:
        self.served: Version | None = None
        self.users: dict[Version, int] = {}  # requests that a version is answering
        self.states: dict[int, State] = {}
        self.failed: dict[int, Any] = {}  # the files of versions that could not be loaded


class Models:
    """All models of a folder, `<name>/<integer version>/`.

    A name that comes in a request is looked up among those found in the folder, and never becomes
    part of a path. Folders with other names than numbers, such as `2.tmp`, are somebody's work.

    Args:
        folder: of models.
        say: takes a line for people about what was loaded, and what could not be.
    """

    def __init__(self, folder: str | Path, *, say: Callable[[str], None] = print) -> None:
        self.folder, self._say = Path(folder), say
        self._models: dict[str, _Model] = {}
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._stopped = threading.Event()
        self._watcher: threading.Thread | None = None
        self.changed: Callable[[list[str]], None] = lambda names: None

    def look(self) -> None:
        """Loads what is new, and lets go what is there no more."""
        with self._looking:
            found = self._found()
            for name in sorted(found.keys() | self._models.keys()):
                with self._lock:
                    model = self._models.setdefault(name, _Model())
                self._update(name, model, found.get(name, {}))
                with self._lock:
                    if name not in found and not model.users:
                        del self._models[name]
        self.changed(self.names())

    def watch(self, seconds: float) -> None:
        """Looks again and again, in a thread, until `stop`.

        Args:
            seconds: between two looks.
        """

        def again() -> None:
            while not self._stopped.wait(seconds):
                try:
                    self.look()
                except Exception as error:
                    # The watcher must outlive a disk that is away for a moment.
                    self._say(f"cannot look at {self.folder}: {error}")

        self._watcher = threading.Thread(target=again, name="watcher", daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """Ends the watching, and lets go all versions whose requests have ended."""
        self._stopped.set()
        if self._watcher:
            self._watcher.join()
        for model in self._models.values():
            self._serve(model, None)

    def names(self) -> list[str]:
        """Of the models that answer."""
        with self._lock:
            return sorted(name for name, model in self._models.items() if model.served)

    @contextlib.contextmanager
    def using(self, name: str, number: int | None = None) -> Iterator[Version]:
        """A version, kept until the body ends.

        Args:
            name: of the model.
            number: the version; None for the newest.

        Raises:
            Refused: NOT_FOUND.
        """
        with self._lock:
            model = self._models.get(name)
            version = model.served if model else None
            if model is None or version is None or number not in (None, version.number):
                asked = "Latest" if number is None else "Specific"
                rest = "" if number is None else f", {number}"
                raise Refused(
                    "NOT_FOUND", f"Servable not found for request: {asked}({name[:80]}{rest})"
                )
            model.users[version] += 1
        try:
            yield version
        finally:
            self._release(model, version)

    def states(self, name: str, number: int | None = None) -> dict[int, State]:
        """The versions of a model and what became of them, the newest first.

        Args:
            name: of the model.
            number: only this version; None for all.

        Raises:
            Refused: NOT_FOUND.
        """
        with self._lock:
            states = dict(self._models[name].states) if name in self._models else {}
        if not states:
            raise Refused("NOT_FOUND", f"Could not find any versions of model {name[:80]}")
        if number is None:
            return dict(sorted(states.items(), reverse=True))
        if number not in states:
            raise Refused("NOT_FOUND", f"Could not find version {number} of model {name[:80]}")
        return {number: states[number]}

    def _found(self) -> dict[str, dict[int, Path]]:
        """Name → number → folder."""
        return {
            entry.name: versions
            for entry in os.scandir(self.folder)
            if not entry.name.startswith(".")
            and entry.is_dir()
            and (versions := _versions(Path(entry.path)))
        }

    def _update(self, name: str, model: _Model, found: dict[int, Path]) -> None:
        """Serves the newest version that can be loaded."""
        with self._lock:
            for number in [*model.states]:
                in_use = number in {version.number for version in model.users}
                if number not in found and not in_use:
                    del model.states[number]
        model.failed = {
            number: files for number, files in model.failed.items() if number in found
        }
        for number in sorted(found, reverse=True):
            if model.served and model.served.number == number:
                return
            if (version := self._loaded(name, model, number, found[number])) is not None:
                self._serve(model, version)
                self._say(f"{name}: version {number} is served")
                return
        if model.served and not found:
            self._say(f"{name}: no version is there any more")
            self._serve(model, None)

    def _loaded(self, name: str, model: _Model, number: int, folder: Path) -> Version | None:
        """Loads a version, or says why not; not again until its files change."""
        files = _files(folder)
        if model.failed.get(number) == files:
            return None
        with self._lock:
            model.states[number] = State("LOADING")
        try:
            version = Version(folder, number)
        except Exception as error:
            # Whatever is wrong with a folder, the others are served.
            model.failed[number] = files
            code = _CODES.get(getattr(error, "error_code", None), "UNKNOWN")
            message = (str(error) or type(error).__name__).split("\n")[0][:500]
            with self._lock:
                model.states[number] = State("END", code, message)
            kept = f"; version {model.served.number} stays" if model.served else ""
            self._say(f"{name}: version {number} cannot be loaded: {message}{kept}")
            return None
        model.failed.pop(number, None)
        return version

    def _serve(self, model: _Model, version: Version | None) -> None:
        """Puts a version in the place of the one served, from one request to the next."""
        with self._lock:
            old, model.served = model.served, version
            if version is not None:
                model.users[version] = 1  # being served is a use like any other
                model.states[version.number] = State("AVAILABLE")
            if old is not None:
                model.states[old.number] = State("UNLOADING")
        if old is not None:
            self._release(model, old)

    def _release(self, model: _Model, version: Version) -> None:
        with self._lock:
            model.users[version] -= 1
            if over := not model.users[version]:
                del model.users[version]
                model.states[version.number] = State("END")
        if over:
            version.close()


def _versions(folder: Path) -> dict[int, Path]:
    """Number → folder."""
    with contextlib.suppress(OSError):
        return {
            int(entry.name): Path(entry.path)
            for entry in os.scandir(folder)
            if entry.name.isascii() and entry.name.isdecimal() and entry.is_dir()
        }
    return {}


def _files(folder: Path) -> list[tuple[str, int, int]]:
    """What tells whether anything in a folder has changed: names, sizes and times."""
    found = []
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            status = path.stat()
            found.append((str(path), status.st_size, status.st_mtime_ns))
    return sorted(found)
