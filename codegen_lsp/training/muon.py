"""Muon (Jordan et al. 2024): momentum whose matrices are orthogonalised before they are applied.

`torch.optim.Muon` takes one matrix after the other, and always in bf16: on a CPU without bf16 instructions that cost
three quarters of a training step. Here matrices of one shape are orthogonalised together, in the dtype that the device
is fast at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic iteration, chosen for the steepest slope at zero: singular values end within 0.7 to 1.2, not at 1."""
NUM_ITERATIONS = 5


def orthogonalised(matrices: Tensor, dtype: torch.dtype) -> Tensor:
    """The nearest semi-orthogonal matrices, roughly, by Newton-Schulz iterations; (N, A, B), as `matrices`."""
    a, b, c = COEFFICIENTS
    is_tall = matrices.shape[1] > matrices.shape[2]
    x: Tensor = (matrices.mT if is_tall else matrices).to(dtype)
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(NUM_ITERATIONS):
        gram = x @ x.mT
        x = a * x + torch.baddbmm(gram, gram, gram, beta=b, alpha=c) @ x
    back: Tensor = x.mT if is_tall else x
    return back.to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """For weight matrices inside a network; embeddings, output layers and vectors belong to another optimiser."""

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.01,
        dtype: torch.dtype = torch.bfloat16,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.dtype = dtype

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """One update, with Nesterov momentum; tall matrices take longer steps, as in the original."""
        assert closure is None
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            updates = self._nesterov(weights, group["momentum"])
            by_shape: dict[torch.Size, list[int]] = {}
            for n, weight in enumerate(weights):
                by_shape.setdefault(weight.shape, []).append(n)
            for (rows, columns), members in by_shape.items():
                stepped = orthogonalised(torch.stack([updates[n] for n in members]), self.dtype)
                scale = group["lr"] * math.sqrt(max(1.0, rows / columns))
                chosen = [weights[n] for n in members]
                torch._foreach_mul_(chosen, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_sub_(chosen, list(stepped.unbind()), alpha=scale)

    def _nesterov(self, weights: Sequence[Tensor], momentum: float) -> Sequence[Tensor]:
        grads = [weight.grad for weight in weights if weight.grad is not None]
        states = [self.state[weight] for weight in weights]
        for state, grad in zip(states, grads, strict=True):
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = torch.zeros_like(grad)
        averages = [state["momentum_buffer"] for state in states]
        torch._foreach_lerp_(averages, grads, 1 - momentum)
        updates: Sequence[Tensor] = torch._foreach_lerp(grads, averages, momentum)
        return updates
