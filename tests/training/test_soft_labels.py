"""Labels that share their weight, against NumPy by hand."""

import contextlib
from pathlib import Path

import keras
import numpy as np
import pytest

from tfrobust.errors import InputError
from tfrobust.training import (
    InputGradientPenalty,
    Madry,
    PsiController,
    RobustClassifier,
    SoftLabels,
)

IMAGES = np.random.default_rng(0).random((4, 2, 2, 1)).astype(np.float32)
LABELS = np.array([0, 2, 1, 2])


def linear(classes: int = 3, seed: int = 1) -> keras.Model:
    images = keras.Input((2, 2, 1))
    network = keras.Model(images, keras.layers.Dense(classes)(keras.layers.Flatten()(images)))
    random = np.random.default_rng(seed)
    network.set_weights([random.normal(size=one.shape) for one in network.get_weights()])
    return network


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64))
    return powers / powers.sum(axis=1, keepdims=True)


def logits_of(network: keras.Model) -> np.ndarray:
    kernel, bias = (one.astype(np.float64) for one in network.get_weights())
    return IMAGES.reshape(4, -1) @ kernel + bias


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    linear(seed=2).save(tmp_path / "teacher.keras")
    return tmp_path / "teacher.keras"


@pytest.mark.parametrize("labels", [LABELS, LABELS[:, None], np.eye(3, dtype=np.float32)[LABELS]])
def test_smoothing_spreads_over_all_classes(labels: np.ndarray) -> None:
    rows = SoftLabels(smoothing=0.3)(IMAGES, keras.ops.convert_to_tensor(labels), 3)
    np.testing.assert_allclose(rows, 0.7 * np.eye(3)[LABELS] + 0.1, rtol=1e-6)


def test_a_teacher_has_its_share(teacher: Path) -> None:
    soft = SoftLabels(smoothing=0.3, teacher=teacher, share=0.6)
    told = softmax(logits_of(linear(seed=2)))
    expected = 0.4 * (0.7 * np.eye(3)[LABELS] + 0.1) + 0.6 * told
    found = soft(IMAGES, keras.ops.convert_to_tensor(LABELS), 3)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    named = SoftLabels.from_config(soft.get_config())
    assert named.get_config() == soft.get_config()
    # A file may come from a stranger: what it names is not opened.
    with pytest.raises(InputError, match="expected an opened teacher"):
        named(IMAGES, keras.ops.convert_to_tensor(LABELS), 3)
    named.open()
    np.testing.assert_array_equal(named(IMAGES, keras.ops.convert_to_tensor(LABELS), 3), found)


def test_a_saved_file_opens_no_teacher(teacher: Path, tmp_path: Path) -> None:
    classifier = RobustClassifier(linear(), soft_labels=SoftLabels(teacher=teacher))
    classifier.compile(keras.optimizers.SGD(0.5))
    classifier.save(tmp_path / "saved.keras")
    teacher.unlink()
    loaded = keras.saving.load_model(tmp_path / "saved.keras")
    np.testing.assert_allclose(loaded(IMAGES), classifier(IMAGES), rtol=1e-6)
    assert loaded.soft_labels.answers is None


def test_a_step_takes_the_loss_of_the_shares_and_teaches_no_teacher(teacher: Path) -> None:
    network = linear()
    # Perturbed so little that the loss is that of the clean images.
    attack = Madry(norm="l2", epsilon=1e-6, steps=1)
    soft = SoftLabels(teacher=teacher, share=0.6)
    classifier = RobustClassifier(network, adversarial=attack, soft_labels=soft)
    classifier.compile(keras.optimizers.SGD(0.5))
    rows = 0.4 * np.eye(3)[LABELS] + 0.6 * softmax(logits_of(linear(seed=2)))
    before, logits = network.get_weights()[1], logits_of(network)
    values = classifier.optimize(IMAGES, LABELS)
    shares = softmax(logits)
    expected = -(rows * np.log(shares)).sum(axis=1).mean()
    # float32, and the perturbation's 1e-6 times slopes of a few units
    assert float(values["cross_entropy"]) == pytest.approx(expected, abs=1e-4)
    assert float(values["accuracy"]) == np.mean(logits.argmax(axis=1) == LABELS)
    np.testing.assert_allclose(
        network.get_weights()[1], before - 0.5 * (shares - rows).mean(axis=0), atol=1e-4
    )
    assert len(classifier.trainable_variables) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "a smoothing above 0, or a teacher"),
        ({"smoothing": 1.0}, "smoothing from 0 to below 1"),
        ({"smoothing": 0.1, "share": 0.0}, "a share above 0"),
        ({"teacher": "/nowhere/x.keras"}, "/nowhere/x.keras"),
    ],
)
def test_what_is_no_softness_is_refused(arguments: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        SoftLabels(**arguments)


def test_a_teacher_of_other_classes_is_refused(teacher: Path) -> None:
    with pytest.raises(InputError, match=r"teacher of images \(2, 2, 1\) and 4 classes"):
        RobustClassifier(linear(4), soft_labels=SoftLabels(teacher=teacher))


def test_labels_that_are_too_soft_for_the_target_of_psi_are_refused(teacher: Path) -> None:
    soft = SoftLabels(smoothing=0.6)
    RobustClassifier(linear(), soft_labels=soft, penalty=InputGradientPenalty())
    # Half of the label is the teacher's, who may be sure.
    taught = SoftLabels(smoothing=0.6, teacher=teacher, share=0.5)
    for labels, share in ((soft, [0.6, 0.2, 0.2]), (taught, [0.8, 0.1, 0.1])):
        least = -(np.array(share) * np.log(share)).sum()
        for target in (least + 0.01, least - 0.01):
            refused = pytest.raises(InputError, match=f"below {least:.3g}")
            with refused if target < least else contextlib.nullcontext():
                RobustClassifier(
                    linear(),
                    penalty=InputGradientPenalty(),
                    psi=PsiController(loss_target=target),
                    soft_labels=labels,
                )
