"""evaluate: against closed forms on a linear network, its refusals, and going on from partials."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from marks import quick

from tfrobust.attacks import PGD, Attack, BelowChance, Blend, L2Min, LinearizedMargin
from tfrobust.attacks.base import Block
from tfrobust.errors import InputError
from tfrobust.robustness import AraReport
from tfrobust.robustness.evaluate import evaluate
from tfrobust.robustness.evaluation import Evaluation
from tfrobust.robustness.options import Options
from tfrobust.robustness.presets import PRESETS, preset_attacks

SHAPE = (4, 4, 1)
IMAGES = np.random.default_rng(0).uniform(0.2, 0.8, (12, *SHAPE)).astype(np.float32)


def linear(num_classes: int, seed: int = 0) -> keras.Model:
    """Logits W·x + b."""
    rng = np.random.default_rng(seed)
    network = keras.Sequential(
        [keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(num_classes)],
        name=f"linear{num_classes}",
    )
    weights = rng.normal(0, 2, (16, num_classes)).astype(np.float32)
    network.set_weights([weights, -weights.T @ np.full(16, 0.5, np.float32)])
    return network


def answers(network: keras.Model) -> np.ndarray:
    return np.asarray(network(IMAGES)).argmax(axis=1)


def distances(network: keras.Model, labels: np.ndarray) -> np.ndarray:
    """RMSE to the nearest boundary: min over k≠y of (f_y − f_k)/|w_y − w_k|, 0 if wrong."""
    weights, bias = network.get_weights()
    logits = IMAGES.reshape(len(IMAGES), -1) @ weights + bias
    nearest = []
    for row, label in zip(logits, labels, strict=True):
        others = [k for k in range(len(row)) if k != label]
        margins = row[label] - row[others]
        steepness = np.linalg.norm(weights[:, [label]] - weights[:, others], axis=0)
        nearest.append(max(0.0, float(np.min(margins / steepness))) / 4.0)
    return np.array(nearest)


@pytest.mark.parametrize("num_classes", quick([2, 3], 3))
def test_linear_network_against_the_closed_form(num_classes: int) -> None:
    network = linear(num_classes)
    labels = answers(network)
    labels[0] = (labels[0] + 1) % num_classes
    attacks = [
        L2Min(steps=60, path=4.0, batch_size=6),
        PGD(steps=4, rounds=8, batch_size=6),
        LinearizedMargin(steps=15, batch_size=6),
    ]
    report = evaluate(network, IMAGES, labels, attacks=attacks, progress=False)
    truth = distances(network, labels)
    assert report.clean_accuracy == pytest.approx(11 / 12)
    assert report.attack_rmse[0] == 0
    np.testing.assert_allclose(report.attack_rmse, truth, rtol=0.02)
    for record in report.attacks:
        # Who is no likelier than a guess is misclassified too.
        assert np.all(record.rmse >= truth * (1 - 1e-3)), record.name
    if num_classes == 2:  # the two goals are one
        np.testing.assert_allclose(report.btr_rmse, truth, rtol=0.02)
    else:
        assert np.all(report.btr_rmse >= report.attack_rmse * (1 - 1e-3))
    records = [record for record in report.attacks if record.goal == "attack"]
    assert [record.name for record in records] == [attack.name for attack in attacks]
    smallest = np.min([record.rmse for record in records], axis=0)
    np.testing.assert_array_equal(smallest, report.attack_rmse)
    assert sum(record.won for record in records) == 11
    assert report.warnings == ()
    said = report.predictions
    assert said is not None and said.probabilities.shape == (12, num_classes)
    np.testing.assert_array_equal(said.labels, labels)
    np.testing.assert_array_equal(said.predicted, answers(network))
    assert np.all(said.attacked != labels) and said.attacked[0] == said.predicted[0]
    assert report.name == f"linear{num_classes}" and report.images == 12
    assert report.seconds > 0 and report.versions["tensorflow"] == tf.__version__


def test_predictions_against_numpy(network: keras.Model) -> None:
    labels = answers(network)
    names = [f"картинка {number}.png" for number in range(12)]
    report = measure(network, Scripted(batch_size=5), files=names, groups=np.arange(12) // 4)
    said = report.predictions
    assert said is not None and said.files == tuple(names) and said.groups[3:5] == ("0", "1")
    logits = np.asarray(network(IMAGES), np.float64)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    # Rounding to six digits moves a share by at most 5e-6 of it, and logits are float32.
    np.testing.assert_allclose(said.probabilities, shares, rtol=8e-6)
    assert all(float(f"{share:.6g}") == share for share in said.probabilities.ravel())
    found = IMAGES.mean(axis=(1, 2, 3)) > 0.45
    changed = np.asarray(network(np.float32(1.1) * IMAGES)).argmax(axis=1)
    truly = found & (changed != labels)
    np.testing.assert_array_equal(said.attacked >= 0, found)
    np.testing.assert_array_equal(said.attacked[truly], changed[truly])


class Scripted(Attack):
    """An attack without search: a share of the image is its perturbation. Counts its calls."""

    def __init__(self, *, share: float = 0.1, stop_at: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.share = share
        self._stop_at = stop_at
        self._calls = 0

    @property
    def name(self) -> str:
        """As awkward for a file's name as it may be."""
        return "scripted <attack>/1"

    def _run(self, model: Any, block: Block) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        images = block.images
        if self._calls == self._stop_at:
            raise KeyboardInterrupt
        self._calls += 1
        found = images.numpy().mean(axis=(1, 2, 3)) > 0.45
        return self.share * images.numpy(), found, found


