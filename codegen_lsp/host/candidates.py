"""Lines that others have written, offered to the model: it takes one where that is likelier than what it would say.

Greedy decoding follows the likeliest token each time, and a small model seldom begins to copy a whole line. But asked
how likely a given line is, it knows well: of held-out lines that stood in what was retrieved, greedy decoding found one
in ten, and the likeliest of the candidates was the right one in every third case. The measure is the sum of the tokens'
log-probabilities and that of the line's end; a bonus speaks for what somebody has written before.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import torch

from codegen_lsp.host.cache import Forward, Slot
from codegen_lsp.host.runners import Logits, Runner

MAX_SCORED = 8
"""Candidates that are run, those with the likeliest first tokens: each costs about what two tokens do."""
MAX_TOKENS = 40


@dataclass(frozen=True)
class Scored:
    """A candidate and what the model says of it."""

    ids: tuple[int, ...]
    total: float
    """Log-probability (nats) of its tokens and of the line's end behind them."""
    logits: tuple[Logits, ...]
    """Before each of its tokens, and after the last."""
    end: int
    """The token that ends the line."""


def encoded(candidates: Sequence[str], owed: bytes, encode: Callable[[str], Sequence[int]]) -> list[tuple[int, ...]]:
    """Ids of candidates; `owed` are the prompt's last bytes, where they are written again (heal.py)."""
    try:
        before = owed.decode()
    except UnicodeDecodeError:
        return []
    return [tuple(encode(before + text)) for text in candidates]


class Judge:
    """Scores candidates behind a prompt that is in a slot."""

    def __init__(self, slot: Slot, runner: Runner, first: Logits, pauses: bytes) -> None:
        """`first`: the logits after the prompt. `pauses`: a byte for each id, not 0 where a line or an answer ends."""
        self._slot = slot
        self._runner = runner
        self._first = first
        self._length = len(slot.ids)
        self._ends = torch.frombuffer(bytearray(pauses), dtype=torch.uint8).bool()
        self.num_scored = 0

    def best(
        self, candidates: Sequence[tuple[int, ...]], bonus: float, least: float, is_cancelled: Callable[[], bool]
    ) -> Generator[Forward, list[Logits], Scored | None]:
        """The likeliest candidate, if its log-probability and the bonus are more than `least`.

        Yields what is to be run. If anything was, the slot is left with the prompt alone.
        """
        values = self._first.values
        fitting = {ids for ids in candidates if 0 < len(ids) <= MAX_TOKENS}
        firsts = {ids: float(values[ids[0]]) - self._first.total for ids in fitting}
        found = None
        for ids in sorted(firsts, key=lambda ids: (-firsts[ids], ids))[:MAX_SCORED]:
            if firsts[ids] + bonus <= least or is_cancelled() or not self._slot.cut(self._runner, self._length):
                break
            scored = self._scored(ids, (yield Forward(self._slot, ids, len(ids))))
            if scored.total + bonus > least:
                found, least = scored, scored.total + bonus
        if self.num_scored:
            self._slot.cut(self._runner, self._length)
        return found

    def _scored(self, ids: tuple[int, ...], rows: Sequence[Logits]) -> Scored:
        self.num_scored += 1
        logits = (self._first, *rows)
        told = sum(float(row.values[number]) - row.total for number, row in zip(ids, logits, strict=False))
        last = logits[-1]
        ends = self._ends[: len(last.values)].to(last.values.device)
        end = int(last.values.masked_fill(~ends, -torch.inf).argmax())
        return Scored(ids, told + float(last.values[end]) - last.total, logits, end)
