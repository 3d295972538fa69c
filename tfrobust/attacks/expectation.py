"""Expectation over transformation: networks with randomness, attacked through their average."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfrobust.core.opaque import Model
from tfrobust.errors import InputError

# Images (B, H, W, C) and a seed, int32 (2,) → logits (B, K); every row draws for itself.
RandomModel = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def expectation(model: keras.Model | RandomModel, *, draws: int, seed: int = 0) -> Model:
    """The network that decides by the average of a random one, to be given to any attack.

    What is averaged are probabilities: the result's softmax is the mean softmax over the draws,
    its logits are that mean's logarithm. The mean of the logits would be no network's answer,
    one draw with large logits would outvote the others, and "below chance" would ask about a
    probability that nobody sees. (1707.07397 averages the logarithms, a bound below this.) Its
    gradient is that of the images only.

    The draws are the same for every image and every call, so that what an attack finds does not
    depend on where in a batch an image lies, and a bisection ends. (A call that is not compiled
    draws otherwise: attacks' are.) The draws are few: what was found is to be judged by others,
    `expectation(model, draws=more, seed=another)`.

    Args:
        model: a Keras network whose layers draw, in inference too, by `keras.random` with a
            SeedGenerator; or a function of images (B, H, W, C) and a seed, int32 (2,), that
            draws by tf.random.stateless_… with it, for every row its own: a random transform
            before a network, say. Draws by anything else differ from call to call.
        draws: how many are averaged; time and memory are of that many images for one.
        seed: of the draws.

    Returns:
        A model: images (B, H, W, C) → logarithms of mean probabilities (B, K).

    Raises:
        InputError: no draws, or a Keras network without a layer that draws.

    Source: Athalye et al., arXiv 1707.07397, and arXiv 1802.00420, section 4.2.
    """
    if draws < 1:
        raise InputError(f"expected at least 1 draw, got {draws}")
    random_model = _seeded(model) if isinstance(model, keras.Model) else model
    seeds = tf.constant([seed, draws], tf.int32)

    def of_one(image: tf.Tensor) -> tf.Tensor:
        # The seed is not mapped over: all images meet the same draws, one a row.
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
            # The images' only: attacks do not train.
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
