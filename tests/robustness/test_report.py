"""The report as a record: its JSON and what follows from its fields."""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tfrobust
from tfrobust.errors import InputError
from tfrobust.robustness import AraReport, accuracy_robustness_area

Make = Callable[..., AraReport]


def assert_same(one: object, other: object) -> None:
    """Equal in every field, and arrays of the same type."""
    assert type(one) is type(other)
    if isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    elif isinstance(one, tuple):
        assert len(one) == len(other)
        for mine, theirs in zip(one, other, strict=True):
            assert_same(mine, theirs)
    elif dataclasses.is_dataclass(one):
        for field in dataclasses.fields(one):
            assert_same(getattr(one, field.name), getattr(other, field.name))
    else:
        assert one == other


@pytest.mark.parametrize("unfound", [0, 1, 15, 20])
def test_json_there_and_back(make_report: Make, tmp_path: Path, unfound: int) -> None:
    report = make_report(unfound=unfound, warnings=("a “warning”",), smoke=True)
    path = tmp_path / "ara.json"
    report.to_json(path)
    values = json.loads(path.read_text())
    assert values["schema"] == 8
    assert values["warnings"] == ["a “warning”"] and "examples" not in values
    assert values["attack_rmse"].count(None) == unfound
    assert_same(AraReport.from_json(path), report)


def test_json_with_a_certificate_and_an_estimate(full_report: AraReport, tmp_path: Path) -> None:
    full_report.to_json(tmp_path / "ara.json")
    read = AraReport.from_json(tmp_path / "ara.json")
    # The examples' pictures are for the page alone.
    assert_same(read, dataclasses.replace(full_report, examples=()))
    assert full_report.examples


def test_json_that_was_kept_still_loads(tmp_path: Path) -> None:
    kept = Path(tfrobust.__file__).parent / "runs" / "twins" / "fashion_mnist_mini.json"
    AraReport.from_json(kept).to_json(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == kept.read_bytes()


def test_json_of_an_earlier_schema_is_refused(make_report: Make, tmp_path: Path) -> None:
    path = tmp_path / "ara.json"
    make_report().to_json(path)
    path.write_text(path.read_text().replace('"schema": 8', '"schema": 7'))
    with pytest.raises(InputError, match=r"AraReport\.to_json's schema 8; got schema 7"):
        AraReport.from_json(path)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"class_names": ("a", "b")}, "expected 10 class names, got 2"),
        ({"num_classes": 11}, r"\(20, 11\), got \(20, 10\)"),
        ({"attack_rmse": np.ones(19)}, r"\(19, 10\), got \(20, 10\)"),
        ({"seed": -1}, "a seed of at least 0"),
        ({"temperature": 0.0}, "a temperature above 0"),
    ],
)
def test_fields_that_do_not_belong_together_are_refused(
    make_report: Make, fields: dict, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        make_report(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"labels": np.full(20, 10)}, "labels as 20 whole numbers from 0 to 9"),
        ({"labels": np.full(20, 0.5)}, "labels as 20 whole numbers"),
        ({"predicted": np.full(20, -1)}, "predicted as 20 whole numbers from 0 to 9"),
        ({"attacked": np.zeros(19, np.int64)}, "attacked as 20 whole numbers from -1 to 9"),
        ({"groups": ("a",)}, "20 groups, one for each image, got 1"),
        ({"files": ("a",)}, "20 files, one for each image, got 1"),
    ],
)
def test_predictions_of_other_images_or_classes_are_refused(
    make_report: Make, fields: dict, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        dataclasses.replace(make_report().predictions, **fields)


def test_a_certificate_that_an_attack_disproves_is_refused(full_report: AraReport) -> None:
    lipschitz = full_report.lipschitz
    assert lipschitz is not None
    wrong = lipschitz.rmse.copy()
    wrong[3] = 1.001 * full_report.attack_rmse[3]
    with pytest.raises(InputError, match="1 images were changed by less, the first is image 3"):
        dataclasses.replace(full_report, lipschitz=dataclasses.replace(lipschitz, rmse=wrong))
    wrong[3] = full_report.attack_rmse[3]  # no perturbation below it was found
    dataclasses.replace(full_report, lipschitz=dataclasses.replace(lipschitz, rmse=wrong))
    with pytest.raises(InputError, match="of the 20 images that were attacked, got one of 19"):
        dataclasses.replace(full_report, lipschitz=dataclasses.replace(lipschitz, rmse=wrong[1:]))


def test_medians(make_report: Make) -> None:
    assert make_report(unfound=11).attack_median is None
    report = make_report(unfound=1)
    assert report.btr_median == pytest.approx(float(np.median(report.btr_rmse)))


def test_reading_a_report_needs_no_tensorflow() -> None:
    program = (
        "import sys, tfrobust.robustness; "
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_ara_in_words() -> None:
    assert str(accuracy_robustness_area(np.full(3, np.inf), 10)) == (
        "not bounded: 3 of 3 images unfound"
    )


def test_the_second_opinion_in_words(make_report: Make) -> None:
    report = make_report(unfound=0)
    assert report.second_opinion.startswith("second opinion: none")
    before = next(record for record in report.attacks if record.goal == "attack")
    # The first image met the goal as it was, and a difference of 0.05 % is rounding.
    first = np.append(0.0, before.rmse[1:])
    after = first * np.append(np.ones(17), [0.9995, 0.98, 0.9])
    name = "second opinion: CleverHans PGD-L2 (20 steps)"
    attacks = (
        dataclasses.replace(before, rmse=first),
        dataclasses.replace(before, rmse=after, name=name),
        dataclasses.replace(before, rmse=first, goal="btr"),
        dataclasses.replace(before, rmse=first, goal="btr", name=name),
    )
    told = dataclasses.replace(report, attacks=attacks).second_opinion
    assert told == (
        f"{name}, just below the sizes found: 2 of 19 images were lowered for misclassification, "
        "by at most 10.0%; 0 of 19 images were lowered for BTR"
    )
