"""Muon of convolutions, beside Keras' Muon of matrices."""

import keras
import numpy as np

from tfrobust.training.muon import ConvMuon

RANDOM = np.random.default_rng(0)


def variables(*shapes: tuple[int, ...]) -> list[keras.Variable]:
    return [keras.Variable(RANDOM.normal(size=shape), dtype="float32") for shape in shapes]


def test_a_kernel_is_taken_for_a_matrix() -> None:
    kernel, last = variables((3, 3, 2, 5), (1, 1, 5, 4))
    (matrix,) = variables((18, 5))
    matrix.assign(np.reshape(kernel, (18, 5)))
    ours, keras_own = ConvMuon(0.1), keras.optimizers.Muon(0.1)
    ours.build([kernel, last])
    for _ in range(3):
        gradient = RANDOM.normal(size=(18, 5)).astype(np.float32)
        ours.apply([gradient.reshape(3, 3, 2, 5), np.zeros((1, 1, 5, 4), np.float32)])
        keras_own.apply([keras.ops.convert_to_tensor(gradient)], [matrix])
    np.testing.assert_allclose(np.reshape(kernel, (18, 5)), matrix, rtol=1e-5)


def test_a_step_is_nearly_orthogonal() -> None:
    kernel, last = variables((3, 3, 2, 5), (1, 1, 5, 4))
    optimizer = ConvMuon(1.0, weight_decay=None, rms_rate=None)
    optimizer.build([kernel, last])
    before = np.array(kernel)
    optimizer.apply([RANDOM.normal(size=(3, 3, 2, 5)).astype(np.float32), np.ones((1, 1, 5, 4))])
    step = (before - kernel).reshape(18, 5)
    sizes = np.linalg.svd(step, compute_uv=False)
    # Five iterations bring singular values to between .7 and 1.2, as the source says.
    assert sizes.min() > 0.6 and sizes.max() < 1.3


def test_biases_and_the_last_layer_take_adams_steps() -> None:
    kernel, bias, last = variables((3, 3, 2, 5), (5,), (1, 1, 5, 4))
    before = [np.array(one) for one in (bias, last)]
    optimizer = ConvMuon(0.01, weight_decay=None, adam_weight_decay=None)
    optimizer.build([kernel, bias, last])
    gradients = [RANDOM.normal(size=one.shape).astype(np.float32) for one in (kernel, bias, last)]
    optimizer.apply(gradients)
    for one, old, gradient in zip((bias, last), before, gradients[1:], strict=True):
        # Adam's first step is the rate, in the gradient's sign.
        np.testing.assert_allclose(old - one, 0.01 * np.sign(gradient), rtol=1e-3)


def test_what_is_excluded_takes_adams_steps() -> None:
    named = keras.Variable(RANDOM.normal(size=(3, 3, 2, 5)), dtype="float32", name="stem")
    depthwise, last = variables((3, 3, 5, 1), (1, 1, 5, 4))
    before = [np.array(one) for one in (named, depthwise)]
    optimizer = ConvMuon(0.01, exclude_layers=["stem"], weight_decay=None, adam_weight_decay=None)
    optimizer.build([named, depthwise, last])
    gradients = [RANDOM.normal(size=one.shape).astype(np.float32) for one in (named, depthwise)]
    optimizer.apply([*gradients, np.zeros(last.shape, np.float32)])
    for one, old, gradient in zip((named, depthwise), before, gradients, strict=True):
        np.testing.assert_allclose(old - one, 0.01 * np.sign(gradient), rtol=1e-3)


def test_configuration_round_trip() -> None:
    optimizer = ConvMuon(0.3, momentum=0.5, weight_decay=0.2)
    assert ConvMuon.from_config(optimizer.get_config()).get_config() == optimizer.get_config()
