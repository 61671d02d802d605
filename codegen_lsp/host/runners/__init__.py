"""Ways to run a forward pass. The seam is `Runner`: ids and a KV store in, logits of the last position out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor


class Runner(Protocol):
    """A model, ready to run. A `kv` is what `new_kv` returned: opaque to everyone else, one sequence each."""

    vocab_size: int
    """Width of the logits; ids below it may be fed."""
    device: str
    dtype: str
    kv_bytes: int
    """Of one number in a KV store."""
    draft_tokens: int
    """As many drafted tokens run along with one at little extra cost; 0 where they do not pay, or cannot be cut off."""

    def new_kv(self) -> Any:
        """An empty KV store."""

    def kv_length(self, kv: Any) -> int:
        """Number of ids whose keys and values are stored."""

    def forward(self, ids: Sequence[int], kv: Any) -> Tensor:
        """Append ids to a store; float32 logits (vocab_size,) of the last one."""

    def verify(self, ids: Sequence[int], kv: Any) -> Tensor:
        """Append ids to a store; float32 logits (num ids, vocab_size), one row after each."""

    def crop(self, kv: Any, length: int) -> bool:
        """Forget all but the first `length` ids; False when this store cannot, and is then unchanged."""

    def fork(self, kv: Any, length: int) -> Any | None:
        """A copy of the first `length` ids' store; None when this store cannot."""
