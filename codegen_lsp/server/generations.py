"""Calls of the model that go on while the user types what it says, and those that nobody has asked for yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Iterator
from contextlib import contextmanager
from typing import Any

from codegen_lsp.core import Snapshot
from codegen_lsp.server.logs import log_error
from codegen_lsp.server.slots import begin
from codegen_lsp.server.suggestions import Suggestion

GRACE_S = 0.15
"""How long a call goes on that nobody waits for: an editor cancels a request just before it sends the next one."""

LOOK_S = 0.02
"""How often those who wait for an answer to other text look whether it can still be theirs."""

Work = Callable[[Callable[[str], None]], Coroutine[Any, Any, Suggestion | None]]
"""Makes a suggestion, and tells what it is given the pieces of the answer's text as they come."""


class Generation:
    """One call of the model, for one snapshot."""

    def __init__(self, snapshot: Snapshot, work: Work) -> None:
        self.snapshot = snapshot
        self._said = ""
        self._num_waiting = 0
        self._task = begin(work(self._hear))
        self._task.add_done_callback(_read)

    @property
    def is_running(self) -> bool:
        """Whether its end is still to come."""
        return not self._task.done()

    @property
    def is_speaking(self) -> bool:
        """Whether something of the answer is known."""
        return bool(self._said)

    def may_become(self, snapshot: Snapshot) -> bool:
        """Whether the snapshot is ours, or ours with the beginning of the answer typed, as far as it is known.

        White space is left out of it: how it is divided between the text and the answer is not ours to know.
        """
        ours, now = self.snapshot, snapshot
        num_typed = now.offset - ours.offset
        if num_typed < 0 or now.text[now.offset :] != ours.text[ours.offset :]:
            return False
        if not now.text.startswith(ours.text[: ours.offset]):
            return False
        typed, said = "".join(now.text[ours.offset : now.offset].split()), "".join(self._said.split())
        return typed.startswith(said) or said.startswith(typed)

    async def result(self) -> Suggestion | None:
        """Wait for it. Raises what it raises; being cancelled ends the call only if nobody else comes soon."""
        with self._wanted():
            return await asyncio.shield(self._task)

    async def over(self, snapshot: Snapshot) -> None:
        """Wait for its end, or until its answer can be none to this snapshot."""
        with self._wanted():
            while self.is_running and self.may_become(snapshot):
                await asyncio.wait({self._task}, timeout=LOOK_S)

    def cancel(self) -> None:
        """End it."""
        self._task.cancel()

    async def ended(self) -> None:
        """Wait until nothing of it runs any more."""
        await asyncio.wait({self._task})

    @contextmanager
    def _wanted(self) -> Iterator[None]:
        self._num_waiting += 1
        try:
            yield
        finally:
            self._num_waiting -= 1
            if self.is_running:
                asyncio.get_running_loop().call_later(GRACE_S, self._end_unless_wanted)

    def _hear(self, text: str) -> None:
        self._said += text

    def _end_unless_wanted(self) -> None:
        if not self._num_waiting:
            self._task.cancel()


class Generations:
    """At most one for a slot."""

    def __init__(self) -> None:
        self._running: dict[Hashable, Generation] = {}
        self._ending: set[Generation] = set()

    def find(self, slot: Hashable, snapshot: Snapshot) -> Generation | None:
        """The running one of a slot, if its answer may be one to this snapshot."""
        found = self._running.get(slot)
        return found if found and found.is_running and found.may_become(snapshot) else None

    def is_busy(self, slot: Hashable) -> bool:
        """Whether a slot's runs."""
        return slot in self._running and self._running[slot].is_running

    def begin(self, slot: Hashable, snapshot: Snapshot, work: Work) -> Generation:
        """Start one in place of the slot's older one."""
        self.drop(slot)
        self._running[slot] = Generation(snapshot, work)
        return self._running[slot]

    def drop(self, slot: Hashable) -> None:
        """End a slot's, if there is one."""
        if found := self._running.pop(slot, None):
            self._ending = {each for each in self._ending if each.is_running} | {found}
            found.cancel()

    def clear(self) -> None:
        """End all."""
        for slot in list(self._running):
            self.drop(slot)

    async def close(self) -> None:
        """End all, and wait until they have ended."""
        self.clear()
        for each in self._ending:
            await each.ended()


def _read(task: asyncio.Task[Any]) -> None:
    """Nobody may be waiting any more: an error is logged, not forgotten with a warning."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log_error("completion", error)
