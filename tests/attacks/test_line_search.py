"""The search on the line, against boundaries at known places."""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from tfrobust.attacks import Misclassified
from tfrobust.attacks.base import meets
from tfrobust.attacks.line_search import shortened
from tfrobust.core.classifier import Classifier

# Where the boundary lies on each image's line.
SHARES = np.append(np.linspace(0.2, 0.999, 30), 0.9999).astype(np.float32)
COUNT = len(SHARES)
LINES: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "straight": lambda left: left,
    "curved": lambda left: left * (1.5 - left),
    "kinked": lambda left: tf.maximum(left, 4 * left - 0.02),
    "steps": lambda left: tf.where(left > 0, 1.0, -1.0),
    "overflowing": lambda left: tf.where(left > 0, np.inf, -np.inf),
}


def network(kind: str) -> tuple[Classifier, list[int]]:
    """Of images (B, 1, 1, 2), where the line goes and where its boundary is; and what is asked."""
    asked: list[int] = []

    def logits(images: tf.Tensor) -> tf.Tensor:
        tf.py_function(lambda: asked.append(1), [], [])
        margin = LINES[kind](images[:, 0, 0, 1] - images[:, 0, 0, 0])
        return tf.stack([margin, tf.zeros_like(margin)], axis=-1)

    model = Classifier(logits, name=kind)
    model.compiles = False
    return model, asked


def search(kind: str, passes: int) -> tuple[np.ndarray, np.ndarray, int]:
    model, asked = network(kind)
    images = np.zeros((COUNT, 1, 1, 2), np.float32)
    images[:, 0, 0, 1] = SHARES
    delta = np.zeros_like(images)
    delta[:, 0, 0, 0] = 1
    classes = tf.zeros(COUNT, tf.int32)
    found = shortened(model, Misclassified(), tf.constant(images), classes, delta, passes)
    calls = len(asked)
    met = meets(model, Misclassified(), images + found, classes).numpy()
    return found.numpy()[:, 0, 0, 0], met, calls


@pytest.mark.parametrize(
    ("kind", "passes", "near", "far"),
    [
        # A search aims 3e-5 of the line beyond a boundary. From 0.9 on eight passes are plenty; a
        # fifth of the line, where no attack of ours ends, takes four more.
        ("straight", 8, 1e-4, 3e-4),
        ("curved", 8, 1e-4, 0.3),
        ("curved", 12, 1e-4, 3e-4),
        ("kinked", 8, 1e-3, 0.02),
        # Where the margin says nothing halvings are left, two of 14 behind.
        ("steps", 16, 1e-4, 2**-12 / 0.2),
        ("overflowing", 16, 1e-4, 2**-12 / 0.2),
    ],
)
def test_the_boundary_is_found(kind: str, passes: int, near: float, far: float) -> None:
    lengths, met, calls = search(kind, passes)
    assert met.all() and calls == passes
    assert np.all(lengths >= SHARES * (1 - 1e-6)) and np.all(lengths <= 1)
    slack = lengths / SHARES - 1
    assert np.all(slack < far) and np.all(slack[SHARES > 0.9] < near)


def test_none_or_one_pass_changes_nothing() -> None:
    for passes in (0, 1):
        lengths, _, calls = search("straight", passes)
        assert calls == 0 and np.all(lengths == 1)


def test_where_no_boundary_is_the_line_stays() -> None:
    model, _ = network("straight")
    images = np.full((3, 1, 1, 2), [0, 2], np.float32)
    delta = np.full((3, 1, 1, 2), [1, 0], np.float32)
    found = shortened(model, Misclassified(), tf.constant(images), tf.zeros(3, tf.int32), delta, 8)
    np.testing.assert_array_equal(found, delta)
