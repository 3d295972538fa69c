"""Muon for networks of convolutions: Keras' own takes its step for matrices alone."""

import math
from types import SimpleNamespace
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="tfrobust")
class ConvMuon(keras.optimizers.Muon):
    """Keras' Muon, which also makes the steps of convolutions' kernels orthogonal.

    A kernel (h, w, in, out) is taken for a matrix (h·w·in, out). Keras' Muon would take Adam's
    steps for it, and so for nearly all of a ResNet. Biases, scales and shifts keep Adam's steps;
    so do kernels of depthwise convolutions, whose matrices would have one column, and the kernel of
    the last layer, as the source wants it: the last one in `build`.

    The arguments are those of `keras.optimizers.Muon`.

    Source: Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024, which
    flattens convolutions so; the size of a step is that of arXiv 2502.16982, section 2.2.
    """

    def build(self, var_list: list[Any]) -> None:
        """Makes the optimizer's variables; the last kernel of the list is the last layer's."""
        if not self.built:
            kernels = [one.path for one in var_list if len(one.shape) > 1]
            self.last_kernel = kernels[-1] if kernels else ""
        super().build(var_list)

    def _should_use_adamw(self, variable: Any) -> bool:
        shape, path = tuple(variable.shape), variable.path
        if len(shape) == 4:
            if shape[-1] == 1:
                return True
            shape = (math.prod(shape[:-1]), shape[-1])
        matrix = SimpleNamespace(shape=shape, path=path)
        return path == self.last_kernel or super()._should_use_adamw(matrix)

    def _muon_update_step(self, gradient: Any, variable: Any, lr: Any, m: Any) -> None:
        self.assign_add(m, gradient + m * (self.momentum - 1))
        direction = gradient + self.momentum * m if self.nesterov else m
        matrix = ops.reshape(direction, (-1, variable.shape[-1]))
        update = self.lr_adjust(lr * self.zeropower_via_newtonschulz5(matrix, self.ns_steps))
        self.assign_sub(variable, ops.reshape(update, variable.shape))
