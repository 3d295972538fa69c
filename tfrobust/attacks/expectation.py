"""Expectation over transformation: networks with randomness, attacked through their average."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfrobust.core.classifier import Model
from tfrobust.core.door import as_classifier
from tfrobust.errors import InputError

# A function of images (B, H, W, C) and a seed, int32 (2,), that gives logits (B, K). Every row
# draws for itself.
RandomModel = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def expectation(model: keras.Model | RandomModel, *, draws: int, seed: int = 0) -> Model:
    """A network that decides by the average of a random one, to be given to any attack.

    The probabilities are averaged: the softmax of the result is the mean softmax over the draws,
    and its logits are the logarithm of that mean. A mean of the logits would be no network's
    answer: one draw with large logits would outvote the others, and `BelowChance` would ask about
    a probability that nobody sees. (arXiv 1707.07397 averages the logarithms, which is a bound
    below this.) The gradient is taken with respect to the images only.

    The draws are the same for every image and every compiled call. So what an attack finds does
    not depend on an image's place in the batch, and a bisection ends. Calls that are not compiled
    draw otherwise; those of attacks are compiled. As the draws are few, judge what an attack
    found by others: `expectation(model, draws=more, seed=another)`.

    Args:
        model: a Keras classifier whose layers draw in inference too, by `keras.random` with a
            SeedGenerator; or a function of images (B, H, W, C) and a seed, int32 (2,), that gives
            logits (B, K) and draws by `tf.random.stateless_…` with the seed, for every row its
            own: for example a random transform before a network. What draws by other means
            differs from call to call.
        draws: how many answers are averaged. Each image takes the time and the memory of so many.
        seed: of the draws.

    Returns:
        A function of images (B, H, W, C) that gives the logarithms of mean probabilities (B, K).

    Raises:
        InputError: there are no draws, or the Keras classifier has no layer that draws.

    Source: Athalye et al., arXiv 1707.07397, and arXiv 1802.00420, section 4.2.
    """
    if draws < 1:
        raise InputError(f"expected at least 1 draw, got {draws}")
    random_model = (
        _seeded(as_classifier(model).network) if isinstance(model, keras.Model) else model
    )
    seeds = tf.constant([seed, draws], tf.int32)

    def of_one(image: tf.Tensor) -> tf.Tensor:
        # The seed is not mapped over, so that all images meet the same draws, one in each row.
        logits = random_model(tf.tile(image[None], (draws, 1, 1, 1)), seeds)
        total = tf.reduce_logsumexp(tf.nn.log_softmax(logits), axis=0)
        return total - tf.math.log(tf.cast(draws, total.dtype))

    def pulled_back(image_and_upstream: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        image, upstream = image_and_upstream
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(image)
            answer = of_one(image)
        return tape.gradient(answer, image, upstream, unconnected_gradients="zero")

    # The gradient is taken image by image, then vectorised: that of the vectorised map is
    # compiled anew for every batch of images (TensorFlow 2.21).
    @tf.custom_gradient
    def average(images: tf.Tensor) -> tuple[tf.Tensor, Callable[..., Any]]:
        def gradient(upstream: tf.Tensor, variables: Sequence[Any] = ()) -> tuple[tf.Tensor, Any]:
            # None for the variables: attacks do not train.
            return tf.vectorized_map(pulled_back, (images, upstream)), [None] * len(variables)

        return tf.vectorized_map(of_one, images), gradient

    # AutoGraph would look through the custom gradient's decorator.
    return tf.autograph.experimental.do_not_convert(lambda images: average(images))


def _seeded(network: keras.Model) -> RandomModel:
    """The network as a function of images and a seed, which every layer that draws starts from."""
    drawing = [variable for variable in network.non_trainable_variables if _is_seed(variable)]
    if not drawing:
        raise InputError(
            "expected a network with layers that draw in inference too, by keras.random and a "
            "keras.random.SeedGenerator; this one has none: attack it as it is"
        )

    def logits(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        state: list[Any] = []
        for number, variable in enumerate(network.non_trainable_variables):
            if _is_seed(variable):
                # Layers draw apart from each other.
                state.append(tf.cast(tf.stack([seed[0], seed[1] + number]), variable.dtype))
            else:
                state.append(variable.value)
        trainable = [variable.value for variable in network.trainable_variables]
        answer, _ = network.stateless_call(trainable, state, images, training=False)
        return answer

    return logits


def _is_seed(variable: keras.Variable) -> bool:
    return variable.name == "seed_generator_state"
