"""What the tests of KServe share."""

import socket

import pytest


@pytest.fixture(scope="session")
def free_port():
    """A function that finds a port: KServe's server cannot choose one itself."""

    def find() -> int:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            return listening.getsockname()[1]

    return find
