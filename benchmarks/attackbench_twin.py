"""An exported network in PyTorch: the operations of its classifier.onnx, one after the other.

onnx2torch lacks SpaceToDepth, and needs torchvision. What depends on no image is computed once, as
the batch normalisation's factors are. Attacks of PyTorch's libraries then meet the weights that are
shipped.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn import functional

OUTPUT = "logits"
Values = list[Any]


class _HalfHuber(torch.autograd.Function):
    """c·(2a − c) with c = clip(a, 0, ½), in one pass each way."""

    @staticmethod
    def forward(ctx: Any, inputs: torch.Tensor) -> torch.Tensor:
        slope = inputs.clamp(0.0, 0.5)
        ctx.save_for_backward(slope)
        return torch.sub(inputs, slope, alpha=0.5).mul_(slope).mul_(2.0)

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        (slope,) = ctx.saved_tensors
        return slope.mul(upstream).mul_(2.0)


def _conv(values: Values, told: dict[str, Any]) -> torch.Tensor:
    inputs, *weights = values
    pads = told.get("pads", [0, 0, 0, 0])
    inputs = functional.pad(inputs, (pads[1], pads[3], pads[0], pads[2]))
    return functional.conv2d(
        inputs, *weights, stride=told.get("strides", 1), groups=told.get("group", 1)
    )


def _slice(values: Values, told: dict[str, Any]) -> torch.Tensor:
    inputs, starts, ends, *rest = (one.tolist() if n else one for n, one in enumerate(values))
    axes = rest[0] if rest else range(len(starts))
    strides = rest[1] if len(rest) > 1 else [1] * len(starts)
    for start, end, axis, stride in zip(starts, ends, axes, strides, strict=True):
        size = inputs.shape[axis]
        taken = range(size)[slice(start, None if end < -size else end, stride)]
        inputs = inputs.index_select(axis, torch.tensor(taken))
    return inputs


def _pad(values: Values, told: dict[str, Any]) -> torch.Tensor:
    before, after = values[1].reshape(2, -1).tolist()
    widths = [width for pair in zip(before, after, strict=True) for width in reversed(pair)]
    return functional.pad(values[0], widths[::-1])


def _space_to_depth(values: Values, told: dict[str, Any]) -> torch.Tensor:
    (inputs,), size = values, told["blocksize"]
    batch, channels, height, width = inputs.shape
    blocks = inputs.reshape(batch, channels, height // size, size, width // size, size)
    blocks = blocks.permute(0, 3, 5, 1, 2, 4)
    return blocks.reshape(batch, channels * size**2, height // size, width // size)


def _reshape(values: Values, told: dict[str, Any]) -> torch.Tensor:
    shape = [one if one else values[0].shape[axis] for axis, one in enumerate(values[1])]
    return values[0].reshape([int(one) for one in shape])


def _mean(values: Values, told: dict[str, Any]) -> torch.Tensor:
    axes = values[1].tolist() if len(values) > 1 else told["axes"]
    return values[0].mean(axes, keepdim=bool(told.get("keepdims", 1)))


def _squeeze(values: Values, told: dict[str, Any]) -> torch.Tensor:
    axes = values[1].tolist() if len(values) > 1 else told["axes"]
    return values[0].squeeze(tuple(axes))


def _unsqueeze(values: Values, told: dict[str, Any]) -> torch.Tensor:
    axes = values[1].tolist() if len(values) > 1 else told["axes"]
    for axis in sorted(axes):
        values = [values[0].unsqueeze(axis)]
    return values[0]


def _split(values: Values, told: dict[str, Any]) -> tuple[torch.Tensor, ...]:
    axis, parts = told.get("axis", 0), told["outputs"]
    sizes = values[1].tolist() if len(values) > 1 else values[0].shape[axis] // parts
    return values[0].split(sizes, dim=axis)


OPERATIONS: dict[str, Callable[[Values, dict[str, Any]], Any]] = {
    "Add": lambda values, told: values[0] + values[1],
    "Concat": lambda values, told: torch.cat(values, dim=told["axis"]),
    "Conv": _conv,
    "HalfHuber": lambda values, told: _HalfHuber.apply(values[0]),
    "MatMul": lambda values, told: values[0] @ values[1],
    "Max": lambda values, told: torch.maximum(*values),
    "Min": lambda values, told: torch.minimum(*values),
    "Mul": lambda values, told: values[0] * values[1],
    "Pad": _pad,
    "ReduceMean": _mean,
    "Reciprocal": lambda values, told: values[0].reciprocal(),
    "Relu": lambda values, told: values[0].relu(),
    "Reshape": _reshape,
    "Slice": _slice,
    "SpaceToDepth": _space_to_depth,
    "Split": _split,
    "Sqrt": lambda values, told: values[0].sqrt(),
    "Squeeze": _squeeze,
    "Sub": lambda values, told: values[0] - values[1],
    "Transpose": lambda values, told: values[0].permute(told["perm"]),
    "Unsqueeze": _unsqueeze,
}


class Twin(nn.Module):
    """The network of a classifier.onnx: images (B, C, H, W) in [0, 1] → logits (B, K).

    Args:
        path: the file.

    Raises:
        KeyError: it has an operation that is not here.

    Attributes:
        weights: a hash of them, which tells one training from another.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        graph = onnx.load(str(path)).graph
        # Sorted, as conversions of one network order them in any way.
        held = b"".join(sorted(numpy_helper.to_array(one).tobytes() for one in graph.initializer))
        self.weights = hashlib.sha256(held).hexdigest()[:12]
        self.input = graph.input[0].name
        self.known = {
            one.name: torch.from_numpy(np.array(numpy_helper.to_array(one)))
            for one in graph.initializer
        }
        wanted = {OUTPUT}
        steps = []
        for node in reversed(graph.node):  # backwards, so that only what the logits need is kept
            if wanted & set(node.output):
                wanted |= set(node.input)
                steps.append(_step(node))
        self.steps = []
        for step in reversed(steps):
            if all(name in self.known for name in step[1]):
                self._run(step, self.known)
            else:
                self.steps.append(step)
        self._join()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) → (B, K)."""
        values = {**self.known, self.input: images.permute(0, 2, 3, 1)}
        for step in self.steps:
            self._run(step, values)
        return values[OUTPUT]

    def _join(self) -> None:
        """Puts one operation in place of the five that a Half-Huber ReLU with δ = ½ is made of."""
        kinds = [OPERATIONS[kind] for kind in ("Mul", "Min", "Max", "Sub", "Mul")]
        for at in range(len(self.steps) - 5, -1, -1):
            five = self.steps[at : at + 5]
            if [run for run, *_ in five] != kinds:
                continue
            source, half = five[1][1]
            numbers = [float(self.known[name]) for name in (half, *five[0][1], *five[2][1])
                       if name in self.known and self.known[name].numel() == 1]  # fmt: skip
            if numbers == [0.5, 2.0, 0.0] and source in five[0][1]:
                self.steps[at : at + 5] = [(OPERATIONS["HalfHuber"], [source], five[4][2], {})]

    @staticmethod
    def _run(step: Any, values: dict[str, Any]) -> None:
        run, taken, made, told = step
        found = run([values[name] for name in taken], told)
        values.update(zip(made, found if isinstance(found, tuple) else (found,), strict=True))


def _step(node: Any) -> tuple[Any, list[str], list[str], dict[str, Any]]:
    told = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    told["outputs"] = len(node.output)
    return OPERATIONS[node.op_type], [one for one in node.input if one], list(node.output), told
