"""What is written here comes to the address, in order, whole, and beside what others wrote."""

import os
import re
from pathlib import Path

import fsspec
import pytest

from tfrobust.core import mirror
from tfrobust.core.files import write_atomically
from tfrobust.core.mirror import Mirror, mirrored
from tfrobust.core.remote import fetch
from tfrobust.errors import InputError, ReportedError

MEMORY = fsspec.filesystem("memory")


@pytest.fixture(autouse=True)
def emptied():
    MEMORY.store.clear()
    yield
    MEMORY.store.clear()


@pytest.fixture(params=["memory", "file"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "memory://bucket/big" if request.param == "memory" else f"file://{tmp_path}/there"


def there(place: str) -> dict[str, bytes]:
    system, root = fsspec.url_to_fs(place)
    return {name.removeprefix(f"{root}/"): system.cat(name) for name in system.find(root)}


def test_a_path_stands_for_itself(tmp_path: Path) -> None:
    with mirrored(tmp_path / "out") as one:
        assert one.path == tmp_path / "out"
        assert one.name(one.path / "x") == str(tmp_path / "out" / "x")
    assert not list(tmp_path.iterdir())


def test_what_is_written_changed_and_taken_away_is_so_there(place: str) -> None:
    with mirrored(place) as one:
        write_atomically(one.path / "evaluation" / "1.npz", b"one")
        write_atomically(one.path / "ara.json", b"{}")
        (one.path / ".ara.json.7.tmp").write_bytes(b"half")
        (one.path / "1.tmp").mkdir()  # an export that is under way
        (one.path / "1.tmp" / "saved_model.pb").write_bytes(b"half")
        one.send()
        assert there(place) == {"evaluation/1.npz": b"one", "ara.json": b"{}"}
        assert one.name(one.path / "ara.json") == f"{place}/ara.json"
        write_atomically(one.path / "ara.json", b'{"more": 1}')
        (one.path / "evaluation" / "1.npz").unlink()
    assert there(place) == {"ara.json": b'{"more": 1}'}
    assert not one.path.exists()
    with mirrored(place) as again:
        assert (again.path / "ara.json").read_bytes() == b'{"more": 1}'


def test_shards_see_each_others_and_leave_them_alone(place: str) -> None:
    first, second = Mirror(place), Mirror(place)
    for number, one in enumerate((first, second)):
        one.fetch()
        write_atomically(one.path / f"{number}.npz", bytes([number]))
        one.send()
    first.fetch()
    assert (first.path / "1.npz").read_bytes() == b"\1"
    # What only the other has written is no loss here.
    second.send()
    assert there(place) == {"0.npz": b"\0", "1.npz": b"\1"}
    for one in (first, second):
        one.close()


def test_files_are_sent_in_the_order_of_writing_and_taken_away_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, done = Mirror("memory://bucket/run"), []
    put, remove = MEMORY.put_file, MEMORY.rm_file

    def noted_put(here: str, target: str, **more: object) -> None:
        done.append(("put", Path(target).name.split(".")[0]))
        put(here, target, **more)

    def noted_remove(path: str) -> None:
        if not path.endswith(".tmp"):
            done.append(("remove", Path(path).name))
        remove(path)

    monkeypatch.setattr(MEMORY, "put_file", noted_put)
    monkeypatch.setattr(MEMORY, "rm_file", noted_remove)
    write_atomically(one.path / "old", b"")
    one.send()
    (one.path / "old").unlink()
    for second, name in enumerate(("saved_model.pb", "b-data", "a-index")):
        write_atomically(one.path / name, b"")
        os.utime(one.path / name, (1e9 + second, 1e9 + second))
    one.send()
    assert done == [
        ("put", "old"),
        ("put", "b-data"),
        ("put", "a-index"),
        ("put", "saved_model"),  # which makes a version one
        ("remove", "old"),
    ]
    one.close()


def test_versions_stay_there_and_their_numbers_are_taken() -> None:
    MEMORY.pipe("/models/cifar10/3/network.keras", b"old")
    with mirrored("memory://models", versions=True) as models:
        assert [path.name for path in (models.path / "cifar10").iterdir()] == ["3"]
        assert not list((models.path / "cifar10" / "3").iterdir())
        write_atomically(models.path / "cifar10" / "4" / "network.keras", b"new")
    assert there("memory://models") == {
        "cifar10/3/network.keras": b"old",
        "cifar10/4/network.keras": b"new",
    }


def test_an_export_is_read_back_by_its_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFROBUST_CACHE", str(tmp_path))
    with mirrored("memory://models/mine", versions=True) as mine:
        write_atomically(mine.path / "1" / "network.keras", b"weights")
    fetch.cache_clear()
    assert (fetch("memory://models/mine") / "network.keras").read_bytes() == b"weights"


def test_an_interruption_sends_what_is_there() -> None:
    with pytest.raises(KeyboardInterrupt), mirrored("memory://bucket/run") as run:
        write_atomically(run.path / "metrics.csv", b"step\n1\n")
        raise KeyboardInterrupt
    assert there("memory://bucket/run") == {"metrics.csv": b"step\n1\n"}


def test_what_is_new_is_sent_while_the_work_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setattr(mirror, "EVERY", 0.02)
    with mirrored("memory://bucket/run") as run:
        write_atomically(run.path / "metrics.csv", b"1")
        deadline = time.monotonic() + 10
        while not there("memory://bucket/run"):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_sending_that_is_late_takes_nothing_away(place: str) -> None:
    mirror = Mirror(place)
    (mirror.path / "result.json").write_text("found")
    mirror.send()
    mirror.close()
    mirror.send()  # by a thread that was not scheduled for a while
    assert there(place) == {"result.json": b"found"}


def test_what_another_took_away_is_away(place: str) -> None:
    one, other = Mirror(place), Mirror(place)
    (one.path / "result.json").write_text("found")
    one.send()
    other.fetch()
    for each in (one, other):
        (each.path / "result.json").unlink()
        each.send()
    assert not there(place)


def test_what_cannot_be_sent_is_kept_here_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("quota exceeded")

    with (
        pytest.raises(ReportedError, match=r"found is kept in .*quota exceeded") as told,
        mirrored("memory://bucket/run") as run,
    ):
        write_atomically(run.path / "ara.json", b"{}")
        monkeypatch.setattr(MEMORY, "put_file", full)
    assert str(run.path) in str(told.value)
    assert (run.path / "ara.json").read_bytes() == b"{}"


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("gopher://host/x", "Protocol not known: gopher"),
        ("https://127.0.0.1:9/x", "expected an address that can be written"),
        ("file:///proc/nowhere", "expected an address that can be written"),
    ],
)
def test_what_cannot_be_written_is_refused_before_any_work(place: str, words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)), mirrored(place):
        raise AssertionError("the work began")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec, "url_to_fs", missing)
    with pytest.raises(InputError, match="pip install fsspec s3fs"), mirrored("s3://bucket/run"):
        raise AssertionError("the work began")
