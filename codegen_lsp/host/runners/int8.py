"""Eight-bit weights: one int8 a weight and one scale a row."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Int8(NamedTuple):
    """A matrix (rows, columns): `values` int8, contiguous, and `scales` float32 (rows,)."""

    values: Tensor
    scales: Tensor

    def restored(self) -> Tensor:
        """The matrix in float32."""
        return self.values.float() * self.scales[:, None]


def quantised(weight: Tensor) -> Int8:
    """Symmetric, by the largest weight of each row: no row's error is above half of 1/127 of it."""
    scales = (weight.float().abs().amax(1) / 127).clamp(min=1e-7)
    values = (weight.float() / scales[:, None]).round_().clamp_(-127, 127)
    return Int8(values.to(torch.int8).contiguous(), scales.contiguous())
