"""From logits to one id: greedy, temperature and top-p, reproducible by seed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


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

    def pick(self, logits: Tensor, allowed: Sequence[int] | None = None) -> int:
        """An id, from logits (vocab_size,) float32; only one of `allowed` when given."""
        if allowed is not None:
            choice = torch.tensor(allowed, device=logits.device)
            return allowed[self.pick(logits[choice])]
        if self._temperature == 0:
            return int(logits.argmax())
        return self._draw(torch.softmax(logits.cpu() / self._temperature, dim=-1))

    def _draw(self, probabilities: Tensor) -> int:
        """Draw from the smallest set of likeliest ids whose probabilities reach top_p."""
        if self._top_p >= 1:
            return int(torch.multinomial(probabilities, 1, generator=self._random))
        ordered, ids = probabilities.sort(descending=True)
        kept = ordered.cumsum(dim=-1) - ordered < self._top_p
        kept[0] = True
        return int(ids[torch.multinomial(ordered * kept, 1, generator=self._random)])


def log_probabilities(logits: Tensor, chosen: int, num_top: int) -> tuple[float, list[tuple[int, float]]]:
    """The natural log-probability of `chosen`, and the `num_top` likeliest (id, log-probability).

    Of the model's own distribution: temperature, top-p and healing do not change it.
    """
    everything = torch.log_softmax(logits, dim=-1)
    values, ids = everything.topk(num_top) if num_top else (everything[:0], everything[:0])
    return float(everything[chosen]), [(int(i), float(v)) for i, v in zip(ids, values, strict=True)]


def mass(logits: Tensor, allowed: Sequence[int]) -> float:
    """The probability (0 to 1) that the model gives to `allowed` together."""
    chosen = logits[torch.tensor(allowed, device=logits.device)]
    return float(torch.exp(chosen.logsumexp(-1) - logits.logsumexp(-1)))
