"""What the tests of KServe share."""

import contextlib
import socket
import sys

import pytest

# KServe's SDK parses the command line when it is imported, and refuses some of pytest's flags.
_words, sys.argv = sys.argv, sys.argv[:1]
with contextlib.suppress(ImportError):
    import kserve  # noqa: F401
sys.argv = _words


@pytest.fixture(scope="session")
def free_port():
    """A function that finds a port: KServe's server cannot choose one itself."""

    def find() -> int:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            return listening.getsockname()[1]

    return find
