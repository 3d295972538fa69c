"""What people bring, one form a test."""

import pytest
from networks import BROUGHT, Brought


@pytest.fixture(params=BROUGHT)
def brought(request) -> Brought:
    """Each form."""
    return BROUGHT[request.param]
