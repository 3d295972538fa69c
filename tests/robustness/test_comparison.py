"""A report cut to its first images is the report of those images."""

import keras
import numpy as np

from tfrobust.attacks import PGD, LinearizedMargin
from tfrobust.robustness import first_images
from tfrobust.robustness.evaluate import evaluate


def test_the_first_images_of_a_report_are_their_own_report() -> None:
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [keras.Input((3, 3, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    rng = np.random.default_rng(0)
    images = rng.random((8, 3, 3, 1)).astype(np.float32)
    # Right for most images, so that there is something to attack.
    labels = np.asarray(network(images)).argmax(-1)
    labels[2] = (labels[2] + 1) % 3
    attacks = [LinearizedMargin(steps=3, batch_size=4), PGD(steps=2, rounds=3, batch_size=4)]
    whole = evaluate(network, images, labels, attacks=attacks, progress=False)
    part = evaluate(network, images[:4], labels[:4], attacks=attacks[:1], progress=False)
    cut = first_images(whole, 4, part.attack_names, part.image_hash)
    assert cut.clean_accuracy == part.clean_accuracy == 0.75
    assert (cut.attack_ara, cut.btr_ara) == (part.attack_ara, part.btr_ara)
    np.testing.assert_array_equal(cut.btr_rmse, part.btr_rmse)
    assert cut.attack_names == part.attack_names
    assert [record.won for record in cut.attacks] == [record.won for record in part.attacks]
