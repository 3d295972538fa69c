"""Checks: each by hand, three networks with masked gradients, and honest ones without a warning."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from marks import quick

from tfrobust import datasets
from tfrobust.attacks import Blend, L2Min, LinearizedMargin
from tfrobust.core.opaque import Opaque
from tfrobust.errors import InputError
from tfrobust.models import published
from tfrobust.robustness import AraReport
from tfrobust.robustness.checks import CHECKS, run_checks
from tfrobust.robustness.evaluate import evaluate
from tfrobust.robustness.evidence import Evidence, Searched
from tfrobust.robustness.probes import Probes, _down, margins

COUNT = 16
STEPS = 15  # of quantised images, from 0 to 1


@pytest.fixture(scope="module")
def source() -> "datasets.DataSource":
    return datasets.load("fashion_mnist_mini")


@pytest.fixture(scope="module")
def network(source: "datasets.DataSource") -> keras.Model:
    """A plain network that is right for most images."""
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.Input(source.info.image_shape),
            keras.layers.Flatten(),
            keras.layers.Dense(48, activation="relu"),
            keras.layers.Dense(10),
        ]
    )
    network.compile(
        "adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False
    )
    for images, labels in itertools.islice(source.train(100, seed=0), 150):
        network.train_on_batch(images, labels)
    return network


def measure(network: Any, source: "datasets.DataSource", *, walk: bool = False) -> AraReport:
    images, labels = source.test_arrays(COUNT)
    options = {"batch_size": COUNT}
    walks = [L2Min(steps=300, path=6.0, **options)] if walk else []
    attacks = [LinearizedMargin(steps=24, rivals=4, **options), *walks, Blend(images, **options)]
    return evaluate(network, images, labels, attacks=attacks, progress=False)


def named(report: AraReport) -> set[str]:
    """The checks that warn."""
    return {name for name, found in report.checks.items() if found}


def test_an_honest_network_has_no_warning(
    network: keras.Model, source: "datasets.DataSource"
) -> None:
    report = measure(network, source, walk=True)
    assert report.clean_accuracy > 0.6
    assert report.warnings == ()
    # The blend's images are measured too, but it was not needed.
    assert list(report.checks) == [name for name in CHECKS if name not in report.unchecked]
    assert report.unchecked == {}
    numbers = [example.number for example in report.examples]
    assert len(set(numbers)) == len(numbers) == 8
    sizes = [example.rmse for example in report.examples]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == report.attack_rmse.max()
    assert all(example.given != example.label for example in report.examples)


@tf.custom_gradient
def rounded(images: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """Without a gradient, though TensorFlow does not see it."""
    return tf.round(images * STEPS) / STEPS, tf.zeros_like


@tf.custom_gradient
def elsewhere(images: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """With the gradient of the image upside down."""
    return tf.identity(images), lambda upstream: tf.reverse(upstream, [1])


def straight_through(images: tf.Tensor) -> tf.Tensor:
    return images + tf.stop_gradient(tf.round(images * STEPS) / STEPS - images)


def noisy(images: tf.Tensor) -> tf.Tensor:
    return images + tf.random.normal(tf.shape(images), stddev=0.05)


MASKED: dict[str, tuple[Callable[[tf.Tensor], tf.Tensor], float, set[str]]] = {
    "saturated": (tf.identity, 1e4, {"logits are not saturated"}),
    "quantised": (
        rounded,
        1.0,
        {
            "gradients lead somewhere",
            "tiny changes move the logits",
            "attacks without gradients find no less",
        },
    ),
    "quantised, straight through": (straight_through, 1.0, {"tiny changes move the logits"}),
    "random": (noisy, 1.0, {"the same answer each time"}),
    "gradient of another function": (
        elsewhere,
        1.0,
        {"gradients agree with finite differences", "attacks without gradients find no less"},
    ),
}


@pytest.mark.parametrize("kind", quick(MASKED, "random", "gradient of another function"))
def test_masked_gradients_are_seen(
    network: keras.Model, source: "datasets.DataSource", kind: str
) -> None:
    before, times, wanted = MASKED[kind]

    def masked(images: tf.Tensor) -> tf.Tensor:
        return times * network(before(images))

    report = measure(masked, source)
    assert named(report) >= wanted, report.warnings


def test_rounding_without_a_gradient_is_refused(
    network: keras.Model, source: "datasets.DataSource"
) -> None:
    with pytest.raises(InputError, match=r"or rounding\. Let the gradient pass"):
        measure(lambda images: network(tf.round(images * STEPS) / STEPS), source)


def test_a_network_without_gradients_is_asked_what_it_can_answer(
    network: keras.Model, source: "datasets.DataSource"
) -> None:
    opaque = Opaque(
        lambda images: np.asarray(network(images)), input_shape=(None, 28, 28, 1), num_classes=10
    )
    images, labels = source.test_arrays(COUNT)
    options: dict[str, Any] = {"bounds": (0.0, 1.0), "progress": False}
    report = evaluate(opaque, images, labels, attacks=[Blend(images, bounds=(0.0, 1.0))], **options)
    assert report.attack_ara.value is not None
    # A blend is no fine search.
    assert named(report) - {"the harder goal takes more"} == {
        "attacks followed gradients",
        "images were judged each by itself",
    }
    assert report.unchecked["gradients lead somewhere"] == "the network gives no gradient"
    assert set(report.checks) | set(report.unchecked) == set(CHECKS)
    assert not set(report.checks) & set(report.unchecked)
    # Images from elsewhere are no reason to warn.
    pool, _ = source.test_arrays(2 * COUNT)
    others = Blend(pool[COUNT:], bounds=(0.0, 1.0))
    apart = evaluate(opaque, images, labels, attacks=[others], **options)
    assert "images were judged each by itself" in apart.unchecked
    assert np.isfinite(apart.attack_rmse).all()


@pytest.mark.slow
def test_the_published_network_has_no_warning(shared: Path) -> None:
    expected = np.load(shared / "reference" / "resnet44-all.expected.npz")
    images = expected["images"][:COUNT].astype(np.float32) / 255
    report = evaluate(
        published.load(shared / "reference" / "resnet44-all.npz"),
        images,
        expected["labels"][:COUNT],
        attacks=[
            LinearizedMargin(steps=24, rivals=4, batch_size=COUNT),
            Blend(images, batch_size=COUNT),
        ],
        progress=False,
    )
    assert report.warnings == ()


LOGITS = np.array([[4, 0, 0, 0], [9, 0, 0, 0], [9, 0, 0, 0], [9, 0, 0, 0]], np.float32)
LABELS = np.array([1, 0, 0, 0])
SOME, NONE = np.array([False, True, False, True]), np.zeros(4, bool)
ONES = np.ones(4)


def evidence(
    *,
    attack: Sequence[float] = (0.0, 0.1, 0.1, 0.2),
    btr: Sequence[float] = (0.0, 0.1, 0.2, 0.3),
    late: np.ndarray = NONE,
    steepest: np.ndarray | None = ONES,
    logits: np.ndarray = LOGITS,
    attacks: tuple[Searched, ...] | None = None,
    **probes: np.ndarray,
) -> Evidence:
    honest = {
        "rows": np.arange(4),
        "drift": np.zeros(4),
        "still": NONE,
        "slopes": np.ones((3, 4)),
        "noise": NONE,
        "free": ONES,
        "lost": NONE,
    }
    return Evidence(
        labels=LABELS,
        logits=logits,
        steepest={} if steepest is None else {"cross-entropy": steepest, "margin": ONES},
        sizes={"attack": np.array(attack), "btr": np.array(btr)},
        late={"attack": late, "btr": NONE},
        attacks=(searched([0, 0.1, 0.1, 0.2]),) if attacks is None else attacks,
        probes=Probes(**{**honest, **probes}),
    )


def searched(sizes: list[float], name: str = "it", **fields: Any) -> Searched:
    return Searched(
        **{
            "name": name,
            "goal": "attack",
            "rmse": np.array(sizes),
            "needs_gradient": True,
            "last_step": 0.0,
            **fields,
        }
    )


def test_no_reason_no_warning() -> None:
    # Nothing compares an attack that alone followed gradients, and its steps are not given.
    passed, left_out = run_checks(evidence())
    assert not any(passed.values())
    assert left_out == {
        "more than one attack comes so close": "fewer than two attacks followed gradients",
        "steps are finer than sizes": "no attack walks by steps of given lengths",
        "images were judged each by itself": "no attack blends with images that are measured",
    }
    agree = (searched([0, 0.1, 0.1, 0.2]), searched([0, 0.1, 0.11, 0.21], "that", last_step=2e-4))
    # What a blend found first and others undercut does not rest on it either.
    free = searched([0, 0.3, 0.3, 0.3], "blend", needs_gradient=False, borrows=True)
    assert run_checks(evidence(attacks=(*agree, free))) == (dict.fromkeys(CHECKS, ()), {})


@pytest.mark.parametrize(
    ("changes", "reason", "count"),
    [
        ({"steepest": None}, "the network gives no gradient", 3),
        ({"drift": ONES}, "the network answers differently from call to call", 3),
        ({"attacks": ()}, "no attack followed gradients", 1),
        ({"attacks": ()}, "no attack tells what it found late", 1),
    ],
)
def test_a_check_that_cannot_be_made_has_not_passed(
    changes: dict[str, Any], reason: str, count: int
) -> None:
    passed, left_out = run_checks(evidence(**changes))
    assert list(left_out.values()).count(reason) == count
    assert set(passed) == set(CHECKS) - set(left_out)


INF = np.inf
WARNED = [
    ({"btr": [0, 0.2, 0.2, INF]}, "1 of 4 images could not be brought down"),
    ({"attack": [INF, INF, 0.1, 0.1], "btr": [INF] * 4}, "nothing bounds the area"),
    ({"late": SOME}, "2 of 4 images were misclassified only in the second"),
    ({"btr": [0, 0.05, 0.2, 0.3]}, "For 1 of 4 images the BTR goal"),
    ({"steepest": np.array([0, 1, 0, np.nan])}, "2 of 4 images have a gradient of the cross-entr"),
    ({"logits": LOGITS * 10, "steepest": np.full(4, 1e-30)}, "3 of 3 rightly classified images"),
    ({"attack": [0, 0, 0, 0.2], "btr": [0, 0, 0, 0.2]}, "0.750, but 0.250 of the images were"),
    ({"drift": np.array([0, 0, 0.01, 0])}, "logits differ by up to 0.01 of the largest"),
    ({"still": SOME}, "bit for bit, after every pixel changed by 1e-05"),
    ({"slopes": np.stack([[1, 0, 0, 3]] * 3)}, "For 3 of 3 images asked about a small step"),
    ({"lost": SOME}, "2 of 3 perturbations asked about no longer work at 1.5 times"),
    (
        {"attacks": (searched([0, 0.1, 0.1, 0.2]),), "free": np.array([0, 0.08, 1, 1])},
        "For 1 of 3 images noise or a blend with another image, which",
    ),
    (
        {
            "attacks": (
                searched([0, INF, 0.1, 0.2]),
                searched([INF, 0.3, INF, INF], "blend", needs_gradient=False),
            )
        },
        "For 1 of 3 images blend, which needs no gradient",
    ),
    (
        {"attacks": (searched([0, 0.1, 0.1, 0.2], "strong"), searched([0, 0.13, INF, 0.2]))},
        "Only strong has images misclassified at these sizes: for half of them",
    ),
    (
        {"attacks": (searched([0, 0.009, 0.1, 0.2], "walk", last_step=2e-4),)},
        "1 of 4 images were misclassified at sizes that only walk finds",
    ),
    (
        {
            "attack": (0, 0.3, 0.1, 0.2),
            "btr": (0, 0.3, 0.2, 0.3),
            "attacks": (
                searched([0, INF, 0.1, 0.2]),
                searched([INF, 0.3, INF, INF], "blend", needs_gradient=False, borrows=True),
            ),
        },
        "1 of 4 images were misclassified only by a blend with another of the images measured",
    ),
]


@pytest.mark.parametrize(("changes", "words"), WARNED)
def test_reasons_by_hand(changes: dict[str, Any], words: str) -> None:
    warnings = [one for found in run_checks(evidence(**changes))[0].values() for one in found]
    assert words in "\n".join(warnings)
    assert len(warnings) <= 2


def test_a_slope_that_agrees_at_any_size_is_enough() -> None:
    slopes = np.array([[0.0] * 4, [1.1] * 4, [5.0] * 4])
    assert not any(run_checks(evidence(slopes=slopes))[0].values())
    unknown = evidence(slopes=np.full((3, 4), np.nan))
    assert not any(run_checks(unknown)[0].values())


def test_margins_and_steps_against_a_plane() -> None:
    np.testing.assert_array_equal(margins(LOGITS, LABELS), [-4, 9, 9, 9])
    gradient = np.random.default_rng(0).normal(size=(3, 2, 2, 1))
    gradient[1], gradient[2] = 0, 1e-4
    steps, told = _down(gradient, np.full(3, 0.02))
    assert told.tolist() == [True, False, False]  # nowhere, and farther than LONGEST
    assert (steps[0] * gradient[0]).sum() == pytest.approx(0.02)
    assert not steps[1:].any()
