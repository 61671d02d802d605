"""From logits to one id: greedy, temperature and top-p, reproducible by seed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from codegen_lsp.host.runners import Logits


class Sampler:
    """Chooses ids for one answer. Its random numbers are its own, so requests never disturb one another."""

    def __init__(self, temperature: float, top_p: float, seed: int | None) -> None:
        self._temperature = temperature
        self._top_p = top_p
        self._random = torch.Generator()
        if seed is None:
            self._random.seed()
        else:
            self._random.manual_seed(seed % (1 << 63))

    def pick(self, logits: Logits, allowed: Sequence[int] | None = None) -> int:
        """An id; only one of `allowed` when given."""
        if self._temperature == 0 and allowed is None:
            return logits.best
        values = logits.values if allowed is None else logits.values[torch.tensor(allowed, device=logits.values.device)]
        chosen = int(values.argmax()) if self._temperature == 0 else self._draw(values)
        return chosen if allowed is None else allowed[chosen]

    def _draw(self, values: Tensor) -> int:
        """Draw from the smallest set of likeliest ones whose probabilities reach top_p."""
        probabilities = torch.softmax(values.cpu() / self._temperature, dim=-1)
        if self._top_p >= 1:
            return int(torch.multinomial(probabilities, 1, generator=self._random))
        ordered, ids = probabilities.sort(descending=True)
        kept = ordered.cumsum(dim=-1) - ordered < self._top_p
        kept[0] = True
        return int(ids[torch.multinomial(ordered * kept, 1, generator=self._random)])


def log_probabilities(logits: Logits, chosen: int, num_top: int) -> tuple[float, list[tuple[int, float]]]:
    """The natural log-probability of `chosen`, and the `num_top` likeliest (id, log-probability).

    Of the model's own distribution: temperature, top-p and healing do not change it.
    """
    top: list[tuple[int, float]] = []
    if num_top:
        values, ids = logits.values.topk(num_top)
        top = [(i, v - logits.total) for i, v in zip(ids.tolist(), values.tolist(), strict=True)]
    return float(logits.values[chosen]) - logits.total, top


def mass(logits: Logits, allowed: Sequence[int]) -> float:
    """The probability (0 to 1) that the model gives to `allowed` together."""
    chosen = logits.values[torch.tensor(allowed, device=logits.values.device)]
    return math.exp(float(chosen.logsumexp(-1)) - logits.total)
