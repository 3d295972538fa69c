"""What is raised for a request that is not answered."""


class Refused(Exception):
    """A request that is not answered.

    Args:
        code: gRPC's name of the reason, such as "NOT_FOUND".
        message: for people.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
