"""Answers to what is asked of models, whichever way it came: a bounded number at a time."""

import contextlib
import threading
from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

import numpy as np

from tfrobust.errors import InputError
from tfrobust.serving.models import Models, Version
from tfrobust.serving.protocol import Refused, check_inputs

DEFAULT_SIGNATURE = "serving_default"
Left = Callable[[], float | None]


class Limits(NamedTuple):
    """What a server takes.

    Args:
        running: requests computed at the same time, at least 1.
        waiting: requests that wait for those; more are refused with UNAVAILABLE. At least 0.
        rows: images in one request, at least 1.
        message_bytes: of one request or answer, and of one tensor unpacked, at least 1024.
    """

    running: int = 8
    waiting: int = 32
    rows: int = 64
    message_bytes: int = 64 << 20

    def check(self) -> None:
        """Refuses limits that nothing passes.

        Raises:
            InputError: names it.
        """
        for name, least in zip(self._fields, (1, 0, 1, 1024), strict=True):
            if getattr(self, name) < least:
                raise InputError(
                    f"expected {name} of at least {least}, got {getattr(self, name)}"
                )


class Answered(NamedTuple):
    """What a model said.

    Args:
        version: of the model that said it.
        signature: that was asked.
        outputs: by name.
    """

    version: int
    signature: str
    outputs: dict[str, np.ndarray]


class Answers:
    """Computes answers, each in its turn.

    Args:
        models: who is asked.
        limits: how much at a time.
    """

    def __init__(self, models: Models, limits: Limits) -> None:
        limits.check()
        self.models, self.limits = models, limits
        self._places = threading.Semaphore(limits.running + limits.waiting)
        self._turns = threading.Semaphore(limits.running)

    def predict(
        self,
        model: str,
        version: int | None,
        signature: str,
        read: Callable[[Version, Any], dict[str, np.ndarray]],
        *,
        wanted: Collection[str] = (),
        left: Left = lambda: None,
    ) -> Answered:
        """Asks a signature of a model.

        Args:
            model: its name.
            version: None for the newest.
            signature: its name; empty for "serving_default".
            read: of the version and its SignatureDef makes the inputs; called once it is the
                request's turn, so that no more than `limits.running` are unpacked at a time.
            wanted: names of outputs; empty for all.
            left: seconds until the asker goes away; 0 when gone, None when it waits for ever.

        Raises:
            Refused: with TF Serving's codes.
        """
        signature = signature or DEFAULT_SIGNATURE
        with self._turn(left), self.models.using(model, version) as used:
            definition = used.signature(signature)
            check_wanted(wanted, definition.outputs)
            inputs = read(used, definition)
            check_inputs(inputs, definition.inputs)
            check_rows(inputs, definition)
            outputs = used.run(signature, inputs)
            kept = {name: outputs[name] for name in wanted or outputs}
            return Answered(used.number, signature, kept)

    @contextlib.contextmanager
    def _turn(self, left: Left) -> Iterator[None]:
        if not self._places.acquire(blocking=False):
            raise Refused(
                "UNAVAILABLE",
                "The queue of this server is full: "
                f"{self.limits.running + self.limits.waiting} requests; try again later",
            )
        try:
            seconds = left()
            timeout = None if seconds is None else max(0.0, min(seconds, threading.TIMEOUT_MAX))
            if not self._turns.acquire(timeout=timeout):
                raise Refused("DEADLINE_EXCEEDED", "The time was over before it was its turn")
            try:
                if left() == 0:
                    raise Refused("DEADLINE_EXCEEDED", "Nobody waits for the answer")
                yield
            finally:
                self._turns.release()
        finally:
            self._places.release()


def check_wanted(wanted: Collection[str], outputs: Collection[str]) -> None:
    """Refuses names that are no outputs.

    Raises:
        Refused: INVALID_ARGUMENT.
    """
    for name in wanted:
        if name not in outputs:
            raise Refused(
                "INVALID_ARGUMENT",
                f"output tensor alias not found in signature: {name[:80]} Outputs expected to be "
                f"in the set {sorted(outputs)}.",
            )
    if len(set(wanted)) != len(wanted):
        raise Refused("INVALID_ARGUMENT", "duplicate output tensor alias")


def check_rows(inputs: dict[str, np.ndarray], definition: Any) -> None:
    """Refuses inputs of which one has more rows than another.

    Raises:
        Refused: INVALID_ARGUMENT.
    """
    rows = {
        name: len(value)
        for name, value in inputs.items()
        if value.ndim and definition.inputs[name].tensor_shape.dim[0].size < 0
    }
    if len(set(rows.values())) > 1:
        raise Refused(
            "INVALID_ARGUMENT",
            f"Batching Run() input tensors must have equal 0th-dimension size, got {rows}",
        )
