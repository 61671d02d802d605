"""The two ends of the pipe. stdout carries the protocol and nothing else.

One thread reads and one writes, so neither a client that stops reading nor one that sends slowly ever stops the event
loop (pygls writes on the loop, and joins its reader at exit). Both are daemons: a read that never returns must not
keep the process alive. They touch no state of the session.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import Callable, Coroutine
from typing import Any

CHUNK = 256 * 1024
"""Bytes of one read."""
MAX_UNREAD = 16 * 1024 * 1024
"""Bytes of replies that may wait for a client before we stop reading its requests."""


def claim_stdio() -> tuple[int, int]:
    """Private descriptors of stdin and stdout; a stray print, ours or a library's, goes to stderr from then on.

    They are not inherited, so a model host that we start does not keep the editor's pipes open.
    """
    stdin, stdout = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    if os.name == "posix":
        os.set_blocking(stdin, True)
        os.set_blocking(stdout, True)
    return stdin, stdout


class Inbox:
    """Reads in a thread; the next chunk is read once the loop is done with the last, so nothing piles up."""

    def __init__(self, descriptor: int, receive: Callable[[bytes], Coroutine[Any, Any, None]]) -> None:
        self._descriptor = descriptor
        self._receive = receive
        self._loop = asyncio.get_running_loop()

    def start(self) -> None:
        """Begin; `receive` gets each chunk, and b"" at the end."""
        threading.Thread(target=self._run, name="stdin", daemon=True).start()

    def _run(self) -> None:
        chunk = b"x"
        while chunk:
            try:
                chunk = os.read(self._descriptor, CHUNK)
            except OSError:
                chunk = b""
            if not self._hand_over(chunk):
                return

    def _hand_over(self, chunk: bytes) -> bool:
        work = self._receive(chunk)
        try:
            asyncio.run_coroutine_threadsafe(work, self._loop).result()
        except BaseException:  # The loop has ended, or is ending and has cancelled the work.
            work.close()
            return False
        return True


class Outbox:
    """Writes in a thread, in order."""

    def __init__(self, descriptor: int, on_lost: Callable[[], None]) -> None:
        self._descriptor = descriptor
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._sent = 0
        self._written = 0
        self._thread = threading.Thread(target=self._run, name="stdout", daemon=True)
        self._thread.start()

    @property
    def num_waiting(self) -> int:
        """Bytes that the client has not read yet."""
        return self._sent - self._written

    def send(self, data: bytes) -> None:
        """Queue bytes; returns at once."""
        self._sent += len(data)
        self._queue.put(data)

    async def room(self) -> None:
        """Wait until few enough bytes are waiting."""
        while self.num_waiting > MAX_UNREAD:  # noqa: ASYNC110 - the other side is a thread, and this is rare
            await asyncio.sleep(0.01)

    async def close(self, timeout_s: float) -> None:
        """Wait until all is written, or the time is up."""
        self._queue.put(None)
        deadline = self._loop.time() + timeout_s
        while self._thread.is_alive() and self._loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.005)

    def _run(self) -> None:
        while (data := self._queue.get()) is not None:
            view = memoryview(data)
            try:
                while view:
                    view = view[os.write(self._descriptor, view) :]
            except OSError:
                self._lost()
                return
            self._written += len(data)

    def _lost(self) -> None:
        self._written = 1 << 62  # Nobody waits for room any more.
        try:
            self._loop.call_soon_threadsafe(self._on_lost)
        except RuntimeError:  # The loop has ended.
            return
