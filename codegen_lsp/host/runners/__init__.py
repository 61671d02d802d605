"""Ways to run a forward pass. The seam is `Runner`: ids and KV stores in, logits out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from torch import Tensor


class Logits(NamedTuple):
    """What a model says after one position."""

    values: Tensor
    """(vocab_size,) float32."""
    best: int
    """The likeliest id."""
    total: float
    """The natural logarithm of the sum of e^value: a value less it is a log-probability."""


def logits_of(rows: Tensor) -> list[Logits]:
    """Logits from a tensor (num, vocab_size), row by row."""
    return [Logits(*row) for row in zip(rows, rows.argmax(-1).tolist(), rows.logsumexp(-1).tolist(), strict=True)]


@dataclass
class Greedy:
    """A runner may go on by itself, each next id being the likeliest, and stop where it likes."""

    history: bytes
    """All ids so far, 4 bytes each, the last one the part's first: what to draft from."""
    most: int
    """Ids to append at most."""
    pauses: bytes
    """(vocab_size,): not 0 for ids after which it has to stop."""
    appended: tuple[int, ...] = ()
    """What the runner has appended instead of the part's ids, one for each row of logits; () when it did not go on."""
    num_drafted: int = 0
    num_accepted: int = 0


@dataclass(frozen=True)
class Part:
    """Ids to be appended to one sequence."""

    ids: Sequence[int]
    kv: Any
    num_logits: int = 1
    """Of how many of the last ids logits are wanted."""
    greedy: Greedy | None = None
    """Only for a part that wants all its logits. Its ids behind the first one are guesses."""


class Runner(Protocol):
    """A model, ready to run. A `kv` is what `new_kv` returned: opaque to everyone else, one sequence each."""

    vocab_size: int
    """Width of the logits; ids below it may be fed."""
    device: str
    dtype: str
    kv_bytes: int
    """Of one number in a KV store."""
    chunk: int
    """Tokens of prefill to run at once: between two of them others go on, and a cancelled request ends."""
    max_slots: int
    """Sequences that it can hold at the same time, besides one that is being made."""
    draft_tokens: tuple[int, int, int]
    """As many drafted tokens are worth running along with one, by how much of the text before agrees (draft.py).

    It follows from what a position more costs in a step. Zeros where wrong ones could not be cut off again.
    """

    goes_on: bool
    """Whether it makes use of `Part.greedy`."""

    def new_kv(self) -> Any:
        """An empty KV store."""

    def kv_length(self, kv: Any) -> int:
        """Number of ids whose keys and values are stored."""

    def run(self, parts: Sequence[Part]) -> list[list[Logits]]:
        """Append each part's ids to its store; the logits after its last `num_logits` ids, part by part.

        No two parts have one store. What a part gives does not depend on the others; where the weights are what a step
        costs, several in one call cost little more than one.
        """

    def crop(self, kv: Any, length: int) -> bool:
        """Forget all but the first `length` ids; False when this store cannot, and is then unchanged."""

    def fork(self, kv: Any, length: int) -> Any | None:
        """A copy of the first `length` ids' store; None when this store cannot."""
