"""Lines that others have written, offered to the model: it takes one where that is likelier than what it would say.

Greedy decoding follows the likeliest token each time, and a small model seldom begins to copy a whole line. But asked
how likely a given line is, it knows well: of held-out lines that stood in what was retrieved, greedy decoding found one
in ten, and the likeliest of the candidates was the right one in every third case. The measure is the sum of the tokens'
log-probabilities and that of the line's end; a bonus speaks for what somebody has written before.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch

from codegen_lsp.host.cache import Forward, Slot, common_prefix
from codegen_lsp.host.runners import Logits, Runner

MAX_RUNS = 16
"""Forwards for one answer, of a few tokens each: such a one costs little more than one token does."""
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


def encoded(
    candidates: Sequence[tuple[str, float]], owed: bytes, encode: Callable[[str], Sequence[int]]
) -> dict[tuple[int, ...], float]:
    """Candidates' bonuses by their ids; `owed` are the prompt's last bytes, where they are written again (heal.py)."""
    try:
        before = owed.decode()
    except UnicodeDecodeError:
        return {}
    return {tuple(encode(before + text)): bonus for text, bonus in candidates}


@dataclass(frozen=True)
class _Branch:
    """Candidates that begin alike: a node of the tree that they are."""

    ids: tuple[int, ...]
    told: float
    """The log-probability of these ids."""
    most: float
    """That, and the largest bonus of its lines: none of them can come to more."""
    logits: tuple[Logits, ...]
    """Before each of them."""
    lines: tuple[tuple[int, ...], ...]

    def __lt__(self, other: _Branch) -> bool:
        return (-self.most, self.ids) < (-other.most, other.ids)


class Judge:
    """Finds the likeliest of some candidates behind a prompt that is in a slot.

    Best first, over the tree of their tokens (uniform-cost search): what is not likely enough at its beginning is never
    run to its end, and what the branches share is run once.
    """

    def __init__(self, slot: Slot, runner: Runner, first: Logits, pauses: bytes, confidence: float = 0.0) -> None:
        """`first`: the logits after the prompt. `pauses`: a byte for each id, not 0 where a line or an answer ends.

        `confidence`: mean token probability that a candidate must have.
        """
        self._slot = slot
        self._runner = runner
        self._first = first
        self._length = len(slot.ids)
        self._ends = torch.frombuffer(bytearray(pauses), dtype=torch.uint8).bool()
        self._least_mean = math.log(confidence) if confidence else -math.inf
        self.num_runs = 0

    def best(
        self, bonuses: Mapping[tuple[int, ...], float], least: float, is_cancelled: Callable[[], bool]
    ) -> Generator[Forward, list[Logits], Scored | None]:
        """The candidate whose log-probability and bonus (nats, by its ids) are the most, if more than `least`.

        Yields what is to be run. If anything was, what is in the slot behind the prompt is of no use any more.
        """
        lines = tuple(sorted(ids for ids in bonuses if 0 < len(ids) <= MAX_TOKENS))
        branches = _parted(lines, bonuses, (), 0.0, (self._first,))
        heapq.heapify(branches)
        found = None
        while branches and self.num_runs < MAX_RUNS and not is_cancelled():
            branch = heapq.heappop(branches)
            ids = branch.lines[0] if len(branch.lines) == 1 else branch.ids
            if branch.most <= least:
                break
            if not self._is_hopeful(branch):
                continue
            if not self._cut(branch.ids):
                break
            self.num_runs += 1
            start = len(self._slot.ids) - self._length
            rows = yield Forward(self._slot, ids[start:], len(ids) - start)
            logits = (*branch.logits, *rows[len(branch.logits) - start - 1 :])
            if ids in branch.lines:
                scored = self._scored(ids, logits)
                if scored.total + bonuses[ids] > least and scored.total >= (len(ids) + 1) * self._least_mean:
                    found, least = scored, scored.total + bonuses[ids]
            for each in _parted(branch.lines, bonuses, ids, branch.told, logits):
                heapq.heappush(branches, each)
        return found

    def _is_hopeful(self, branch: _Branch) -> bool:
        """Whether one of its lines would be sure enough if all that is still to come of it were certain."""
        return branch.told >= (max(map(len, branch.lines)) + 1) * self._least_mean

    def _cut(self, ids: tuple[int, ...]) -> bool:
        """Leave in the slot what it has of some ids behind the prompt, less the last: logits after it are needed."""
        kept = common_prefix(self._slot.ids[self._length :], ids[:-1])
        return self._slot.cut(self._runner, self._length + kept)

    def _scored(self, ids: tuple[int, ...], logits: tuple[Logits, ...]) -> Scored:
        told = sum(map(_told, ids, logits))
        last = logits[-1]
        ends = self._ends[: len(last.values)].to(last.values.device)
        end = int(last.values.masked_fill(~ends, -torch.inf).argmax())
        return Scored(ids, told + _told(end, last), logits, end)


def _parted(
    lines: Sequence[tuple[int, ...]],
    bonuses: Mapping[tuple[int, ...], float],
    ids: tuple[int, ...],
    told: float,
    logits: tuple[Logits, ...],
) -> list[_Branch]:
    """The branches behind some ids, with which all of these lines begin; `logits` before each of the ids and after."""
    found, size = list[_Branch](), len(ids)
    for number, group in groupby((line for line in lines if len(line) > size), key=lambda line: line[size]):
        own, total = tuple(group), told + _told(number, logits[size])
        most = total + max(bonuses[line] for line in own)
        found.append(_Branch((*ids, number), total, most, logits[: size + 1], own))
    return found


def _told(number: int, logits: Logits) -> float:
    return float(logits.values[number]) - logits.total
