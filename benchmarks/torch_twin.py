"""The training step in PyTorch, as fast as we can write it, for training_speed.py to compare with.

It is the network of `tfrobust.models.resnet_cifar` with the penalty of arXiv 1906.02896 and SGD, on
the CPU. It needs torch and the standard library only. torch.compile is not used, as it cannot
differentiate a gradient again.
"""

import argparse
import math
from typing import Any

import torch
import turns
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional


class _HalfHuberSlope(torch.autograd.Function):
    """upstream·h'(a), which can be differentiated again at less memory than autograd takes."""

    @staticmethod
    def forward(ctx: Any, inputs: torch.Tensor, upstream: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(inputs, upstream)
        return inputs.clamp(0.0, 0.5).mul_(upstream).mul_(2.0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, above: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        inputs, upstream = ctx.saved_tensors
        slope = inputs.clamp(0.0, 0.5)
        # h'' is 2 where the clamp changed nothing.
        curved = (above * upstream).mul_(2.0).mul_(slope == inputs)
        return curved, slope.mul_(above).mul_(2.0)


class HalfHuberReLU(torch.autograd.Function):
    """h(a) = c·(2a − c) with c = clip(a, 0, ½): Half-Huber ReLU with δ = ½."""

    @staticmethod
    def forward(ctx: Any, inputs: torch.Tensor) -> torch.Tensor:  # noqa: D102
        ctx.save_for_backward(inputs)
        slope = inputs.clamp(0.0, 0.5)
        return torch.sub(inputs, slope, alpha=0.5).mul_(slope).mul_(2.0)

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> torch.Tensor:  # noqa: D102
        (inputs,) = ctx.saved_tensors
        return _HalfHuberSlope.apply(inputs, upstream)


class NormActivation(nn.Module):
    """Batch normalisation, then the activation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, eps=1e-5, momentum=0.1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) → the same shape."""
        return HalfHuberReLU.apply(self.norm(features))


class Block(nn.Module):
    """Two 3×3 convolutions on the pre-activation, beside a shortcut."""

    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        self.active = NormActivation(before)
        self.shortcut = None
        if stride > 1 or before != channels:
            self.shortcut = nn.Conv2d(before, channels, 3, stride, padding=1, bias=False)
        self.first = nn.Conv2d(before, channels, 3, stride, padding=1, bias=False)
        self.inner = NormActivation(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        nn.init.zeros_(self.second.weight)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) → (B, C', H', W')."""
        active = self.active(features)
        shortcut = features if self.shortcut is None else self.shortcut(active)
        return shortcut + self.second(self.inner(self.first(active)))


class ResNet(nn.Module):
    """The pre-activation ResNet of 6n + 2 layers, images in [0, 1] → logits."""

    def __init__(self, depth: int, width: int = 16, num_classes: int = 10) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.4914, 0.4822, 0.4465])[:, None, None])
        self.register_buffer("std", torch.tensor([0.247, 0.243, 0.261])[:, None, None])
        self.stem = nn.Conv2d(3, width, 3, padding=1, bias=False)
        blocks, before = [], width
        for group in range(3):
            for block in range((depth - 2) // 6):
                channels = width * 2**group
                blocks.append(Block(before, channels, 2 if group > 0 and block == 0 else 1))
                before = channels
        self.blocks = nn.Sequential(*blocks)
        self.active = NormActivation(before)
        self.head = nn.Conv2d(before, num_classes, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) → (B, K)."""
        features = self.blocks(self.stem((images - self.mean) / self.std))
        return self.head(self.active(features).mean((2, 3), keepdim=True)).flatten(1)


class Psi:
    """The penalty's weight: `tfrobust.training.PsiController` with the published constants."""

    def __init__(self) -> None:
        self.integral = 0.0

    def update(self, loss: float) -> float:
        """One step of the controller, → ψ."""
        change = -math.log(max(loss, 1e-30) / 1.5)
        self.integral = max(0.0, self.integral + min(max(change, -0.01), 1.0))
        return 220.0 * math.exp(0.02 * self.integral)


def penalty_of(
    logits: torch.Tensor, images: torch.Tensor, labels: torch.Tensor, tandem: float = 0.2
) -> torch.Tensor:
    """mean of (∂s/∂x)², s a random logit or, with probability ζ, the label's margin."""
    rows = torch.arange(len(labels))
    drawn = logits[rows, torch.randint(logits.shape[1], labels.shape)]
    others = logits.scatter(1, labels[:, None], -math.inf)
    margin = logits[rows, labels] - others.amax(1)
    scalar = torch.where(torch.rand(len(labels)) < tandem, margin, drawn)
    (gradient,) = torch.autograd.grad(scalar.sum(), images, create_graph=True)
    return gradient.square().mean()


WALK_STEPS, WALK_PATH = 7, 0.1


def attacked(network: ResNet, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The smallest perturbation that misleads the network on the walk of "L2,min", which has the
    published lengths: arXiv 1906.02896, Algorithm 1 without momentum."""
    delta = best = torch.zeros_like(images)
    least = torch.full((len(images),), math.inf)
    for step in range(WALK_STEPS + 1):
        moved = (images + delta).requires_grad_()
        with torch.set_grad_enabled(step < WALK_STEPS):
            logits = network(moved)
        met = logits.argmax(1) != labels
        size = delta.square().mean((1, 2, 3)).sqrt()
        smaller = met & (size < least)
        best = torch.where(smaller[:, None, None, None], delta, best)
        least = torch.where(smaller, size, least)
        if step < WALK_STEPS:
            loss = functional.cross_entropy(logits, labels, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, moved)
            direction = torch.where(met[:, None, None, None], -delta, gradient)
            direction = direction / (direction.square().mean((1, 2, 3), True).sqrt() + 1e-8)
            length = WALK_PATH * 2 * (WALK_STEPS - step) / (WALK_STEPS * (WALK_STEPS + 1))
            delta = delta + length * direction
    return images + best


class Trainer:
    """A network with its optimizer, and one batch to train it on again and again."""

    def __init__(self, depth: int, batch_size: int, kind: str, channels_last: bool) -> None:
        torch.manual_seed(0)
        layout = torch.channels_last if channels_last else torch.contiguous_format
        self.network = ResNet(depth).to(memory_format=layout)
        self.parameters = list(self.network.parameters())
        self.optimizer = torch.optim.SGD(
            self.parameters, lr=0.1, momentum=0.9, weight_decay=1e-4, foreach=True
        )
        self.images = torch.rand(batch_size, 3, 32, 32).to(memory_format=layout)
        self.labels = torch.randint(10, (batch_size,))
        self.penalty, self.psi = kind != "plain", Psi()
        self.attack = kind == "adversarial"

    def step(self) -> float:
        """One step of the optimizer; → the loss."""
        images = self.images.detach().clone()
        if self.attack:
            # Half of the images, as ours: the passes of an attack are of these alone.
            images[::2] = attacked(self.network, images[::2], self.labels[::2])
        images.requires_grad_(self.penalty)
        logits = self.network(images)
        loss = functional.cross_entropy(logits, self.labels)
        if self.penalty:
            psi = self.psi.update(loss.item())
            loss = loss + psi * penalty_of(logits, images, self.labels)
        self.optimizer.zero_grad(set_to_none=True)
        # Without `inputs` it would differentiate by the images once more.
        loss.backward(inputs=self.parameters)
        self.optimizer.step()
        return loss.item()


def main() -> None:
    """Warms up, then runs steps as training_speed.py asks for them."""
    parser = turns.parser(__doc__)
    parser.add_argument("step", choices=("plain", "penalty", "adversarial"))
    parser.add_argument("--channels_last", action=argparse.BooleanOptionalAction, default=False)
    flags = parser.parse_args()
    torch.set_num_threads(flags.threads)
    trainer = Trainer(flags.depth, flags.batch_size, flags.step, flags.channels_last)
    for _ in range(flags.warmup):
        loss = trainer.step()
    facts = {
        "parameters": sum(parameter.numel() for parameter in trainer.parameters),
        "finite": math.isfinite(loss),
        "versions": {"torch": torch.__version__},
    }
    turns.serve(turns.timed(trainer.step), facts)


if __name__ == "__main__":
    main()
