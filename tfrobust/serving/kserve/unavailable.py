"""The error of a server that is there and cannot answer now."""

from kserve.errors import ModelNotReady


class Unavailable(ModelNotReady):
    """Becomes 503 over REST and UNAVAILABLE over gRPC.

    Args:
        name: the model's name.
        detail: why, for people.
    """

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(name, detail)
        # KServe's gRPC server asks for it, and ModelNotReady does not have it.
        self.reason = str(self)
