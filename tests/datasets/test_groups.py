"""Groups stay on one side of the split, and the shares are right all the same."""

from pathlib import Path

import numpy as np
import pytest
from dicom_files import dicom
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tfrobust import datasets
from tfrobust.datasets.folder_scan import Picture, key_of, scan
from tfrobust.datasets.folder_split import TEST_SHARE, split_by_groups
from tfrobust.datasets.groups import looks_repeated, numbered, parse_way
from tfrobust.errors import InputError


@st.composite
def collections(draw: st.DrawFn) -> list[Picture]:
    """Pictures of up to five classes in groups of one to nine pictures, some alone."""
    number = draw(st.integers(1, 5))
    of_a_group = st.lists(st.integers(0, number - 1), min_size=1, max_size=9)
    groups = draw(st.lists(of_a_group, min_size=4, max_size=60))
    alone = draw(st.lists(st.integers(0, number - 1), max_size=20))
    made = [(str(group), label) for group, own in enumerate(groups) for label in own]
    return [
        Picture(f"/{n}", label, f"{n}.png", key_of(f"{n}.png"), None, group)
        for n, (group, label) in enumerate([*made, *((None, label) for label in alone)])
    ]


@given(collections())
@settings(max_examples=150, deadline=None)
def test_no_group_is_on_both_sides_and_the_shares_are_near_a_fifth(pictures: list[Picture]) -> None:
    train, test = split_by_groups(pictures)
    assert sorted(one.name for one in [*train, *test]) == sorted(one.name for one in pictures)
    groups = [{one.group for one in part} - {None} for part in (train, test)]
    assert not groups[0] & groups[1]
    assert train and test
    sizes = [sum(one.group == group for one in pictures) for group in groups[0] | groups[1]]
    largest = max(sizes, default=1)
    labels = {one.label for one in pictures}
    assert abs(len(test) - TEST_SHARE * len(pictures)) <= largest + 2 * len(labels)
    for label in labels:
        own = [one for one in pictures if one.label == label]
        tested = sum(one.label == label for one in test)
        assert abs(tested - TEST_SHARE * len(own)) <= largest + 3
        if len({one.group or one.name for one in own}) > 8:
            assert 0 < tested < len(own)
    again = split_by_groups(pictures[::-1])
    assert [{one.name for one in part} for part in again] == [
        {one.name for one in part} for part in (train, test)
    ]


def test_many_patients_are_stratified() -> None:
    random = np.random.default_rng(0)
    pictures = []
    for group in range(2000):
        rare = random.random() < 0.05
        for _ in range(random.integers(1, 6)):
            name = f"{len(pictures)}.png"
            pictures.append(Picture("", int(rare), name, key_of(name), None, str(group)))
    _, test = split_by_groups(pictures)
    for label in (0, 1):
        share = (
            np.mean([one in test_set for one in pictures if one.label == label])
            if (test_set := set(test))
            else 0
        )
        assert share == pytest.approx(TEST_SHARE, abs=0.01)


def fill(root: Path, names: list[str], label: str) -> None:
    for number, name in enumerate(names):
        path = root / label / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shade = 20 * number + (10 if label == "ill" else 0)
        Image.fromarray(np.full((8, 8), shade, np.uint8)).save(path)


