"""A CSV of labels beside the images: what it may say, and every way to get it wrong."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfrobust import datasets
from tfrobust.datasets import folder as folder_module
from tfrobust.datasets.labels_scan import scan_table
from tfrobust.datasets.labels_table import read_table
from tfrobust.errors import InputError

NAMES = ("hand", "knee", "лёгкие", "胸部")


def images(root: Path, count: int = 24, suffix: str = ".png") -> list[str]:
    """Grey pictures of which each has a shade of its own."""
    (root / "deep").mkdir(exist_ok=True)
    made = [f"{'deep/' if number % 2 else ''}{number:02}{suffix}" for number in range(count)]
    for number, name in enumerate(made):
        Image.fromarray(np.full((9, 8), number * 10, np.uint8)).save(root / name)
    return made


def table(root: Path, head: str, lines: list[str]) -> Path:
    path = root / "labels.csv"
    path.write_text("\n".join([head, *lines, ""]), encoding="utf-8")
    return path


def numbers(pixels: np.ndarray) -> np.ndarray:
    """Which pictures of `images` these are."""
    return np.rint(pixels[:, 4, 4, 0] * 25.5).astype(int)


def load(root: Path, **options: object) -> datasets.DataSource:
    return datasets.load(f"folder:{root}", labels=root / "labels.csv", **options)


@pytest.fixture(params=[10**9, 1])
def memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder's pictures are kept in memory, or read again each time."""
    monkeypatch.setattr(folder_module, "MEMORY_BYTES", request.param)


@pytest.mark.usefixtures("memory")
def test_classes_come_from_the_csv(tmp_path: Path) -> None:
    files = images(tmp_path)
    table(tmp_path, "file,label", [f"{name},{NAMES[n % 4]}" for n, name in enumerate(files)])
    data = load(tmp_path)
    assert data.info.class_names == tuple(sorted(NAMES))
    assert (data.info.train_images, data.info.image_shape) == (
        24 - data.info.test_images,
        (9, 8, 1),
    )
    pixels, labels = data.test_arrays(None)
    assert [NAMES[n % 4] for n in numbers(pixels)] == [data.info.class_names[one] for one in labels]
    batch, trained = next(iter(data.train(data.info.train_images, seed=0, augmentation="none")))
    assert not set(numbers(batch.numpy())) & set(numbers(pixels))
    assert [NAMES[n % 4] for n in numbers(batch.numpy())] == [sorted(NAMES)[one] for one in trained]
    assert "with the labels of 'labels.csv'" in data.info.provenance
    assert not data.info.multi_label


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_columns_are_known_by_their_names(tmp_path: Path, separator: str) -> None:
    head = ["Weight", "CLASS", "Image", "Patient_ID", "split", "age"]
    lines = [["0.5", "10", "a.png", "p1", "Train", "70"], ["2", "9", "b", "p2", "dev", "71"]]
    path = table(tmp_path, separator.join(head), [separator.join(line) for line in lines])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))  # as Excel does
    found = read_table(path)
    assert found.class_names == ("9", "10")
    assert (found.group, found.multi_label) == ("Patient_ID", False)
    first, second = found.rows
    assert (first.line, first.file, first.label, first.group) == (2, "a.png", "10", "p1")
    assert (second.split, second.weight, second.group) == ("validation", 2.0, "p2")
    assert read_table(path, "age").rows[0].group == "70"


@pytest.mark.usefixtures("memory")
def test_columns_of_0_and_1_are_labels(tmp_path: Path) -> None:
    files = images(tmp_path)
    lines = [f"{name},{n % 2},{int(n % 3 == 0)},0" for n, name in enumerate(files)]
    lines[0] = lines[0][:-1] + "1"
    lines[1] = lines[1][:-1] + "1"
    table(tmp_path, "file,effusion,mass,rare", lines)
    data = load(tmp_path)
    assert data.info.class_names == ("effusion", "mass", "rare")
    assert data.info.multi_label
    pixels, labels = data.test_arrays(None)
    assert labels.shape == (data.info.test_images, 3) and labels.dtype == np.int32
    np.testing.assert_array_equal(labels[:, 0], numbers(pixels) % 2)
    np.testing.assert_array_equal(labels[:, 1], numbers(pixels) % 3 == 0)
    # Both of the pictures with the rare label could be on one side.
    assert labels[:, 2].sum() == 1
    batch, trained = next(iter(data.train(8, seed=0, augmentation="none")))
    assert trained.shape == (8, 3)
    np.testing.assert_array_equal(trained[:, 0], numbers(batch.numpy()) % 2)
    assert "of 3 labels (test images: about a fifth of each label)" in data.info.provenance


def test_splits_of_the_csv_are_obeyed(tmp_path: Path) -> None:
    files = images(tmp_path)
    parts = ["train", "VALID", "testing", "training"]
    lines = [f"{name},{n % 4 // 2 + n % 2},{parts[n // 6]}" for n, name in enumerate(files)]
    table(tmp_path, "file,label,split", lines)
    data = load(tmp_path)
    assert set(numbers(data.test_arrays(None)[0])) == set(range(12, 18))
    assert set(numbers(data.watched.test_arrays(None)[0])) == set(range(6, 12))
    assert data.info.train_images == 12
    assert "as the CSV says" in data.info.provenance


