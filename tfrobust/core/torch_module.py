"""PyTorch modules as functions in TensorFlow, whose gradients PyTorch computes."""

import functools
import sys
from typing import Any

import numpy as np
import tensorflow as tf

from tfrobust.core.config import config_of


def is_torch(model: Any) -> bool:
    """Whether a model is a PyTorch module. This does not import PyTorch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)


class _Kept:
    """The last answers that PyTorch can still differentiate, of one place in a TensorFlow program.

    Attributes:
        wanted: whether a gradient follows, which is known once the program is traced.
    """

    def __init__(self) -> None:
        self.wanted = False
        self._last: tuple[np.ndarray, Any, Any] | None = None

    def put(self, images: np.ndarray, taken: Any, values: Any) -> None:
        """Keeps answers, and PyTorch's tensors of the images and of them."""
        self._last = images, taken, values

    def take(self, images: np.ndarray) -> tuple[Any, Any] | None:
        """The two tensors, once; None if the last answers were to other images."""
        last, self._last = self._last, None
        return last[1:] if last is not None and np.array_equal(last[0], images) else None


class TorchFunction:
    """A PyTorch module as a function in TensorFlow: images (B, H, W, C) → its outputs (B, K).

    TensorFlow asks PyTorch for the answers, and for the product of its gradients with those that
    come from behind. Such a gradient has no gradient itself. In a compiled program the module is
    asked once for both.

    Args:
        module: what is asked. It is put into its evaluation mode at each call.
        channels_first: whether it takes images as (B, C, H, W), as PyTorch's own layers do.
        batch: the number of images that it takes at a time; None for any.
    """

    runtime = "PyTorch"

    def __init__(
        self, module: Any, *, channels_first: bool = True, batch: int | None = None
    ) -> None:
        self.module, self._first, self._batch = module, channels_first, batch
        self._count: int | None = None

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """The module's outputs."""

        kept = _Kept()
        ask = functools.partial(self._answers, kept)
        slope = functools.partial(self._gradients, kept)

        @tf.custom_gradient
        def answer(images: tf.Tensor) -> Any:
            def gradient(upstream: tf.Tensor) -> tf.Tensor:
                kept.wanted = True
                return _in_numpy(slope, [images, upstream], images.shape)

            return _in_numpy(ask, [images], (images.shape[0], self._count)), gradient

        return answer(images)

    def config(self) -> dict[str, Any]:
        """What it is, in JSON types: see `Configured.config`."""
        state = self.module.state_dict()
        # NumPy has no bfloat16.
        held = {name: value.double().numpy(force=True) for name, value in state.items()}
        return {"class": type(self.module).__qualname__, "weights": config_of(held)}

    def _answers(self, kept: _Kept, images: np.ndarray) -> np.ndarray:
        import torch

        if kept.wanted:
            taken, values = self._followed(images)
            kept.put(images, taken, values)
        else:
            with torch.no_grad():
                values = self._ask(torch.from_numpy(images))
        values = values.detach().float().numpy(force=True)
        if values.ndim == 2:
            self._count = values.shape[1]
        return values

    def _gradients(self, kept: _Kept, images: np.ndarray, upstream: np.ndarray) -> np.ndarray:
        import torch

        taken, values = kept.take(images) or self._followed(images)
        if not values.requires_grad:  # nothing that follows the images reaches the outputs
            return np.zeros_like(images)
        (found,) = torch.autograd.grad(values, taken, torch.from_numpy(upstream).to(values))
        return found.numpy(force=True)

    def _followed(self, images: np.ndarray) -> tuple[Any, Any]:
        """The images and the outputs as tensors of PyTorch's, which can differentiate them."""
        import torch

        with torch.enable_grad():
            taken = torch.from_numpy(images).requires_grad_()
            return taken, self._ask(taken)

    def _ask(self, images: Any) -> Any:
        """The outputs for a tensor of PyTorch's."""
        import torch

        self.module.eval()
        weight = next((one for one in self.module.parameters() if one.is_floating_point()), None)
        taken = images if weight is None else images.to(weight)
        if self._first:
            taken = taken.permute(0, 3, 1, 2)
        if self._batch is None:
            return self.module(taken)
        count = len(taken)
        taken = taken[torch.arange(-(-count // self._batch) * self._batch) % count]
        return torch.cat([self.module(part) for part in taken.split(self._batch)])[:count]


def _in_numpy(function: Any, taken: list[tf.Tensor], shape: Any) -> tf.Tensor:
    if not tf.is_symbolic_tensor(taken[0]):  # what the function raises stays what it is
        return tf.constant(function(*(_writable(one) for one in taken)))
    values = tf.numpy_function(lambda *arrays: function(*map(_writable, arrays)), taken, tf.float32)
    return tf.ensure_shape(values, shape)


def _writable(values: Any) -> np.ndarray:
    # PyTorch warns of an array that it must not write to, as TensorFlow's are.
    return np.array(values, np.float32)