class InLinf(Scripted):
    """The same, said to search in L∞."""

    searches_linf = True


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return linear(3)


def figures(report: AraReport) -> list[Any]:
    return [
        report.attack_ara,
        report.btr_ara,
        report.attack_rmse.tolist(),
        report.btr_rmse.tolist(),
        report.warnings,
        report.image_hash,
        [(one.name, one.goal, one.ara, one.won, one.late) for one in report.attacks],
    ]


def measure(network: Any, attack: Scripted, **options: Any) -> AraReport:
    options = {"images": IMAGES, "labels": answers(network), "progress": False, **options}
    return evaluate(network, attacks=[attack], **options)


def test_goes_on_where_it_was_interrupted(network: keras.Model, tmp_path: Path) -> None:
    whole = measure(network, Scripted(batch_size=5))
    assert whole.attack_ara.unfound > 0 and whole.attacks[0].late > 0
    # The attack does not say how many gradients it takes, and none is another number.
    assert whole.attack_gradients is None and whole.btr_gradients is None
    assert "an attack did not count its gradients" in whole.summary()
    cut = Scripted(batch_size=5, stop_at=4)
    with pytest.raises(KeyboardInterrupt):
        measure(network, cut, partial_dir=tmp_path / "new")
    rest = Scripted(batch_size=5)
    report = measure(network, rest, partial_dir=tmp_path / "new")
    # Units of ten and two images for each of 2 goals, in blocks of five; what an interrupted
    # unit found is computed again. The label is no likelier than a guess for none of them.
    assert (cut._calls, rest._calls) == (4, 3)
    assert figures(report) == figures(whole)
    again = Scripted(batch_size=5)
    report = measure(network, again, partial_dir=tmp_path / "new")
    assert again._calls == 0
    assert figures(report) == figures(whole)
    assert report.seconds > 0


