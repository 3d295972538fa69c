"""Several attacks in turn: each told of the best so far, the smallest kept."""

import numpy as np
import tensorflow as tf

from tfrobust.attacks import PGD, Attack, AttackResult, LinearizedMargin
from tfrobust.attacks.base import Block
from tfrobust.attacks.ensemble import attack_in_turn, smallest

rng = np.random.default_rng(1)
IMAGES = rng.random((6, 4, 5, 1), np.float32)


def result(rmse: list[float], late: bool = False) -> AttackResult:
    sizes = np.array(rmse)
    found = np.isfinite(sizes)
    deltas = np.where(found, sizes, 0)[:, None, None, None]
    images = np.full((len(sizes), 2, 2, 1), 0.5)
    return AttackResult(images + deltas, sizes, found, np.full(len(sizes), late) & found)


def test_smallest_by_hand() -> None:
    inf = np.inf
    first = result([0.0, 0.2, 0.2, inf, inf, 0.2])
    second = result([0.0, 0.1, 0.1999, 0.3, inf, 0.3], late=True)
    third = result([0.0, 0.15, 0.1998, 0.31, inf, 0.1])
    best, winner = smallest([first, second, third])
    np.testing.assert_array_equal(best.rmse, [0.0, 0.1, 0.1998, 0.3, inf, 0.1])
    np.testing.assert_array_equal(best.found, [True, True, True, True, False, True])
    np.testing.assert_array_equal(best.late, [False, True, False, True, False, False])
    np.testing.assert_allclose(best.adversarials[:, 0, 0, 0] - 0.5, [0, 0.1, 0.1998, 0.3, 0, 0.1])
    # Within 0.1 % of what the first found, the others have found nothing of their own.
    np.testing.assert_array_equal(winner, [-1, 1, 0, 1, -1, 2])


class Told(Attack):
    """Finds nothing, and remembers what it was told."""

    name = "told"

    def _run(self, model, block: Block) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        self.start, self.numbers = block.start.numpy(), block.numbers.numpy()
        nothing = np.zeros(len(block.classes), bool)
        return np.zeros(block.images.shape, np.float32), nothing, nothing


WEIGHTS = rng.normal(size=(20, 3)).astype(np.float32)


def plane(images: tf.Tensor) -> tf.Tensor:
    return tf.reshape(images - 0.5, (-1, 20)) @ WEIGHTS


def test_each_attack_is_told_of_the_smallest_so_far() -> None:
    labels = np.argmax(plane(IMAGES), axis=-1)
    labels[2] = (labels[2] + 1) % 3  # wrong already: nobody's work
    told = Told(batch_size=5)
    attacks = [LinearizedMargin(steps=12, batch_size=6), told]
    first, second = attack_in_turn(attacks, plane, IMAGES, labels, numbers=np.arange(10, 16))
    packed = [0, 1, 3, 4, 5]
    np.testing.assert_array_equal(told.numbers, np.arange(10, 16)[packed])
    np.testing.assert_allclose(told.start, (first.adversarials - IMAGES)[packed])
    assert second.rmse[2] == 0 and np.isinf(second.rmse[packed]).all()


def test_what_is_done_is_not_run_again() -> None:
    labels = np.argmax(plane(IMAGES), axis=-1)
    told = Told(batch_size=6)
    done = [LinearizedMargin(steps=12, batch_size=6)(plane, IMAGES, labels)]
    # The first attack would fail: it does not know these goals.
    later = list(attack_in_turn([PGD(), told], plane, IMAGES, labels, done=done))
    assert len(later) == 1
    np.testing.assert_allclose(told.start, done[0].adversarials - IMAGES)
