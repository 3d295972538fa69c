"""What Keras networks take: which axis the channels are on."""

import keras
import numpy as np
import pytest
from keras import layers

from tfrobust.core.door import as_classifier
from tfrobust.core.keras_inputs import channels_first
from tfrobust.errors import InputError


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((3, 32, 32), True),
        ((1, 28, 28), True),
        ((3, None, None), True),
        ((32, 32, 3), False),
        ((None, None, 3), False),
        ((4, 4, 1), False),
        ((64, 64, 12), False),
    ],
)
def test_channels_are_seen_where_there_are_few(sizes: tuple, expected: bool) -> None:
    assert channels_first(sizes) is expected


def network(shape: tuple, filters: int, data_format: str) -> keras.Model:
    keras.utils.set_random_seed(0)
    convolution = layers.Conv2D(
        filters, 3, padding="same", data_format=data_format, bias_initializer="normal"
    )
    made = [convolution, layers.Flatten(), layers.Dense(2)]
    return keras.Sequential([keras.Input(shape), *made])


def test_layers_tell_where_sizes_do_not() -> None:
    images = np.random.default_rng(0).random((2, 4, 3, 3), np.float32)
    for data_format in ("channels_first", "channels_last"):
        model = network((3, 4, 3), 5, data_format)
        taken = as_classifier(model)
        if data_format == "channels_first":
            assert taken.image_shape == (4, 3, 3)
            found = taken(images)
            np.testing.assert_allclose(found, model(images.transpose(0, 3, 1, 2)), atol=1e-6)
        else:
            assert taken.network is model


def test_a_bias_on_the_wrong_axis_is_refused() -> None:
    with pytest.raises(InputError, match=r"as wide as it has filters.*'channels_last'"):
        as_classifier(network((1, 6, 5), 5, "channels_first"))