def test_names_decide_by_a_pattern(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for label in ("ill", "well"):
        fill(tmp_path, [f"{label}{n // 2}_{n % 2}.png" for n in range(12)], label)
    data = datasets.load(f"folder:{tmp_path}", group=r"pattern:(\w+)_\d\.png$")
    shades = np.rint(data.test_arrays(None)[0][:, 0, 0, 0] * 255).astype(int) // 20
    ill = data.test_arrays(None)[1] == 0
    for side in (shades[ill], shades[~ill]):
        assert sorted(side // 2) == sorted(np.repeat(np.unique(side // 2), 2))
    assert "none of 12 groups by file names is on both sides" in data.info.provenance
    assert "look as if" not in caplog.text
    with pytest.raises(InputError, match=r"24 have none, such as ill/ill0_0.png"):
        datasets.load(f"folder:{tmp_path}", group="pattern:^patient")
    ungrouped = datasets.load(f"folder:{tmp_path}")
    assert (
        "file names look as if several pictures were of one patient (ill/ill0_0.png" in caplog.text
    )
    assert "groups" not in ungrouped.info.provenance
    caplog.clear()
    datasets.load(f"folder:{tmp_path}", group="none")
    assert not caplog.text


@pytest.mark.parametrize(
    ("names", "repeated"),
    [
        ([f"{n // 3:08}_{n % 3:03}.png" for n in range(30)], True),  # ChestX-ray14
        ([f"patient{n // 2}/study1/view{n % 2}_frontal.png" for n in range(20)], True),  # CheXpert
        (
            [f"case 7 no. {n}.png" for n in range(2)] + [f"case 8 no. {n}.png" for n in range(2)],
            True,
        ),
        ([f"IMG_{n:04}.png" for n in range(30)], False),
        ([f"{n}.png" for n in range(30)], False),
        ([f"cat.{n}.png" for n in range(30)], False),
        ([f"images_{n % 2:03}/{n}.png" for n in range(200)], False),  # parts of an archive
        ([f"{n:04}_left.png" for n in range(30)], False),
    ],
)
def test_names_of_repeated_patients_are_noticed(
    tmp_path: Path, names: list[str], repeated: bool
) -> None:
    for label in ("class 1", "class 2"):
        for name in names[:: 1 if label == "class 1" else 10**6]:
            (tmp_path / label / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / label / name).touch()
    folder = scan(tmp_path)
    assert (looks_repeated(folder, folder.pictures) is not None) == repeated


def radiographs(root: Path, patients: list[str | None], parts: tuple[str, ...] = ("",)) -> None:
    for number, patient in enumerate(patients):
        for label in ("ill", "well"):
            samples = np.full((8, 8), 100 * number, np.uint16)
            path = root / parts[number % len(parts)] / label / f"{number}.dcm"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(dicom(samples, bits=12, patient=patient and f"{patient}{label}"))


def test_dicom_files_are_grouped_by_patient(tmp_path: Path) -> None:
    radiographs(tmp_path, [f"Secret{number // 3}" for number in range(15)])
    data = datasets.load(f"folder:{tmp_path}")
    shades = np.rint(data.test_arrays(None)[0][:, 0, 0, 0] * 40.95).astype(int)
    assert len(shades) == 6
    assert len(set(shades // 3)) <= 2
    assert "none of 10 groups by DICOM's PatientID is on both sides" in data.info.provenance
    assert "Secret" not in data.info.provenance
    sample = data.test_sample(None)
    shades = np.rint(sample.images[:, 0, 0, 0] * 40.95).astype(int)
    assert set(sample.groups) == {"group 1", "group 2"}
    patients = [(label, shade // 3) for label, shade in zip(sample.labels, shades, strict=True)]
    assert len(set(zip(sample.groups, patients, strict=True))) == 2
    assert "groups" not in datasets.load(f"folder:{tmp_path}", group="none").info.provenance
    with pytest.raises(InputError, match=r"30 have none, such as ill/0\.dcm"):
        datasets.load(f"folder:{tmp_path}", group="dicom:StudyInstanceUID")


def test_a_picture_without_a_group_is_its_own() -> None:
    def picture(name: str, group: str | None) -> Picture:
        return Picture("", 0, name, 0.0, None, group)

    pictures = [
        picture("a", "Secret"),
        picture("b", None),
        picture("c", "Secret"),
        picture("d", None),
    ]
    assert numbered(pictures) == ("group 1", "group 2", "group 1", "group 3")
    assert numbered(pictures[1::2]) == ()


def test_one_patient_for_all_is_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    radiographs(tmp_path, [None] * 8)
    assert "groups" not in datasets.load(f"folder:{tmp_path}").info.provenance
    assert "do not say a PatientID that tells patients apart" in caplog.text


def test_files_that_say_no_patient_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    radiographs(tmp_path, ["Secret1", "Secret1", "Secret2", None])
    data = datasets.load(f"folder:{tmp_path}")
    assert "none of 6 groups by DICOM's PatientID" in data.info.provenance
    assert "2 of 8 DICOM files say no PatientID; each of them counts as a patient" in caplog.text
    assert "Secret" not in caplog.text


def test_folders_that_split_a_patient_are_refused(tmp_path: Path) -> None:
    radiographs(tmp_path, ["Secret1", "Secret2", "Secret3", "Secret1"], ("train", "test"))
    with pytest.raises(
        InputError, match=r"train/ill/0.dcm is for train and test/ill/3.dcm"
    ) as told:
        datasets.load(f"folder:{tmp_path}")
    assert "Secret" not in str(told.value)
    assert datasets.load(f"folder:{tmp_path}", group="none").info.test_images == 4


@pytest.mark.parametrize(
    ("group", "said"),
    [
        ("patient", "column:NAME of a CSV.* got 'patient'"),
        ("column:", "got 'column:'"),
        ("pattern:(", r"regular expression, got '\('"),
        ("dicom:PatientNumber", "name an element of DICOM, got 'PatientNumber'"),
    ],
)
def test_ways_that_are_none_are_refused(group: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_way(group)


def test_a_column_needs_a_csv(tmp_path: Path) -> None:
    fill(tmp_path, ["1.png", "2.png"], "ill")
    fill(tmp_path, ["1.png", "2.png"], "well")
    with pytest.raises(InputError, match="expected `labels`, a CSV, where `group` is one of its"):
        datasets.load(f"folder:{tmp_path}", group="column:patient")
