"""Tasks of a session: one at a time in each slot, the newest wins."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Hashable
from typing import Any, TypeVar

from codegen_lsp.server.logs import log_error

T = TypeVar("T")


class Slots:
    """The tasks that run. Neovim does not cancel when it asks again, so we do."""

    def __init__(self) -> None:
        self._slots: dict[Hashable, asyncio.Task[Any]] = {}
        self._background: set[asyncio.Task[Any]] = set()
        self.num_waiting = 0
        """Callers of `newest` that have no result yet."""

    async def newest(self, slot: Hashable, work: Coroutine[Any, Any, T]) -> T | None:
        """Run in a slot; what runs there already is cancelled, and its caller gets None at once."""
        self.drop(slot)
        task = begin(work)
        self._slots[slot] = task
        self.num_waiting += 1
        try:
            return await task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            return None
        finally:
            self.num_waiting -= 1
            if self._slots.get(slot) is task:
                del self._slots[slot]

    def is_taken(self, slot: Hashable) -> bool:
        """Whether something runs in a slot."""
        return slot in self._slots

    def drop(self, slot: Hashable) -> None:
        """Cancel what runs in a slot; its caller gets None at once."""
        task = self._slots.get(slot)
        if task is not None:
            task.cancel()

    def start(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run something in the background, for no longer than the session lives; nobody waits, so errors are logged."""
        task = begin(work)
        self._background.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log_error("work in the background", error)

    async def close(self) -> None:
        """Cancel everything and wait until it has ended."""
        tasks = [*self._background, *self._slots.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def begin(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """A task whose errors are Exceptions: a Rust panic, or SystemExit in a library, would end the loop."""
    task = asyncio.ensure_future(_guarded(work))
    # One that is cancelled before its first step would be left lying, with a warning.
    task.add_done_callback(lambda _: work.close())
    return task


async def _guarded(work: Coroutine[Any, Any, T]) -> T:
    try:
        return await work
    except (Exception, asyncio.CancelledError, GeneratorExit):
        raise
    except BaseException as error:
        raise RuntimeError(f"{type(error).__name__} in a task") from error
