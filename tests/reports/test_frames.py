"""Records as data frames."""

import dataclasses
import sys
from collections.abc import Callable

import numpy as np
import pytest

from tfrobust.explanations import Dissection
from tfrobust.metrics import Table
from tfrobust.robustness import AraReport, compare

Make = Callable[..., AraReport]


def test_a_row_for_each_image(make_report: Make) -> None:
    report = make_report()
    frame = report.to_dataframe()
    assert list(frame.columns) == [
        "file",
        "group",
        "label",
        "predicted",
        "attacked",
        "probability",
        "attack_rmse",
        "btr_rmse",
        "attack_linf",
        "attack: L2,min (450 steps)",
        "attack: linearized margin (40 steps)",
        "btr: L2,min (450 steps)",
        "btr: linearized margin (40 steps)",
    ]
    assert frame.index.name == "image" and len(frame) == report.images
    np.testing.assert_array_equal(frame["attack_linf"], report.attack_linf)
    assert frame.loc[5, ["file", "group", "label"]].tolist() == ["снимок 5.png", "group 2", 5]
    assert report.predictions is not None
    assert frame.loc[5, "probability"] == report.predictions.probabilities[5, 5]
    warm = dataclasses.replace(report, temperature=2.0).to_dataframe()
    roots = np.sqrt(report.predictions.probabilities[5])
    assert warm.loc[5, "probability"] == pytest.approx(roots[5] / roots.sum(), rel=1e-6)
    named = make_report(class_names=tuple("abcdefghij")).to_dataframe()
    assert named.loc[5, ["label", "attacked"]].tolist() == ["f", "g"]
    assert named["attacked"].isna().tolist() == [False] * 19 + [True]  # not found
    assert "attack_linf" not in make_report(attack_linf=None).to_dataframe()
    bare = make_report(predictions=None).to_dataframe()
    assert bare.columns[0] == "attack_rmse"
    np.testing.assert_array_equal(frame["btr: L2,min (450 steps)"], report.attacks[2].rmse)


def test_certificate_and_estimate(full_report: AraReport) -> None:
    assert full_report.certificate is not None and full_report.clever is not None
    frame = full_report.certificate.to_dataframe()
    assert frame.loc[0].to_dict() == {"predicted": -1, "votes": 40, "l2": 0, "rmse": 0}
    frame = full_report.clever.to_dataframe()
    assert full_report.lipschitz is not None
    own = full_report.lipschitz.to_dataframe()
    np.testing.assert_array_equal(own["rmse"], full_report.lipschitz.rmse)
    np.testing.assert_array_equal(full_report.to_dataframe()["certified_rmse"], own["rmse"])
    assert frame.loc[2].to_dict() == {"l2": 0.7, "rmse": 0.175, "rival": 0, "fit": 0.04}


def test_a_row_for_each_goal(make_report: Make) -> None:
    frame = compare(make_report(unfound=0), make_report(scale=0.5, unfound=0)).to_dataframe()
    assert list(frame.index) == ["attack", "btr"]
    assert frame.loc["attack", "value"] == pytest.approx(2) and frame.loc["btr", "paired"]


TABLE = Table(("up ↑", "down"), {"one": (np.array([0.25, 0.75]), None)}, "Two <images>.")


def test_a_row_for_each_method_and_measure() -> None:
    frame = TABLE.to_dataframe()
    assert frame.index.names == ["method", "measure"]
    assert frame.loc[("one", "up ↑")].tolist() == [0.5, 0.25, 0.75]
    assert frame.loc[("one", "down")].isna().all()


def test_a_table_of_measures_in_a_notebook(read) -> None:
    page = read(TABLE._repr_html_())
    assert page.text == "method up ↑ down one 0.50 [0.25, 0.75] – Two <images>."


def test_without_pandas_the_error_says_what_to_install(
    make_report: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pip install 'tfrobust\[dataframe\]'"):
        make_report().to_dataframe()


def test_a_dissection_has_a_row_for_each_unit_and_a_notebook_one_for_each_concept() -> None:
    overlaps, chance = np.array([[0.5, 0.1], [0.0, 0.03]]), np.array([[0.1, 0.1], [0.0, 0.0]])
    found = Dissection(("<lung>", "heart"), {"last": overlaps}, {"last": chance})
    frame = found.to_dataframe()
    assert frame.loc[("last", 0)].tolist() == ["<lung>", 0.5, 0.1, True]
    assert frame.loc[("last", 1)].tolist() == ["heart", 0.03, 0.0, False]
    page = found._repr_html_()
    assert "&lt;lung&gt;" in page and "<lung>" not in page and "last, unit 0" in page
