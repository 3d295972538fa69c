"""The areas of a network of several labels."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import of_labels

import tfrobust
from tfrobust.attacks import LinearizedMargin
from tfrobust.core.ara import area, mean_area
from tfrobust.core.input_range import check_range
from tfrobust.errors import InputError
from tfrobust.robustness import LabelsReport

RNG = np.random.default_rng(2)
IMAGES = RNG.random((12, 4, 4, 1), np.float32)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return of_labels((4, 4, 1), seed=1)


@pytest.fixture(scope="module")
def truth(network: keras.Model) -> np.ndarray:
    decided = network.predict(IMAGES, verbose=0) > 0.5
    decided[:2] ^= True  # two images are decided wrongly
    return decided.astype(np.int64)


@pytest.fixture(scope="module")
def report(network: keras.Model, truth: np.ndarray) -> LabelsReport:
    return tfrobust.evaluate_labels(
        network,
        IMAGES,
        truth,
        preset="fast",
        label_names=("left", "right", "both"),
        data="noise",
        progress=False,
    )


def test_each_label_against_the_closed_form(network, truth, report: LabelsReport) -> None:
    """On a linear network the smallest size is the distance to the label's plane."""
    kernel, bias = network.get_weights()
    logits = IMAGES.reshape(12, 16) @ kernel + bias
    for number, one in enumerate(report.labels):
        exact = np.abs(logits[:, number]) / np.linalg.norm(kernel[:, number]) / 4
        exact[:2] = 0
        # The bisection at the end leaves up to .4 %.
        np.testing.assert_allclose(one.report.attack_rmse, exact, rtol=5e-3)
        assert one.report.attack_ara.value == pytest.approx(area(exact, 2), rel=5e-3)
        decided = truth[:, number].astype(bool)
        decided[:2] ^= True
        np.testing.assert_array_equal(one.predicted, decided)
        assert one.sensitivity == pytest.approx(decided[truth[:, number] == 1].mean())
        assert one.specificity == pytest.approx(1 - decided[truth[:, number] == 0].mean())
        held = (exact > 0.05)[truth[:, number] == 1].mean()
        assert one.kept(0.05, holds=1) == pytest.approx(held)


@pytest.mark.slow
def test_it_is_what_each_label_alone_gives(network, truth, report: LabelsReport) -> None:
    one = tfrobust.as_classifier(network, label=1)
    alone = tfrobust.evaluate(one, IMAGES, truth[:, 1], preset="fast", progress=False)
    np.testing.assert_array_equal(report.labels[1].report.attack_rmse, alone.attack_rmse)
    assert report.labels[1].report.attack_ara == alone.attack_ara


def test_the_mean_and_its_interval(report: LabelsReport) -> None:
    areas = [one.report.attack_ara for one in report.labels]
    assert report.mean_ara.value == pytest.approx(np.mean([one.value for one in areas]))
    assert report.mean_ara.low < report.mean_ara.value < report.mean_ara.high
    assert report.least_robust.report.attack_ara.value == min(one.value for one in areas)


def test_the_bootstrap_of_a_mean_draws_the_same_images_for_all() -> None:
    """Twice the same sizes are as sure as once, and not surer."""
    sizes = RNG.random(30)
    once, twice = mean_area(sizes[None], 2), mean_area(np.stack([sizes, sizes]), 2)
    assert (once.low, once.high) == (twice.low, twice.high)
    assert mean_area(np.stack([sizes, np.full(30, np.inf)]), 2).value is None


def test_read_back_and_shown(report: LabelsReport, tmp_path) -> None:
    report.to_json(tmp_path / "ara.json")
    again = LabelsReport.from_json(tmp_path / "ara.json")
    assert again.summary() == report.summary()
    for word in ("left", "right", "both", "3 labels, 12 images of noise", "mean attack ARA"):
        assert word in again.summary()
    again.to_html(tmp_path / "ara.html")
    page = (tmp_path / "ara.html").read_text()
    assert "<svg" in page and "Robustness of sequential" in page
    frame = again.to_dataframe()
    assert len(frame) == 36 and frame.loc[("right", 3), "attack_rmse"] > 0
    assert "left" in again._repr_html_()


def test_it_goes_on_where_it_was_interrupted(network, truth, report, tmp_path) -> None:
    asked = {"preset": "fast", "progress": False, "partial_dir": tmp_path, "data": "noise"}
    tfrobust.evaluate_labels(network, IMAGES, truth, **asked)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")}
    assert {path.parent.name for path in written} == {"label_0", "label_1", "label_2"}
    again = tfrobust.evaluate_labels(network, IMAGES, truth, **asked)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")} == written
    assert again.mean_ara == report.mean_ara


