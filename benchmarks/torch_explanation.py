"""g_explain+ in PyTorch, as fast as we can write it, for explanation_speed.py to compare with.

It is the walk of arXiv 1906.02896 on the network of torch_twin.py, with 35 steps, an overshoot of 5
and no momentum. It needs torch and the standard library only.
"""

import argparse
import math

import torch
import turns
from torch.nn import functional
from torch_twin import ResNet

STEPS, OVERSHOOT = 35, 5.0


def lengths() -> list[float]:
    """Shares of rho that shrink linearly and sum to the overshoot."""
    total = STEPS * (STEPS + 1) / 2
    return [OVERSHOOT * left / total for left in range(STEPS, 0, -1)]


def explain(network: ResNet, images: torch.Tensor, target: torch.Tensor, rho: float) -> float:
    """Walks, and gives the RMSE at the end."""
    size = math.sqrt(images[0].numel())
    delta = torch.zeros_like(images)
    for length in lengths():
        point = (images + delta).requires_grad_(True)
        loss = functional.cross_entropy(network(point), target, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, point)
        outside = delta.flatten(1).norm(dim=1) >= rho * size
        direction = torch.where(outside[:, None, None, None], -delta, -gradient)
        norms = direction.flatten(1).norm(dim=1).clamp_min(1e-30)[:, None, None, None]
        delta = delta + direction * (length * rho * size / norms)
    return float(delta.flatten(1).norm(dim=1).max() / size)


def main() -> None:
    """Warms up, then explains as explanation_speed.py asks for it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--depth", type=int, default=44)
    parser.add_argument("--images", type=int, default=1)
    parser.add_argument("--threads", type=int, default=turns.cores())
    flags = parser.parse_args()
    torch.set_num_threads(flags.threads)
    torch.manual_seed(0)
    network = ResNet(flags.depth).eval()
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    images, target = (
        torch.rand(flags.images, 3, 32, 32),
        torch.zeros(flags.images, dtype=torch.int64),
    )

    def step() -> None:
        explain(network, images, target, 0.1)

    step()
    turns.serve(turns.timed(step), {"versions": {"torch": torch.__version__}})


if __name__ == "__main__":
    main()
