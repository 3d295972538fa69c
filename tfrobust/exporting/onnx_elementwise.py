"""ONNX for functions of single numbers, and their gradients, that tf2onnx does not convert.

Each function replaces one node. In the comments g is the gradient that comes from behind, x the
function's input and y its output.
"""

from collections.abc import Callable

import numpy as np

from tfrobust.exporting.onnx_nodes import Rewrite

# Of the self-normalising unit, arXiv 1706.02515.
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def relu(rewrite: Rewrite) -> None:
    """The gradient g where x is above 0."""
    gradient, features = rewrite.inputs
    zero = rewrite.constant(0, np.float32)
    active = rewrite.make("Greater", features, zero)
    rewrite.finish(rewrite.make("Where", active, gradient, zero))


def leaky_relu(rewrite: Rewrite) -> None:
    """The gradient g where x is above 0, and g·slope elsewhere."""
    gradient, features = rewrite.inputs
    zero, slope = (
        rewrite.constant(value, np.float32) for value in (0, rewrite.node.get_attr_value("alpha"))
    )
    below = rewrite.make("Mul", gradient, slope)
    rewrite.finish(rewrite.make("Where", rewrite.make("Greater", features, zero), gradient, below))


def relu6(rewrite: Rewrite) -> None:
    """The gradient g where x is between 0 and 6."""
    gradient, features = rewrite.inputs
    zero, six = (rewrite.constant(value, np.float32) for value in (0, 6))
    between = rewrite.make(
        "And", rewrite.make("Greater", features, zero), rewrite.make("Less", features, six)
    )
    rewrite.finish(rewrite.make("Where", between, gradient, zero))


def tanh(rewrite: Rewrite) -> None:
    """The gradient g·(1 − y²)."""
    outputs, gradient = rewrite.inputs
    slope = rewrite.make(
        "Sub", rewrite.constant(1, np.float32), rewrite.make("Mul", outputs, outputs)
    )
    rewrite.finish(rewrite.make("Mul", gradient, slope))


def sigmoid(rewrite: Rewrite) -> None:
    """The gradient g·y·(1 − y)."""
    outputs, gradient = rewrite.inputs
    rest = rewrite.make("Sub", rewrite.constant(1, np.float32), outputs)
    rewrite.finish(rewrite.make("Mul", gradient, rewrite.make("Mul", outputs, rest)))


def elu(rewrite: Rewrite) -> None:
    """The gradient g·(y + 1) where y is below 0, and g elsewhere."""
    gradient, outputs = rewrite.inputs
    zero, one = (rewrite.constant(value, np.float32) for value in (0, 1))
    below = rewrite.make("Mul", gradient, rewrite.make("Add", outputs, one))
    rewrite.finish(rewrite.make("Where", rewrite.make("Less", outputs, zero), below, gradient))


def selu(rewrite: Rewrite) -> None:
    """The gradient g·(y + scale·alpha) where y is below 0, and g·scale elsewhere."""
    gradient, outputs = rewrite.inputs
    zero, scale, low = (
        rewrite.constant(value, np.float32) for value in (0, SELU_SCALE, SELU_SCALE * SELU_ALPHA)
    )
    below = rewrite.make("Mul", gradient, rewrite.make("Add", outputs, low))
    above = rewrite.make("Mul", gradient, scale)
    rewrite.finish(rewrite.make("Where", rewrite.make("Less", outputs, zero), below, above))


def softplus(rewrite: Rewrite) -> None:
    """The gradient g·sigmoid(x)."""
    gradient, features = rewrite.inputs
    rewrite.finish(rewrite.make("Mul", gradient, rewrite.make("Sigmoid", features)))


def softsign(rewrite: Rewrite) -> None:
    """The gradient g / (1 + |x|)²."""
    gradient, features = rewrite.inputs
    one = rewrite.constant(1, np.float32)
    size = rewrite.make("Add", one, rewrite.make("Abs", features))
    rewrite.finish(rewrite.make("Div", gradient, rewrite.make("Mul", size, size)))


def square_root(rewrite: Rewrite) -> None:
    """The gradient g / 2y of y = √x."""
    outputs, gradient = rewrite.inputs
    half = rewrite.make("Mul", gradient, rewrite.constant(0.5, np.float32))
    rewrite.finish(rewrite.make("Div", half, outputs))


def inverse_square_root(rewrite: Rewrite) -> None:
    """The gradient −g·y³/2 of y = 1/√x, which normalising layers take."""
    outputs, gradient = rewrite.inputs
    cube = rewrite.make("Mul", outputs, rewrite.make("Mul", outputs, outputs))
    half = rewrite.make("Mul", gradient, rewrite.constant(-0.5, np.float32))
    rewrite.finish(rewrite.make("Mul", half, cube))


def reciprocal(rewrite: Rewrite) -> None:
    """The gradient −g·y² of y = 1/x."""
    outputs, gradient = rewrite.inputs
    square = rewrite.make("Mul", outputs, outputs)
    rewrite.finish(rewrite.make("Neg", rewrite.make("Mul", gradient, square)))


def erfc(rewrite: Rewrite) -> None:
    """1 − erf(x), which is in GELU."""
    one = rewrite.constant(1, np.float32)
    rewrite.finish(rewrite.make("Sub", one, rewrite.make("Erf", rewrite.inputs[0])))


def exponential_minus_1(rewrite: Rewrite) -> None:
    """e^x − 1, which is in CELU."""
    one = rewrite.constant(1, np.float32)
    rewrite.finish(rewrite.make("Sub", rewrite.make("Exp", rewrite.inputs[0]), one))


def logarithm_of_1_more(rewrite: Rewrite) -> None:
    """ln(1 + x)."""
    one = rewrite.constant(1, np.float32)
    rewrite.finish(rewrite.make("Log", rewrite.make("Add", one, rewrite.inputs[0])))


HANDLERS: dict[str, Callable[[Rewrite], None]] = {
    "EluGrad": elu,
    "Erfc": erfc,
    "Expm1": exponential_minus_1,
    "InvGrad": reciprocal,
    "LeakyReluGrad": leaky_relu,
    "Log1p": logarithm_of_1_more,
    "ReciprocalGrad": reciprocal,
    "Relu6Grad": relu6,
    "ReluGrad": relu,
    "RsqrtGrad": inverse_square_root,
    "SeluGrad": selu,
    "SigmoidGrad": sigmoid,
    "SoftplusGrad": softplus,
    "SoftsignGrad": softsign,
    "SqrtGrad": square_root,
    "TanhGrad": tanh,
}
