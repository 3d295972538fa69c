"""What people bring, one form a test."""

import pytest
from marks import quick
from networks import BROUGHT, Brought

# What has a like among the others.
SLOW = {
    ".keras",
    "a SavedModel of a sigmoid",
    "a SavedModel of one",
    "a function",
    "a function with one sigmoid",
    "a label of a function",
    "a label of three logits",
    "attention",
    "float16",
    "four channels",
    "functional",
    "leading Lambda",
    "one sigmoid, subclassed",
    "softmax activation",
    "softmax nested",
    "softmax operation",
    "subclassed",
    "three channels",
    "two channels",
}


@pytest.fixture(params=quick(BROUGHT, *set(BROUGHT) - SLOW))
def brought(request) -> Brought:
    """Each form."""
    return BROUGHT[request.param]
