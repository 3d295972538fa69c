"""Figures by class and by group: against scikit-learn, by hand, and against brute force."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score, confusion_matrix, roc_auc_score

from tfrobust.core.bootstrap import draws
from tfrobust.errors import InputError
from tfrobust.robustness import AraReport, Performance, Predictions
from tfrobust.robustness.calibration import BINS, Calibration, fit_temperature
from tfrobust.robustness.ranking import macro_auc, ranking

Make = Callable[..., AraReport]


@pytest.mark.parametrize("decimals", [1, 6])  # with many ties, and with none
def test_ranking_against_scikit_learn(decimals: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfrobust.robustness.ranking.VALUES", 1000)  # several blocks
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 60)
    scores = np.round(rng.random((60, 3)) + 0.3 * np.eye(3)[labels], decimals)
    weights = rng.integers(0, 4, (4, 60))
    weights[3, labels == 2] = 0
    auc, precision = ranking(scores, labels, weights)
    for row, times in enumerate(weights):
        for number in range(2 if row == 3 else 3):
            pair = labels == number, scores[:, number]
            told = {"sample_weight": times}
            assert auc[row, number] == pytest.approx(roc_auc_score(*pair, **told))
            assert precision[row, number] == pytest.approx(average_precision_score(*pair, **told))
    assert np.isnan([auc[3, 2], precision[3, 2]]).all()


def test_ranking_takes_infinite_scores() -> None:
    scores = np.array([-np.inf, 0.9, np.inf, 0.1])
    auc, precision = ranking(
        np.stack([np.zeros(4), scores], axis=1), np.array([1, 1, 0, 0]), np.ones((1, 4))
    )
    assert auc[0, 1] == 1 / 4
    assert precision[0, 1] == pytest.approx((1 / 2 + 2 / 4) / 2)


def test_calibration_against_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    confidence = np.append(rng.random(200), [0.2, 0.4, 1.0, 0.0])  # some on borders of bins
    right = rng.random(204) < confidence**2
    weights = np.stack([np.ones(204), *np.concatenate(list(draws(204, resamples=50)))])
    found = Calibration.of(confidence, right, weights)
    accuracy, mean = calibration_curve(right, confidence, n_bins=BINS)
    np.testing.assert_allclose(found.accuracy, accuracy)
    np.testing.assert_allclose(found.confidence, mean)
    ece = np.abs(accuracy - mean) @ found.images / 204
    assert found.ece.value == pytest.approx(ece)
    # A resample's error is that of its images, some of them several times.
    times = weights[7].astype(int)
    accuracy, mean = calibration_curve(right.repeat(times), confidence.repeat(times), n_bins=BINS)
    inside = np.histogram(confidence.repeat(times), np.linspace(0, 1, BINS + 1))[0]
    alone = Calibration.of(confidence, right, weights[[0, 7]]).ece
    assert alone.low == pytest.approx(np.abs(accuracy - mean) @ inside[inside > 0] / 204, rel=1e-6)


def test_temperature_by_brute_force_and_on_answers_of_a_known_one() -> None:
    rng = np.random.default_rng(2)
    true = rng.normal(0, 2, (3000, 4))
    shares = np.exp(true) / np.exp(true).sum(axis=1, keepdims=True)
    labels = (shares.cumsum(axis=1) < rng.random((3000, 1))).sum(axis=1)

    def loss(temperature: float, logits: np.ndarray) -> float:
        scaled = logits / temperature
        own = scaled[np.arange(3000), labels]
        return float(np.mean(np.log(np.exp(scaled).sum(axis=1)) - own))

    for sharper in (0.5, 3.0):
        found = fit_temperature(sharper * true, labels)
        grid = np.linspace(0.8 * found, 1.25 * found, 400)
        best = grid[np.argmin([loss(one, sharper * true) for one in grid])]
        assert found == pytest.approx(best, abs=grid[1] - grid[0])
        # Labels are drawn from the softmax itself; the deviation of T is about 2 %.
        assert found == pytest.approx(sharper, rel=0.08)
    with pytest.raises(InputError, match="got 0 and 0"):
        fit_temperature(true[:0], labels[:0])


def test_one_temperature_of_labels_that_hold_together_by_brute_force() -> None:
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 4, (400, 3))
    labels = (rng.random((400, 3)) < 1 / (1 + np.exp(-logits / 2.5))).astype(int)

    def loss(temperature: float) -> float:
        shares = 1 / (1 + np.exp(-logits / temperature))
        return float(-np.mean(np.log(np.where(labels == 1, shares, 1 - shares))))

    grid = np.linspace(1.5, 4, 2501)
    best = grid[np.argmin([loss(one) for one in grid])]
    assert fit_temperature(logits, labels) == pytest.approx(best, abs=1e-3)


def test_figures_are_computed_once_for_a_report(make_report: Make) -> None:
    report = make_report()
    assert Performance.of(report) is Performance.of(report)
    assert Performance.of(report, (0.5,)) is not Performance.of(report)
    assert Performance.of(report) is not Performance.of(make_report())


def test_macro_auc_of_labels_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(4)
    scores, labels = rng.normal(size=(60, 3)), rng.integers(0, 2, (60, 3))
    expected = roc_auc_score(labels, scores, average="macro")
    assert macro_auc(scores, labels) == pytest.approx(expected, abs=1e-6)
    # A label that all images have ranks none above another, and is left out.
    more = np.concatenate([labels, np.ones((60, 1), int)], axis=1)
    assert macro_auc(scores[:, [0, 1, 2, 0]], more) == pytest.approx(expected, abs=1e-6)
    assert np.isnan(macro_auc(scores[:, :1], more[:, 3:]))


SAID = Predictions(
    labels=np.array([0, 0, 0, 1, 1, 2]),
    predicted=np.array([0, 0, 1, 1, 1, 2]),
    attacked=np.array([1, 2, 1, 0, -1, 0]),
    probabilities=np.array(
        [
            [0.8, 0.1, 0.1],
            [0.6, 0.2, 0.2],
            [0.3, 0.5, 0.2],
            [0.1, 0.7, 0.2],
            [0.2, 0.6, 0.2],
            [0.1, 0.0, 0.9],
        ]
    ),
)
RMSE = np.array([0.01, 0.03, 0.0, 0.02, np.inf, 0.01])


@pytest.fixture
def report(make_report: Make) -> AraReport:
    """Six images of three classes, of which one is misclassified as it is."""
    return make_report(
        num_classes=3, attack_rmse=RMSE, predictions=SAID, class_names=("кот", "犬", "c")
    )


def test_figures_by_hand(report: AraReport) -> None:
    found = Performance.of(report, sizes=(0.01, 0.02))
    clean, small, large = found.sizes
    np.testing.assert_array_equal(clean.confusion, confusion_matrix(SAID.labels, SAID.predicted))
    np.testing.assert_array_equal(small.confusion, [[1, 2, 0], [0, 2, 0], [1, 0, 0]])
    np.testing.assert_array_equal(large.confusion, [[1, 2, 0], [1, 1, 0], [1, 0, 0]])
    assert [at.accuracy.value for at in found.sizes] == pytest.approx([5 / 6, 3 / 6, 2 / 6])
    cat = [at.classes[0] for at in found.sizes]
    assert (cat[0].name, cat[0].images) == ("кот", 3)
    assert [one.sensitivity.value for one in cat] == pytest.approx([2 / 3, 1 / 3, 1 / 3])
    assert [one.specificity.value for one in cat] == pytest.approx([1, 2 / 3, 1 / 3])
    # The first image, taken, ranks last; the one of class 2, given class 0, ranks first.
    assert [one.auc.value for one in cat] == pytest.approx([1, 4 / 9, 2 / 9])
    assert [part.name for part in found.by_class] == ["кот", "犬", "c"]
    assert found.least_robust_class is not None and found.least_robust_class.name == "кот"
    assert found.by_class[1].ara.value is None  # one of two images is unfound
    assert found.by_group == () and found.least_robust_group is None


def test_a_class_that_is_not_known_counts_against_every_class(report: AraReport) -> None:
    rmse = np.where(np.isinf(RMSE), 0.01, RMSE)
    found = Performance.of(dataclasses.replace(report, attack_rmse=rmse), sizes=(0.01,)).sizes[1]
    np.testing.assert_array_equal(found.unknown, [0, 1, 0])
    assert found.confusion.sum() == 5
    assert [one.specificity.value for one in found.classes] == pytest.approx([1 / 3, 1 / 2, 4 / 5])


def test_intervals_against_brute_force_over_groups(
    make_report: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # scikit-learn takes 10 ms for an AUC.
    monkeypatch.setattr("tfrobust.robustness.performance.RESAMPLES", 100)
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, 60)
    groups = tuple(f"group {one}" for one in np.sort(rng.integers(0, 8, 60)))
    said = Predictions.of(
        rng.normal(0, 1, (60, 3)) + 2 * np.eye(3)[labels],
        labels,
        (labels + 1) % 3,
        groups=groups,
    )
    rmse = np.where(said.predicted == labels, rng.gamma(2, 0.01, 60), 0)
    report = make_report(num_classes=3, attack_rmse=rmse, predictions=said, class_names=())
    found = Performance.of(report)
    at, size = found.sizes[2], 0.01
    right = rmse > size
    sensitivities, areas = [], []
    kinds = sorted(set(groups))
    counts = np.random.default_rng(0).multinomial(len(kinds), [1 / len(kinds)] * len(kinds), 100)
    for times in counts:
        rows = np.concatenate(
            [
                np.flatnonzero(np.array(groups) == kind)
                for kind, n in zip(kinds, times, strict=True)
                for _ in range(n)
            ]
        )
        sensitivities.append(np.mean(right[rows][labels[rows] == 1]))
        shares = said.probabilities[rows, 1]
        areas.append(roc_auc_score(labels[rows] == 1, shares))
    own, clean = at.classes[1].sensitivity, found.sizes[0].classes[1].auc
    low, high = np.quantile(sensitivities, [0.025, 0.975], method="nearest")
    assert (own.low, own.high) == pytest.approx((low, high), abs=1e-6)
    low, high = np.quantile(areas, [0.025, 0.975], method="nearest")
    assert (clean.low, clean.high) == pytest.approx((low, high), abs=1e-6)
    large = [kind for kind in dict.fromkeys(groups) if groups.count(kind) >= 10]
    assert [part.name for part in found.by_group] == large != []
    assert found.small_groups == len(kinds) - len(large)
    found.to_json(tmp_path / "performance.json")
    again = Performance.from_json(tmp_path / "performance.json")
    assert again.by_class == found.by_class and again.by_group == found.by_group
    assert [one.classes for one in again.sizes] == [one.classes for one in found.sizes]
    np.testing.assert_array_equal(again.sizes[3].confusion, found.sizes[3].confusion)


def test_the_temperature_sharpens_or_softens_what_was_said(make_report: Make) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (300, 3))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (shares.cumsum(axis=1) < rng.random((300, 1))).sum(axis=1)
    said = Predictions.of(3 * logits, labels, np.full(300, -1))
    fitted = fit_temperature(3 * logits, labels)
    report = make_report(
        num_classes=3, attack_rmse=np.full(300, np.inf), predictions=said, temperature=fitted
    )
    softer = np.exp(3 * logits / fitted)
    softer /= softer.sum(axis=1, keepdims=True)
    # Probabilities are kept with six significant digits.
    np.testing.assert_allclose(said.confidence(fitted), softer.max(axis=1), rtol=1e-5)
    np.testing.assert_allclose(said.confidence(), said.probabilities.max(axis=1), rtol=1e-5)
    found = Performance.of(report, sizes=())
    assert found.temperature == fitted and found.calibrated is not None
    before, after = found.sizes[0].calibration.ece.value, found.calibrated.ece.value
    assert before is not None and after is not None and after < before / 2


def test_what_cannot_be_computed_is_refused(make_report: Make) -> None:
    with pytest.raises(InputError, match="evaluate the network again"):
        Performance.of(make_report(predictions=None))
    for sizes in ((0.02, 0.01), (0.0, 0.1), (0.1, 0.1), (np.inf,)):
        with pytest.raises(InputError, match="ascending sizes above 0"):
            Performance.of(make_report(), sizes)
