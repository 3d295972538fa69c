"""How gRPC's messages are received, so that what comes and what waits takes bounded memory."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc

from tfrobust.serving.budget import Budget, Counted
from tfrobust.serving.refused import Refused

# So many come at one time. gRPC does not tell how much of a message it has.
COMING = 8
# Where more want to come, the one that comes for longest is dropped after so many seconds.
PATIENCE = 5.0


class Receiver(grpc.ServerInterceptor):
    """Receives the messages of gRPC: few at a time, and no more than a budget holds.

    gRPC itself receives one in each of its threads, and keeps it however long it waits.

    Args:
        most: the largest message.
    """

    def __init__(self, most: int) -> None:
        self._budget = Budget(most)
        self._changed = threading.Condition()
        # Any: gRPC's contexts have no type of their own. Call → when its message began to come.
        self._coming: dict[Any, float] = {}

    def intercept_service(self, continuation: Callable[..., Any], details: Any) -> Any:
        """Takes the message from the wire itself, before the handler is called."""
        handler = continuation(details)
        if handler is None or handler.unary_unary is None:
            return handler

        def answer(messages: Iterator[bytes], context: Any) -> Any:
            with self._turn(context):
                message = next(messages, None)
            try:
                if message is None:
                    raise Refused("INVALID_ARGUMENT", "expected a message, got none")
                with Counted(self._budget) as counted:
                    counted.grow(len(message))
                    try:
                        request = handler.request_deserializer(message)
                    except Exception:  # protobuf's kinds differ between its versions
                        raise Refused(
                            "INVALID_ARGUMENT", "expected a message of its type"
                        ) from None
                    del message
                    return handler.unary_unary(request, context)
            except Refused as refused:
                context.abort(getattr(grpc.StatusCode, refused.code), str(refused))

        # Only a handler of streams is called before its message has come.
        return grpc.stream_unary_rpc_method_handler(
            answer, response_serializer=handler.response_serializer
        )

    @contextlib.contextmanager
    def _turn(self, context: Any) -> Iterator[None]:
        """Waits until a message may come; drops one that does not end."""
        with self._changed:
            while len(self._coming) >= COMING:
                longest, began = next(iter(self._coming.items()))
                left = began + PATIENCE - time.monotonic()
                if left <= 0:
                    del self._coming[longest]
                    longest.cancel()
                else:
                    self._changed.wait(left)
            self._coming[context] = time.monotonic()
        try:
            yield
        finally:
            with self._changed:
                self._coming.pop(context, None)
                self._changed.notify()
