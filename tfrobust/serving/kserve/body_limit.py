"""How much KServe's REST server reads: its SDK has no limit of its own."""

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tfrobust.serving.budget import Budget, Counted
from tfrobust.serving.json_memory import MOST_PARSED_BYTES, parsed_bytes
from tfrobust.serving.refused import Refused


class BodyLimit:
    """An ASGI middleware that refuses bodies that are too large, with 413 and 429.

    Args:
        app: what answers the requests that are let through.
        most: the most bytes of a body.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app, self._most = app, most
        self._budget = Budget(most)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, or lets through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body, parsed, more = bytearray(), 0, True
        refusal: tuple[int, str] | None = None
        with Counted(self._budget) as counted:
            while more and refusal is None:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                chunk = message.get("body", b"")
                more = message.get("more_body", False)
                body += chunk
                parsed += parsed_bytes(chunk)
                if len(body) > self._most:
                    refusal = 413, f"a request of more than {self._most} bytes"
                elif parsed > MOST_PARSED_BYTES:
                    refusal = 413, "a request of too many numbers and lists"
                try:
                    counted.grow(len(chunk))
                except Refused as refused:
                    refusal = refusal or (429, str(refused))
            if refusal:
                status, words = refusal
                await JSONResponse({"error": words}, status)(scope, receive, send)
            else:
                await self._app(scope, _replayed(bytes(body), receive), send)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Gives the body that was read, and then what comes after it."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
