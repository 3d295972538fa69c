"""evidence.py: what is refused before anything is gathered. Whole files are made in the docs."""

import copy
import getpass
from collections.abc import Callable
from pathlib import Path

import pytest

from tfrobust.cli.evidence import FLAGS, evidence
from tfrobust.errors import InputError


@pytest.fixture
def asked(tmp_path: Path) -> Callable[..., None]:
    """Runs the program's function on a model's folder and a report."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "network.keras").write_bytes(b"")
    (tmp_path / "ara.json").write_text("{}")

    def ask(*words: str) -> None:
        told = ["--model", str(tmp_path / "model"), "--report", str(tmp_path / "ara.json")]
        values = copy.deepcopy(FLAGS)
        values(["evidence.py", *told, *words])
        evidence(values)

    return ask


@pytest.mark.parametrize(
    ("place", "source"), [("model/evidence.json", "model"), ("ara.json", "report")]
)
def test_what_it_is_about_is_not_written_to(
    asked: Callable[..., None], tmp_path: Path, place: str, source: str
) -> None:
    with pytest.raises(InputError, match=f"--output outside of --{source}"):
        asked("--output", str(tmp_path / place))
    assert (tmp_path / "ara.json").read_text() == "{}"


def test_the_data_are_not_written_to(asked: Callable[..., None], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--output outside of --data"):
        asked("--data", str(tmp_path), "--output", str(tmp_path / "new" / "evidence.json"))


def test_a_user_without_a_name_gives_one(
    asked: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr(getpass, "getuser", nobody)
    with pytest.raises(InputError, match="expected --by"):
        asked("--output", str(tmp_path / "evidence.json"))