def test_real_attacks_resume_to_the_same_figures(network: keras.Model, tmp_path: Path) -> None:
    def run(partial_dir: Path | None) -> AraReport:
        attacks = [LinearizedMargin(steps=5, batch_size=12)]
        labels = answers(network)
        return evaluate(
            network, IMAGES, labels, attacks=attacks, partial_dir=partial_dir, progress=False
        )

    whole = run(tmp_path)
    assert (whole.attack_gradients, whole.btr_gradients) == (10, 5)
    files = sorted(tmp_path.glob("*.npz"))
    assert len(files) == 2
    files[0].unlink()
    assert figures(run(tmp_path)) == figures(whole)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ("images", "images and labels: others"),
        ("labels", "images and labels: others"),
        ("settings", "'share': 0.1"),
        ("bounds", "'bounds': None"),
        ("block", "images of a unit: there 24, here 10"),
        ("network", "answers the same images otherwise"),
    ],
)
def test_partials_of_another_evaluation_are_refused(
    network: keras.Model, tmp_path: Path, other: str, message: str
) -> None:
    measure(network, Scripted(batch_size=12), partial_dir=tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    attack, options = Scripted(batch_size=12), {}
    if other == "images":
        options["images"] = IMAGES + np.float32(1e-3)
    elif other == "labels":
        options["labels"] = (answers(network) + 1) % 3
    elif other == "settings":
        attack = Scripted(batch_size=12, share=0.2)
    elif other == "bounds":
        attack, options = Scripted(batch_size=12, bounds=(0.0, 1.0)), {"bounds": (0.0, 1.0)}
    elif other == "block":
        attack = Scripted(batch_size=5)
    else:
        options["labels"] = answers(network)
        network = linear(3, seed=1)
    with pytest.raises(InputError, match="another") as caught:
        measure(network, attack, partial_dir=tmp_path, **options)
    assert message in str(caught.value)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_truncated_partials_are_computed_again(network: keras.Model, tmp_path: Path) -> None:
    whole = measure(network, Scripted(batch_size=12), partial_dir=tmp_path)
    for path in tmp_path.glob("*.npz"):
        path.write_bytes(path.read_bytes()[:200])
    attack = Scripted(batch_size=12)
    assert figures(measure(network, attack, partial_dir=tmp_path)) == figures(whole)
    assert attack._calls == 2


class Random(Scripted):
    """Perturbs by draws that depend on the image's number."""

    def _run(self, model: Any, block: Block) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        deltas = [
            np.random.default_rng(number).normal(size=block.images.shape[1:])
            for number in block.numbers.numpy()
        ]
        found = np.ones(len(deltas), bool)
        return np.stack(deltas).astype(np.float32), found, ~found


@pytest.mark.slow
def test_shards_give_what_one_run_gives(network: keras.Model, tmp_path: Path) -> None:
    attacks = [Random(batch_size=2), LinearizedMargin(steps=6, batch_size=2)]
    arguments = (network, IMAGES, answers(network))
    whole = evaluate(*arguments, attacks=attacks, progress=False)
    kept = Options(attacks=attacks, progress=False, partial_dir=tmp_path)
    for part in (3, 1, 2):
        shard = Evaluation(*arguments, kept)
        if part != 2:
            shard.run((part, 3))
            continue
        with pytest.raises(InputError, match="2 of 6 units are not"):
            shard.report()
        shard.run((part, 3))
    merged = Evaluation(*arguments, kept).report()
    assert figures(merged) == figures(whole)
    assert merged.attack_rmse.tobytes() == whole.attack_rmse.tobytes()
    assert merged.btr_rmse.tobytes() == whole.btr_rmse.tobytes()
    with pytest.raises(InputError, match="got 4/3"):
        shard.run((4, 3))


OTHER_SHARDS: list[tuple[list[Attack], str]] = [
    ([Random(batch_size=2)], "attack 2: there {'class': 'LinearizedMargin'"),
    (
        [Random(batch_size=2), LinearizedMargin(steps=6, batch_size=2), PGD(batch_size=2)],
        "attack 3: there none",
    ),
    ([Random(batch_size=2), LinearizedMargin(steps=7, batch_size=2)], "'steps': 7"),
    (
        [LinearizedMargin(steps=6, batch_size=2), Random(batch_size=2)],
        "attack 1: there {'class': 'Random'",
    ),
    (
        [Random(batch_size=3), LinearizedMargin(steps=6, batch_size=3)],
        "images of a unit: there 4, here 6",
    ),
]


@pytest.mark.parametrize(("attacks", "message"), OTHER_SHARDS)
def test_a_shard_of_another_evaluation_is_refused(
    network: keras.Model, tmp_path: Path, attacks: list[Attack], message: str
) -> None:
    def shard(attacks: list[Attack]) -> Evaluation:
        options = Options(attacks=attacks, partial_dir=tmp_path, progress=False)
        return Evaluation(network, IMAGES, answers(network), options)

    shard([Random(batch_size=2), LinearizedMargin(steps=6, batch_size=2)])
    with pytest.raises(InputError, match="another") as caught:
        shard(attacks)
    assert message in str(caught.value)


def test_robust_accuracy_by_hand(network: keras.Model) -> None:
    with pytest.raises(InputError, match="an attack in L∞, got scripted <attack>/1, which"):
        measure(network, Scripted(batch_size=12)).robust_accuracy(0.1, "Linf")
    report = measure(network, InLinf(batch_size=12, share=0.1))
    # A tenth of an image: its norms are a tenth of the image's, where it counts as found.
    found = IMAGES.mean(axis=(1, 2, 3)) > 0.45
    norms = np.where(found, 0.1 * np.sqrt(np.square(IMAGES).sum(axis=(1, 2, 3))), np.inf)
    largest = np.where(found, 0.1 * IMAGES.max(axis=(1, 2, 3)), np.inf)
    for size in (0.0, 0.2, 0.23, 0.25):
        assert report.robust_accuracy(size) == np.mean(norms > size)
        assert report.robust_accuracy(size / 3, "Linf") == np.mean(largest > size / 3)
    with pytest.raises(InputError, match="norm as 'L2' or 'Linf', got 'linf'"):
        report.robust_accuracy(0.2, "linf")  # type: ignore[arg-type]
    for size in (-1.0, np.nan, [0.1, 0.2]):
        with pytest.raises(InputError, match="one size, a number from 0"):
            report.robust_accuracy(size)  # type: ignore[arg-type]


class Called:
    """A network that is no Keras model."""

    def __init__(self, answer: Callable[[tf.Tensor], Any]) -> None:
        self.answer = answer

    def __call__(self, images: tf.Tensor) -> Any:
        return self.answer(images)


def means(images: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(images, axis=(1, 2))  # (B, 1)


def not_a_number_above(images: tf.Tensor) -> tf.Tensor:
    """NaN for the images that are brighter than the first and the last one, else 0."""
    brightest = IMAGES[[0, -1]].mean(axis=(1, 2, 3)).max()
    # The margin is for sums that round differently.
    return tf.where(means(images) > brightest + 1e-6, np.nan, 0.0)


BAD_NETWORKS = [
    (lambda images: images, "got shape (2, 4, 4, 1) for two images"),
    (means, "which lie from 0 to 1: probabilities or logits"),
    (lambda images: {"logits": means(images)}, "got dict"),
    (lambda images: tf.concat([means(images), 1 - means(images)], axis=1), "output='softmax'"),
    (lambda images: means(images) * [1.0, np.nan], "NaN or infinity for 2 of 2"),
    # Neither the first nor the last image, which the door asks about.
    (lambda images: means(images) * [1.0, -1.0] + not_a_number_above(images), "for 3 of 12"),
    (lambda images: tf.round(means(images)) * [1.0, -1.0], "got one without"),
    (lambda images: np.zeros((len(images), 2), np.float32), "got one without"),
]


@pytest.mark.parametrize(("answer", "message"), BAD_NETWORKS)
def test_refuses_networks_that_give_no_logits(
    answer: Callable[[tf.Tensor], Any], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        evaluate(Called(answer), IMAGES, np.zeros(12, int), attacks=[Scripted()])
    assert message in str(caught.value)


BAD_INPUTS = [
    ({"preset": "best"}, "expected a preset of fast, standard, thorough, got 'best'"),
    ({"images": IMAGES * 255}, "divide 8-bit images by 255"),
    ({"images": IMAGES * np.nan}, "expected pixels from 0 to 1"),
    ({"images": IMAGES[:0], "labels": np.zeros(0, int)}, "at least one image"),
    ({"images": IMAGES[0]}, "(N, H, W, C), got (4, 4, 1)"),
    ({"images": IMAGES[:, :2]}, "shape (None, 4, 4, 1), got (12, 2, 4, 1)"),
    ({"labels": np.full(12, 3)}, "expected labels below 3"),
    ({"labels": np.full(12, -1)}, "expected labels from 0"),
    ({"labels": np.zeros(11, int)}, "expected 12 labels"),
    ({"labels": np.zeros((12, 3), int)}, "expected 12 labels"),
    ({"labels": np.full(12, 0.5)}, "whole numbers"),
    ({"files": ["a.png"] * 11}, "expected 12 files, one for each image, got 11"),
    ({"groups": ["a"]}, "expected 12 groups"),
    ({"attacks": []}, "at least one attack"),
    ({"attacks": [Scripted(), Scripted()]}, "each of another name"),
    ({"attacks": [Scripted(bounds=(0.0, 1.0))]}, "expected attacks with bounds=None"),
    ({"attacks": [Scripted()], "partial_dir": "/proc/none"}, "choose a folder"),
]


@pytest.mark.parametrize(("changes", "message"), BAD_INPUTS)
def test_refuses_bad_input_before_the_work(
    network: keras.Model, changes: dict[str, Any], message: str
) -> None:
    arguments = {"images": IMAGES, "labels": np.zeros(12, int), **changes}
    with pytest.raises(InputError) as caught:
        evaluate(network, **arguments)
    assert message in str(caught.value)


def test_says_where_gradients_lead_nowhere() -> None:
    """A step: right answers, and a gradient of nothing."""
    steps = Called(lambda images: 9.0 * tf.sign(means(images) - 0.5) * [1.0, -1.0])
    report = measure(steps, Scripted(batch_size=7), name="steps")
    assert any("12 of 12 images have a gradient of the margin" in one for one in report.warnings)
    assert report.name == "steps"


def test_progress_goes_to_stderr(network: keras.Model, capsys: pytest.CaptureFixture[str]) -> None:
    measure(network, Scripted(batch_size=5), progress=True)
    out, err = capsys.readouterr()
    assert out == "" and "block 4 of 4" in err and "scripted" in err and "100%" in err
    assert " images/s" in err and " gradients/s" in err


@pytest.mark.parametrize("preset", PRESETS)
def test_presets(preset: str) -> None:
    small = preset_attacks(preset, np.zeros((120, 28, 28, 1), np.float32), bounds=(0.0, 1.0))
    assert {(attack.bounds, attack.batch_size) for attack in small} == {((0.0, 1.0), 40)}
    large = preset_attacks(preset, np.zeros((20, 224, 224, 3), np.float32), bounds=None)
    assert {(attack.bounds, attack.batch_size) for attack in large} == {(None, 7)}
    assert len({attack.name for attack in small}) == len(small) >= 2
    outside = np.ones((3, 28, 28, 1), np.float32)
    (*_, blend) = preset_attacks(
        preset, np.zeros((9, 28, 28, 1), np.float32), bounds=None, pool=outside
    )
    assert isinstance(blend, Blend)
    np.testing.assert_array_equal(blend.pool, outside)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((2, 5, 5, 1), r"pool of images \(M, 4, 4, 1\), as large as .* got \(2, 5, 5, 1\)"),
        ((0, 4, 4, 1), r"at least one image, .* got shape \(0, 4, 4, 1\)"),
    ],
)
def test_a_pool_that_no_blend_can_take(shape: tuple[int, ...], words: str) -> None:
    def network(images: tf.Tensor) -> tf.Tensor:
        mean = tf.reduce_mean(images, axis=(1, 2, 3))
        return tf.stack([mean, 3 - mean], axis=-1)

    images = np.full((2, 4, 4, 1), 0.2, np.float32)
    with pytest.raises(InputError, match=words):
        evaluate(network, images, [1, 1], preset="fast", pool=np.zeros(shape), progress=False)


def test_a_pool_beside_attacks_is_refused(network: keras.Model) -> None:
    with pytest.raises(InputError, match=r"pool or attacks, got both: .* Add Blend\(pool\)"):
        measure(network, Scripted(batch_size=5), pool=IMAGES)


class BetterBelowChance(Attack):
    """Goes half the way for BTR that it goes for misclassification."""

    @property
    def name(self) -> str:
        """Its name."""
        return "better below chance"

    def _run(self, model: Any, block: Block) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        share = 0.5 if isinstance(block.criterion, BelowChance) else 1.0
        here = block.images.numpy()
        found = np.ones(len(here), bool)
        return share * (1 - 2 * np.round(here)), found, ~found


def test_what_is_below_chance_at_a_smaller_size_is_misclassified_there_as_well() -> None:
    def bright(images: tf.Tensor) -> tf.Tensor:
        mean = 100 * (tf.reduce_mean(images, axis=(1, 2, 3)) - 0.5)
        return tf.stack([mean, -mean, tf.zeros_like(mean) - 1000], axis=1)

    images = np.full((3, *SHAPE), 0.7, np.float32)
    attack = BetterBelowChance(batch_size=3)
    report = evaluate(bright, images, [0, 0, 0], attacks=[attack], progress=False)
    np.testing.assert_allclose(report.btr_rmse, 0.5, rtol=1e-6)
    np.testing.assert_allclose(report.attack_rmse, 0.5, rtol=1e-6)
    assert report.attacks[0].rmse == pytest.approx(1.0)
    assert any("took it over" in warning for warning in report.warnings)
