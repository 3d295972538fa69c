"""Fixtures that several folders of tests share."""

import os
from pathlib import Path

# Before anything imports TensorFlow: its notices would hide pytest's own lines.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The clone."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Data and reference weights that are not part of the project."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"needs the data of {folder}, which is absent")
    return folder
