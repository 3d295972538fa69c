"""The models of a folder, each by its newest version, exchanged while others are answered."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tfrobust.errors import InputError

SAVED_MODEL = "saved_model.pb"
# Of tensorflow_serving/apis/get_model_status.proto.
LOADING, AVAILABLE, END = 20, 30, 50


class Version:
    """One loaded version.

    Attributes:
        number: of the version.
        signatures: name → SignatureDef, those that answer something.
        inputs: of each signature, name → TensorSpec.
        labels: of the classes, if the export tells them.
    """

    def __init__(self, folder: Path) -> None:
        self.number = int(folder.name)
        proto = saved_model_pb2.SavedModel.FromString((folder / SAVED_MODEL).read_bytes())
        self._loaded = tf.saved_model.load(str(folder))
        self.signatures = {
            name: definition
            for name, definition in proto.meta_graphs[0].signature_def.items()
            if name in self._loaded.signatures
        }
        self.inputs = {
            name: {
                key: tf.TensorSpec(one.tensor_shape, tf.dtypes.as_dtype(one.dtype), key)
                for key, one in definition.inputs.items()
            }
            for name, definition in self.signatures.items()
        }
        labels = folder / "assets.extra" / "labels.txt"
        self.labels = labels.read_text().splitlines() if labels.is_file() else []

    def run(self, signature: str, inputs: dict[str, Any]) -> dict[str, tf.Tensor]:
        """Calls a signature: named tensors in, named tensors out."""
        return self._loaded.signatures[signature](**inputs)


class Models:
    """Watches a folder of models as TF Serving wants it: <name>/<integer version>/.

    A version is taken up when it is whole, as exports rename theirs into place. The old one
    answers until the new one is loaded, and what runs on it ends; one that cannot be loaded is
    told of, and the old one stays.

    Args:
        root: the folder.
        poll_seconds: between looks.
        tell: takes a line for people.

    Raises:
        InputError: there is no model that can be loaded.
    """

    def __init__(
        self, root: Path, *, poll_seconds: float = 2.0, tell: Callable[[str], None] = print
    ) -> None:
        self._root, self._tell, self._poll = root, tell, poll_seconds
        self._current: dict[str, Version] = {}
        self._states: dict[str, dict[int, tuple[int, str]]] = {}
        self._lock, self._stop = threading.Lock(), threading.Event()
        self.look()
        if not self._current:
            raise InputError(
                f"expected models in {root}, as <name>/<version>/{SAVED_MODEL}; there is none that "
                "can be loaded. Train or export one, or name another folder"
            )
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def get(self, name: str, version: int | None = None) -> Version | None:
        """The version that answers; None where there is none of that name or number."""
        with self._lock:
            found = self._current.get(name)
        return found if found and version in (None, found.number) else None

    def names(self) -> list[str]:
        """Of all models that are served."""
        with self._lock:
            return sorted(self._current)

    def status(self, name: str) -> dict[int, tuple[int, str]]:
        """Number → state and what is wrong with it; empty for an unknown name."""
        with self._lock:
            return dict(self._states.get(name, {}))

    def close(self) -> None:
        """Looks no more."""
        self._stop.set()
        self._thread.join()

    def look(self) -> None:
        """Loads what is new."""
        for folder in sorted(self._root.iterdir() if self._root.is_dir() else []):
            newest = max(_versions(folder), default=None)
            if newest is not None:
                self._take_up(folder.name, folder / str(newest))

    def _take_up(self, name: str, folder: Path) -> None:
        number = int(folder.name)
        with self._lock:
            states = self._states.setdefault(name, {})
            if number in states:
                return
            states[number] = LOADING, ""
        try:
            version = Version(folder)
        except Exception as error:  # of what a damaged file raises, anything
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            self._tell(f"{name} {number} cannot be loaded, and is passed over: {reason}")
            with self._lock:
                states[number] = END, reason
            return
        with self._lock:
            before = self._current.get(name)
            self._current[name] = version
            states[number] = AVAILABLE, ""
            if before is not None:
                states[before.number] = END, ""
        self._tell(f"{name} {number} answers {', '.join(sorted(version.signatures))}")

    def _watch(self) -> None:
        while not self._stop.wait(self._poll):
            try:
                self.look()
            except OSError as error:  # a folder that vanishes while it is listed
                self._tell(f"cannot look for models: {error}")


def _versions(folder: Path) -> list[int]:
    """Whole versions in a model's folder."""
    if not folder.is_dir():
        return []
    return [
        int(entry.name)
        for entry in folder.iterdir()
        if entry.name.isdecimal() and (entry / SAVED_MODEL).is_file()
    ]
