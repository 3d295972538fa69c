"""Functions of the user's own modules, by name."""

from pathlib import Path

import pytest

from tfrobust.core.loading import load
from tfrobust.errors import InputError


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("python:named_here:weights", "which is a list"),
        ("python:named_here:absent", "has no attribute 'absent'"),
        ("python:named_here", "package.module:function"),
        ("python:named_nowhere:answer", "No module named 'named_nowhere'"),
        ("python:named_broken:answer", "python:named_broken:answer.: division by zero"),
    ],
)
def test_what_is_no_function_is_refused(
    name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "named_here.py").write_text("weights = [1, 2]\n")
    (tmp_path / "named_broken.py").write_text("1 / 0\n")
    with pytest.raises(InputError, match=message):
        load(name)
