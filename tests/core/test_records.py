"""Records as JSON: what is written, what is read, and what is refused."""

import dataclasses
import json
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from tfrobust.core.records import Array, Matrix, Record, brief
from tfrobust.errors import InputError


@dataclasses.dataclass(frozen=True)
class Inner:
    share: float
    names: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Outer(Record):
    SCHEMA: ClassVar[int] = 7
    DERIVED: ClassVar[tuple[str, ...]] = ("largest",)

    count: int
    sizes: Array
    classes: Array
    rows: Matrix
    inner: Inner | None

    @property
    def largest(self) -> float | None:
        return float(self.sizes.max()) if np.isfinite(self.sizes.max()) else None


ROWS = np.array([[0.1, 1.0], [1e-9, 0.0]])
RECORD = Outer(3, np.array([0.5, np.inf]), np.array([4, -1]), ROWS, Inner(0.25, ("“ä”", "")))


def written(path: Path, **changes: object) -> Path:
    RECORD.to_json(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return path


def test_there_and_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "record.json"
    RECORD.to_json(path)
    assert json.loads(path.read_text()) == {
        "schema": 7,
        "largest": None,
        "count": 3,
        "sizes": [0.5, None],
        "classes": [4, -1],
        "rows": [[0.1, 1.0], [1e-9, 0.0]],
        "inner": {"share": 0.25, "names": ["“ä”", ""]},
    }
    read = Outer.from_json(path)
    np.testing.assert_array_equal(read.sizes, RECORD.sizes)
    np.testing.assert_array_equal(read.classes, RECORD.classes)
    np.testing.assert_array_equal(read.rows, RECORD.rows)
    assert (read.sizes.dtype, read.classes.dtype) == (np.float64, np.int64)
    assert (read.count, read.inner) == (3, RECORD.inner)
    # The file was written under another name first, of which nothing is left.
    assert [one.name for one in path.parent.iterdir()] == ["record.json"]
    assert Outer.from_json(written(path, inner=None)).inner is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Expecting property name"),
        ("[]", "got schema None"),
        ('{"schema": 6}', "got schema 6"),
        ('{"schema": 7}', "count: Field required"),
        ('{"schema": 7, "count": NaN}', "not JSON compliant"),
        ('{"schema": 7, "count": 1e999}', "not JSON compliant"),
        ("[" * 100_000, "recursion"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        Outer.from_json(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": "3"}, "count: Input should be a valid integer"),
        ({"sizes": 0.5}, "sizes: .*expected a list of numbers, got 0.5"),
        ({"sizes": [[0.5]]}, "sizes: .*expected a list of numbers"),
        ({"sizes": ["0.5"]}, "sizes: .*expected a list of numbers"),
        ({"rows": [0.5]}, "rows: .*lists of numbers of one length"),
        ({"rows": [[0.5], [0.5, 1]]}, "rows: .*lists of numbers of one length"),
        ({"rows": [["0.5"]]}, "rows: .*lists of numbers of one length"),
        ({"inner": {"share": 0.25}}, "inner.names: Field required"),
        ({"another": 1}, "another: Unexpected keyword argument"),
    ],
)
def test_a_damaged_field_is_named(tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Outer.from_json(written(tmp_path / "record.json", **changes))


def test_places_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        Outer.from_json(tmp_path / "absent.json")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="choose a folder"):
        RECORD.to_json(tmp_path / "file" / "record.json")
    with pytest.raises(InputError, match="expected text in UTF-8"):
        dataclasses.replace(RECORD, inner=Inner(0.25, ("\udcff.png",))).to_json(tmp_path / "x.json")


def test_a_prompt_shows_of_large_fields_only_what_they_are() -> None:
    @dataclasses.dataclass(frozen=True)
    class Found:
        images: np.ndarray
        sizes: tuple[float, ...]
        name: str

        __repr__ = brief

    shown = repr(Found(np.zeros((4, 28, 28, 1), np.float32), (0.5,) * 11, "FMN"))
    assert shown == (
        "Found(images=<float32 of shape (4, 28, 28, 1)>, sizes=<tuple of 11>, name='FMN')"
    )
    assert repr(Found(np.array([1, 2]), (0.5,), "FMN")) == (
        "Found(images=array([1, 2]), sizes=(0.5,), name='FMN')"
    )