def test_without_a_test_split_validation_is_tested_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = images(tmp_path)
    lines = [f"{name},{n % 2},{'val' if n < 6 else 'train'}" for n, name in enumerate(files)]
    table(tmp_path, "file,label,split", lines)
    data = load(tmp_path)
    assert set(numbers(data.test_arrays(None)[0])) == set(range(6))
    assert data.info.train_images == 18 and data.watched is data
    assert "there is no split `test`, so `validation` is tested on" in caplog.text


def test_what_is_left_out_is_counted_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = images(tmp_path)
    lines = [f"{name},{n % 2}" for n, name in enumerate(files[:-3])]
    lines[0] = f"{files[0]},"
    lines += ["gone.png,1", "../outside.png,1", "/etc/passwd,0"]
    table(tmp_path, "file,label", lines)
    (tmp_path / "notes.txt").touch()
    data = load(tmp_path)
    assert data.info.train_images + data.info.test_images == 20
    told = "3 listed files are missing; 1 listed files have no label; 3 pictures are not listed"
    assert told in data.info.provenance
    assert "3 listed files are missing: gone.png, ../outside.png, /etc/passwd" in caplog.text
    assert f"3 pictures are not listed: {files[-2]}, {files[-3]}, {files[-1]}" in caplog.text
    assert "not read: 1 .txt." in data.info.provenance


@pytest.mark.parametrize(
    ("head", "lines", "said"),
    [
        ("file,label", [], "a line for each picture"),
        ("file,label", ["00.png,a", "02.png,a"], "at least two classes in .*labels.csv, got a"),
        ("name,label", ["00.png,a"], "a column 'file' in .* its columns are name, label"),
        ("file", ["00.png"], "a column `label`, or a column of 0 and 1 for each"),
        ("file,file", ["00.png,a"], "columns of different names"),
        ("file,path,label", ["00.png,00.png,a"], "one column `file` in .*, got file, path"),
        ("file,label", ["00.png,a", "02.png,b,c"], "line 3: expected 2 cells, .* got 3"),
        ("file,label", ['"00.png,a'], "line 2: unexpected end of data"),
        ("file,label", [",a"], "line 2, column 'file': expected the name of a file, got ''"),
        ("file,a,b", ["00.png,0,1", "02.png,1,2"], "line 3, column 'b': expected 0 or 1.* got '2'"),
        ("file,a,b", ["00.png,0,"], "line 2, column 'b': expected 0 or 1.* got ''"),
        ("file,label,split", ["00.png,a,trian"], "line 2, column 'split': expected .* got 'trian'"),
        (
            "file,label,split",
            ["00.png,a,train", "02.png,b,train"],
            "some to test on by the column `split` of .*, got train alone. Add the others",
        ),
        (
            "file,label,split",
            ["00.png,a,test", "02.png,b,dev"],
            "got test, validation alone",
        ),
        ("file,label,weight", ["00.png,a,-1"], "line 2, column 'weight': .* not below 0, got '-1'"),
        ("file,label,weight", ["00.png,a,nan"], "column 'weight': .* got 'nan'"),
        ("file,label,group", ["00.png,a,"], "line 2, column 'group': expected the name of a group"),
        (
            "file,label",
            ["00.png,a", "02.png,b", "00,a"],
            "line 4: '00' is listed in line 2 already",
        ),
        ("file,label", ["x/00.png,a", "y.png,b"], "none of the 2 files .* such as x/00.png, y.png"),
        ("file,label", ["00.png,a\u2028\x07", "02.png,b"], "reports cannot show"),
    ],
)
def test_wrong_tables_are_refused_by_line_and_column(
    tmp_path: Path, head: str, lines: list[str], said: str
) -> None:
    images(tmp_path, 4)
    table(tmp_path, head, lines)
    with pytest.raises(InputError, match=said):
        load(tmp_path)


def test_a_name_without_a_suffix_must_mean_one_file(tmp_path: Path) -> None:
    images(tmp_path, 2)
    images(tmp_path, 2, ".bmp")
    path = table(tmp_path, "file,label", ["00,a", "deep/01.png,b"])
    with pytest.raises(InputError, match=r"line 2: '00' may be 00\.(png|bmp) or 00\..* suffix too"):
        scan_table(tmp_path, read_table(path))


def test_files_that_are_no_csv_are_refused(tmp_path: Path) -> None:
    images(tmp_path, 2)
    with pytest.raises(InputError, match=r"cannot be read: .*No such file"):
        load(tmp_path)
    (tmp_path / "labels.csv").write_bytes(b"file,label\n\xff\xfe,a")
    with pytest.raises(InputError, match="expected a CSV in UTF-8"):
        load(tmp_path)
    with pytest.raises(InputError, match="expected folder:/path with `labels`, `group`"):
        datasets.load("fashion_mnist_mini", labels=tmp_path / "labels.csv")


def test_a_class_on_one_side_only_is_refused(tmp_path: Path) -> None:
    images(tmp_path, 4)
    path = ["00.png,a,1", "deep/01.png,a,2", "02.png,b,3", "deep/03.png,b,3"]
    table(tmp_path, "file,label,patient", path)
    with pytest.raises(
        InputError, match=r"class 'b' .* once groups by the column 'patient' are kept"
    ):
        load(tmp_path)
