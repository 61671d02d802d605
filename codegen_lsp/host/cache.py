"""KV slots: several documents stay resident, and a request continues the longest common prefix.

The contract: `match` never mutates, `acquire` (insert) and `release`/`clear` (evict) do; a slot is locked for its
request; the last token of a prompt is never matched, since its logits are needed; ids are compared, not hashes. No
tensors are touched here: a slot's `kv` belongs to the runner.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from codegen_lsp.host.runners import Greedy, Logits, Part, Runner

MIN_FORK = 32
"""Common tokens from which copying another document's prefix is worth it."""


@dataclass(eq=False)
class Slot:
    """One resident sequence; `ids` are those whose keys and values are in `kv`."""

    document: str
    kv: Any
    ids: list[int] = field(default_factory=list)
    is_locked: bool = False
    used: int = 0
    """The cache's clock when it was last used."""
    previous: Sequence[int] = ()
    """What it held behind the prompt that it holds now: the end of another answer of this document."""

    def cut(self, runner: Runner, length: int) -> bool:
        """Keep the first `length` ids; False, and nothing changed, when the store cannot."""
        if length < len(self.ids):
            if not runner.crop(self.kv, length):
                return False
            del self.ids[length:]
        return True


@dataclass(frozen=True)
class Forward:
    """Ids that an answer wants appended to its slot, with the logits after the last `num_logits` of them."""

    slot: Slot
    ids: Sequence[int]
    num_logits: int = 1
    greedy: Greedy | None = None


def run(runner: Runner, wanted: Sequence[Forward]) -> list[list[Logits]]:
    """Run what several answers want in one call; the logits that each wants."""
    for each in wanted:
        if runner.kv_length(each.slot.kv) != len(each.slot.ids):  # a call before this one failed half-way
            runner.crop(each.slot.kv, len(each.slot.ids))
    found = runner.run([Part(each.ids, each.slot.kv, each.num_logits, each.greedy) for each in wanted])
    for each in wanted:
        each.slot.ids.extend(each.greedy.appended if each.greedy and each.greedy.appended else each.ids)
    return found


@dataclass(frozen=True)
class Match:
    """The slot with the longest common prefix, and that prefix's length in tokens."""

    slot: Slot | None
    length: int


class KVCache:
    """At most `max_slots` slots and `max_tokens` tokens; one slot a document; least recently used goes first."""

    def __init__(self, runner: Runner, max_slots: int | None = None, max_tokens: int = 65_536) -> None:
        self._runner = runner
        self._max_slots = max_slots or runner.max_slots
        self._max_tokens = max_tokens
        self._slots: list[Slot] = []
        self._clock = 0

    @property
    def sizes(self) -> list[int]:
        """Tokens held, slot by slot."""
        return [len(slot.ids) for slot in self._slots]

    def match(self, ids: Sequence[int], document: str) -> Match:
        """The best free slot for a prompt, the document's own one in a tie. Does not mutate."""
        best = Match(None, 0)
        for slot in self._slots:
            length = 0 if slot.is_locked else common_prefix(slot.ids, ids[:-1])
            if length > best.length or (length == best.length > 0 and slot.document == document):
                best = Match(slot, length)
        return best

    def acquire(self, ids: Sequence[int], document: str) -> Slot:
        """A locked slot that holds a prefix of `ids` (perhaps none), to be given to `release`."""
        found = self.match(ids, document)
        own = next((slot for slot in self._slots if slot.document == document and not slot.is_locked), None)
        previous = own.ids[common_prefix(own.ids, ids) :] if own else ()
        slot = self._continue(found, own)
        if slot is None:
            slot = Slot(document, self._runner.new_kv())
        if own is not None and own is not slot:
            self._slots.remove(own)
        if slot not in self._slots:
            self._make_room(len(ids))
            self._slots.append(slot)
        slot.document, slot.is_locked, slot.previous = document, True, tuple(previous)
        return slot

    def release(self, slot: Slot) -> None:
        """Unlock a slot. One whose forward failed half-way is dropped: its ids and its store disagree."""
        self._clock += 1
        slot.is_locked, slot.used = False, self._clock
        if not slot.ids or self._runner.kv_length(slot.kv) != len(slot.ids):
            self._slots.remove(slot)

    @contextmanager
    def use(self, ids: Sequence[int], document: str) -> Iterator[Slot]:
        """`acquire`, and `release` whatever happens."""
        slot = self.acquire(ids, document)
        try:
            yield slot
        finally:
            self.release(slot)

    def clear(self) -> None:
        """Drop every slot that no request holds."""
        self._slots = [slot for slot in self._slots if slot.is_locked]

    def problems(self) -> list[str]:
        """What does not add up, in words; [] when all is well (checked when idle and in tests)."""
        found = [] if len(self._slots) <= self._max_slots else [f"{len(self._slots)} slots"]
        names = [slot.document for slot in self._slots]
        found += [f"two slots for document {name!r}" for name in set(names) - {""} if names.count(name) > 1]
        for slot in self._slots:
            stored = self._runner.kv_length(slot.kv)
            if not slot.is_locked and stored != len(slot.ids):
                found.append(f"a slot of {len(slot.ids)} ids stores {stored}")
        return found

    def _continue(self, found: Match, own: Slot | None) -> Slot | None:
        """The matched slot cut back, a copy of another document's, or None."""
        if found.slot is None:
            return None
        shared = found.slot.ids[: found.length]
        length = common_prefix(own.ids, shared) if own else 0
        if own and length and length + MIN_FORK >= found.length:
            return own if own.cut(self._runner, length) else None
        kv = self._runner.fork(found.slot.kv, found.length) if found.length >= MIN_FORK else None
        return None if kv is None else Slot("", kv, shared)

    def _make_room(self, num_tokens: int) -> None:
        """Drop least recently used slots until one more, of `num_tokens`, fits."""
        free = sorted((slot for slot in self._slots if not slot.is_locked), key=lambda slot: slot.used)
        for slot in free:
            if len(self._slots) < self._max_slots and sum(self.sizes) + num_tokens <= self._max_tokens:
                return
            self._slots.remove(slot)


def common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    """Number of ids with which both begin. Bisects on slices: comparing lists in C beats a loop in Python."""
    low, high = 0, min(len(left), len(right))
    left, right = list(left[:high]), list(right[:high])
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