def test_another_range_is_noticed_before_the_long_work() -> None:
    images = (RNG.random((60, 4, 4, 1)) > 0.5).astype(np.float32)
    weights = RNG.normal(size=(16, 3)).astype(np.float32)

    def of_bytes(images: tf.Tensor) -> tf.Tensor:
        return tf.reshape(images / 255 - 0.5, (-1, 16)) @ weights

    truth = of_bytes(255 * images).numpy() > 0
    with pytest.raises(InputError, match=r"of the labels .* \(50% is a guess\), and for 100%"):
        tfrobust.evaluate_labels(of_bytes, images, truth, preset="fast", progress=False)


def test_never_finding_a_rare_label_is_no_sign_of_another_range() -> None:
    """With other pixels the network decides always the same, which is nearly always right."""
    images = RNG.random((100, 4, 4, 1), np.float32)
    mean = images.mean(axis=(1, 2, 3))
    truth = np.stack([mean >= np.sort(mean)[-4]] * 2, axis=1)
    above = float(np.sort(mean)[-40])  # with many false alarms

    def weak(images: tf.Tensor) -> tf.Tensor:
        mean = tf.reduce_mean(images, axis=(1, 2, 3))
        return tf.stack([tf.where(mean > 1, -1.0, mean - above)] * 2, axis=1)

    ask = tfrobust.as_labels(weak, output="logits")
    check_range(ask, images, truth.astype(int), "weak")
    one = tfrobust.as_classifier(weak, output="logits", label=0)
    with pytest.raises(InputError, match="expected to know which pixels"):
        check_range(one, images, truth[:, 0].astype(int), "weak")


def test_thresholds_move_the_planes(network, truth) -> None:
    kernel, bias = network.get_weights()
    logits = IMAGES.reshape(12, 16) @ kernel + bias
    thresholds = (0.5, 0.3, 0.8)
    found = tfrobust.evaluate_labels(
        tfrobust.as_labels(network, thresholds=thresholds),
        IMAGES,
        truth,
        preset="fast",
        progress=False,
    )
    for number, (one, threshold) in enumerate(zip(found.labels, thresholds, strict=True)):
        away = logits[:, number] - np.log(threshold / (1 - threshold))
        np.testing.assert_array_equal(one.predicted, away > 0)
        exact = np.abs(away) / np.linalg.norm(kernel[:, number]) / 4
        exact[(away > 0) != truth[:, number]] = 0
        np.testing.assert_allclose(one.report.attack_rmse, exact, rtol=5e-3, atol=1e-7)
        assert one.threshold == threshold
        # A person is told probabilities at the temperature, and the threshold of these.
        warm = dataclasses.replace(
            one, report=dataclasses.replace(one.report, temperature=2.0)
        ).told_threshold
        assert one.told_threshold == threshold
        assert warm == pytest.approx(1 / (1 + np.sqrt((1 - threshold) / threshold)))
        # The network's own, which know nothing of the threshold.
        shares = 1 / (1 + np.exp(-logits[:, number]))
        np.testing.assert_allclose(one.report.predictions.probabilities[:, 1], shares, rtol=1e-4)


@pytest.mark.slow
def test_a_second_evaluation_takes_the_programs_of_the_first() -> None:
    weights = tf.constant(RNG.normal(size=(16, 2)).astype(np.float32))
    traced = []

    def model(images: tf.Tensor) -> tf.Tensor:
        if tf.is_symbolic_tensor(images):
            traced.append(1)
        return tf.reshape(images - 0.5, (-1, 16)) @ weights

    network = tfrobust.as_labels(model, output="logits", input_range=(0, 1))
    truth = network(IMAGES).numpy() > 0
    attacks = [LinearizedMargin(steps=6, rivals=1)]
    areas, counts = [], []
    for _ in range(2):
        report = tfrobust.evaluate_labels(network, IMAGES, truth, attacks=attacks, progress=False)
        areas.append(report.mean_ara)
        counts.append(len(traced))
    assert areas[0] == areas[1] and 0 < counts[0] == counts[1]


def test_refuses(network, truth) -> None:
    for labels, message in (
        (truth[:, 0], r"labels of shape \(12, 3\)"),
        (truth * 3, "labels of 0 and 1 only"),
        (None, "expected labels beside the images"),
    ):
        with pytest.raises(InputError, match=message):
            tfrobust.evaluate_labels(network, IMAGES, labels)
    with pytest.raises(InputError, match="3 label names"):
        tfrobust.evaluate_labels(network, IMAGES, truth, label_names=("one",))

    def classes(images: tf.Tensor) -> tf.Tensor:
        return tf.reshape(images, (-1, 16))[:, :3]

    with pytest.raises(InputError, match=r"hold together there is tfrobust\.evaluate_labels"):
        tfrobust.evaluate(classes, IMAGES, truth)
