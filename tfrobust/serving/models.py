"""The models of a folder. New versions are taken up while it serves."""

import dataclasses
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tfrobust.core import version_folders
from tfrobust.errors import InputError, reason_of
from tfrobust.serving.policy import Policy
from tfrobust.serving.version import SAVED_MODEL, Version, fingerprint

# States by their numbers in tensorflow_serving/apis/get_model_status.proto.
LOADING, AVAILABLE, END = 20, 30, 50
# Seconds after which a version that could not be loaded is tried again, if it looks as it did. One
# that has changed, as it was still being copied, is tried at once.
RETRY = 60.0


class Models:
    """Watches a folder of models, laid out as TF Serving wants it: <name>/<integer version>/.

    An export renames its version into place when it is whole, and it is loaded then. The old
    version answers until the new one is loaded, and finishes the requests that it has begun. If a
    version cannot be loaded, a line says so, the old one stays, and it is tried again. If the
    newest is deleted, the one before it answers again. The last one of a model stays even if all
    its folders are deleted.

    Args:
        root: the folder.
        poll_seconds: seconds between two looks.
        tell: is called with each line for people.

    Attributes:
        root: the folder.

    Raises:
        InputError: the folder holds no model that can be loaded.
    """

    def __init__(
        self, root: Path, *, poll_seconds: float = 2.0, tell: Callable[[str], None] = print
    ) -> None:
        self.root, self._tell, self._poll = root, tell, poll_seconds
        self._loaded: dict[str, dict[int, Version]] = {}
        self._policies: dict[str, Policy] = {}
        self._states: dict[str, dict[int, tuple[int, str]]] = {}
        self._failed: dict[Path, tuple[float, object]] = {}
        # One look at a time: the watching thread's, and those that a new policy asks for.
        self._looking, self._lock = threading.Lock(), threading.Lock()
        self._stop = threading.Event()
        self._look()
        if not self._loaded:
            raise InputError(
                f"expected models in {root}, as <name>/<version>/{SAVED_MODEL}; there is none that "
                "can be loaded. Train or export one, or name another folder"
            )
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def get(self, name: str, version: int | None = None) -> Version | None:
        """The version that answers; None if there is none of that name or number.

        Args:
            name: the model's name.
            version: the version's number; None for the newest.
        """
        with self._lock:
            loaded = self._loaded.get(name, {})
            return loaded.get(max(loaded, default=0) if version is None else version)

    def labelled(self, name: str, label: str) -> int | None:
        """The number of the version that has a label; None if there is none."""
        with self._lock:
            return self._policies.get(name, Policy()).labels.get(label)

    def names(self) -> list[str]:
        """The names of all models that are served."""
        with self._lock:
            return sorted(self._loaded)

    def status(self, name: str) -> dict[int, tuple[int, str]]:
        """The version's number → its state, and what is wrong with it.

        It is empty for a name that no model has.
        """
        with self._lock:
            return dict(self._states.get(name, {}))

    def configure(self, policies: Mapping[str, Policy]) -> None:
        """Chooses which versions are served, and what they are called.

        Args:
            policies: by the models' names. The others keep theirs.

        Raises:
            LookupError: a label is for a version that does not answer, once those that the policies
                ask for are loaded. Then nothing has changed.
        """
        with self._lock:
            before = dict(self._policies)
            # The labels of before are answered until the new ones can be.
            self._policies |= {
                name: dataclasses.replace(policy, labels=before.get(name, Policy()).labels)
                for name, policy in policies.items()
            }
        try:
            self._look()
            for name, policy in policies.items():
                for number in policy.labels.values():
                    if self.get(name, number) is None:
                        raise LookupError(
                            f"Request to assign label to version {number} of model {name}, which "
                            "is not currently available for inference"
                        )
        except BaseException:
            with self._lock:
                self._policies = before
            self._look()
            raise
        with self._lock:
            self._policies |= policies

    def close(self) -> None:
        """Stops watching. A version that is being loaded is not waited for long."""
        self._stop.set()
        self._thread.join(timeout=1)

    def _look(self) -> None:
        with self._looking:
            for folder in sorted(self.root.iterdir() if self.root.is_dir() else []):
                whole = [
                    number
                    for number in version_folders.numbers(folder)
                    if (folder / str(number) / SAVED_MODEL).is_file()
                ]
                if whole:
                    self._bring_about(folder, whole)

    def _bring_about(self, folder: Path, whole: list[int]) -> None:
        """Loads the versions of a model that are wanted, then lets go of the others."""
        name = folder.name
        with self._lock:
            candidates, count = self._policies.get(name, Policy()).choose(whole)
        answering: set[int] = set()
        # In the place of one that cannot be loaded the next older one is taken.
        for number in candidates:
            if len(answering) < count and (
                self.get(name, number) is not None or self._take_up(name, folder / str(number))
            ):
                answering.add(number)
        with self._lock:
            loaded = self._loaded.get(name, {})
            for number in set(loaded) - answering if answering else ():
                del loaded[number]
                self._states[name][number] = END, ""
                self._tell(f"{name} {number} answers no more")

    def _take_up(self, name: str, folder: Path) -> bool:
        """Loads a version, unless it failed and nothing has changed; says whether it did."""
        number, looks = int(folder.name), fingerprint(folder)
        tried, looked = self._failed.get(folder, (0.0, None))
        if looks == looked and time.monotonic() < tried + RETRY:
            return False
        with self._lock:
            self._states.setdefault(name, {})[number] = LOADING, ""
        try:
            version = Version(folder)
        except Exception as error:  # A damaged file can raise anything.
            reason = reason_of(error)
            if folder not in self._failed:
                self._tell(f"{name} {number} cannot be loaded, and is passed over: {reason}")
            self._failed[folder] = time.monotonic(), looks
            with self._lock:
                self._states[name][number] = END, reason
            return False
        self._failed.pop(folder, None)
        with self._lock:
            self._loaded.setdefault(name, {})[number] = version
            self._states[name][number] = AVAILABLE, ""
        self._tell(f"{name} {number} answers {', '.join(sorted(version.signatures))}")
        return True

    def _watch(self) -> None:
        while not self._stop.wait(self._poll):
            try:
                self._look()
            except OSError as error:  # A folder may vanish while it is listed.
                self._tell(f"cannot look for models: {error}")
