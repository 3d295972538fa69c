"""The models of a folder, each by its newest version. New versions are taken up while it serves."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tfrobust.core import version_folders
from tfrobust.errors import InputError, reason_of

SAVED_MODEL = "saved_model.pb"
# States by their numbers in tensorflow_serving/apis/get_model_status.proto.
LOADING, AVAILABLE, END = 20, 30, 50


class Version:
    """One loaded version of a model.

    Args:
        folder: holds the SavedModel; its name is the version's number.

    Attributes:
        number: the version's number.
        signatures: name → SignatureDef of each signature that answers something.
        inputs: the signature's name → the input's name → TensorSpec.
        labels: the names of the classes; empty if the export does not give them.
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
    """Watches a folder of models, laid out as TF Serving wants it: <name>/<integer version>/.

    An export renames its version into place when it is whole, and it is loaded then. The old
    version answers until the new one is loaded, and finishes the requests that it has begun. If a
    version cannot be loaded, a line says so and the old one stays.

    Args:
        root: the folder.
        poll_seconds: seconds between two looks.
        tell: is called with each line for people.

    Raises:
        InputError: the folder holds no model that can be loaded.
    """

    def __init__(
        self, root: Path, *, poll_seconds: float = 2.0, tell: Callable[[str], None] = print
    ) -> None:
        self._root, self._tell, self._poll = root, tell, poll_seconds
        self._current: dict[str, Version] = {}
        self._states: dict[str, dict[int, tuple[int, str]]] = {}
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._look()
        if not self._current:
            raise InputError(
                f"expected models in {root}, as <name>/<version>/{SAVED_MODEL}; there is none that "
                "can be loaded. Train or export one, or name another folder"
            )
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def get(self, name: str, version: int | None = None) -> Version | None:
        """The version that answers; None if there is none of that name or number."""
        with self._lock:
            found = self._current.get(name)
        return found if found and version in (None, found.number) else None

    def names(self) -> list[str]:
        """The names of all models that are served."""
        with self._lock:
            return sorted(self._current)

    def status(self, name: str) -> dict[int, tuple[int, str]]:
        """The version's number → its state, and what is wrong with it.

        It is empty for a name that no model has.
        """
        with self._lock:
            return dict(self._states.get(name, {}))

    def close(self) -> None:
        """Stops watching."""
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        for folder in sorted(self._root.iterdir() if self._root.is_dir() else []):
            whole = [
                number
                for number in version_folders.numbers(folder)
                if (folder / str(number) / SAVED_MODEL).is_file()
            ]
            if whole:
                self._take_up(folder.name, folder / str(max(whole)))

    def _take_up(self, name: str, folder: Path) -> None:
        number = int(folder.name)
        with self._lock:
            states = self._states.setdefault(name, {})
            if number in states:
                return
            states[number] = LOADING, ""
        try:
            version = Version(folder)
        except Exception as error:  # A damaged file can raise anything.
            reason = reason_of(error)
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
                self._look()
            except OSError as error:  # A folder may vanish while it is listed.
                self._tell(f"cannot look for models: {error}")
