"""The index of one workspace in a process of its own: JSON lines in, JSON lines out, until the input ends.

In:  {"id": 1, "method": "snippets", "params": {…}} is answered, {"method": "touch", "params": {…}} is not.
Out: {"id": 1, "result": …} or {"id": 1, "error": "…"}, and {"method": "progress", "params": {"done": 3, "total": 9}}.

One thread does everything; questions are answered between two files. Of several processes that have the same index one
writes it; the others answer from it, and take over when that one ends.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from codegen_lsp.index.deadline import deadline
from codegen_lsp.index.files import Rules
from codegen_lsp.index.installed import Installed
from codegen_lsp.index.place import database
from codegen_lsp.index.sources import snippets
from codegen_lsp.index.store import Store, StoreError
from codegen_lsp.index.view import Buffers, View
from codegen_lsp.index.writer import Writer, writer
from codegen_lsp.syntax.off import is_off

logger = logging.getLogger(__name__)

TAKE_OVER_S = 5.0
"""How often one that does not write looks whether the one that does is still there."""
PROGRESS_S = 0.2
MAX_LINE = 16 << 20

Event = bytes | frozenset[Path]
"""A line of the input, b"" at its end; or paths that a watch saw."""


class Ended(Exception):
    """The input has ended; raised out of whatever is being done."""


class Process:
    """Answers, and does what is due when nothing is asked."""

    def __init__(self, rules: Rules, events: queue.SimpleQueue[Event], send: Callable[[dict[str, Any]], None]) -> None:
        """Raises FileError where there can be no index."""
        self._rules = rules
        self._events = events
        self._send = send
        self._path = database(rules.root)
        self._held = ExitStack()
        self._writer: Writer | None = None
        self._reader: Store | None = None
        self._try_at = 0.0
        self._told_at = 0.0
        self._num_told = 0
        self._buffers = Buffers()
        self._installed = Installed(rules.root, os.environ)
        self._unread: dict[str, str] = {}
        """Documents as they were asked about last, until there is time to read them."""
        self._builds: list[object] = []
        """Requests for a look at everything that wait for its end."""

    def run(self) -> None:
        """Serve until the input ends."""
        with self._held, suppress(Ended):
            while True:
                self._take_over()
                self._hear(self._wait_s)
                self._work()

    @property
    def _wait_s(self) -> float:
        return self._writer.keeper.wait_s if self._writer else max(0.0, self._try_at - time.monotonic())

    def _take_over(self) -> None:
        """Become the one that writes, if nobody is."""
        if self._writer or time.monotonic() < self._try_at:
            return
        self._try_at = time.monotonic() + TAKE_OVER_S
        with ExitStack() as stack, _logged("opening the index"):
            found = writer(self._rules, self._path, self._progress, self._events.put)
            self._writer = stack.enter_context(found)
            if self._writer:
                self._drop_reader()
                self._held = stack.pop_all()
        if not self._writer and self._builds:
            self._end_builds({"error": "busy"})

    def _work(self) -> None:
        """Do what is due."""
        if not self._writer or self._writer.keeper.wait_s > 0:
            return
        began, counts = time.monotonic(), None
        with _logged("reading the workspace"):
            counts = self._writer.keeper.work()
            self._writer.store.note("built", str(int(time.time())))
        if self._num_told:
            self._send({"method": "progress", "params": {"done": self._num_told, "total": self._num_told}})
            self._num_told = 0
        if self._builds and not self._writer.keeper.wait_s:
            return
        known = {**vars(counts), "seconds": time.monotonic() - began} if counts else {"error": "failed"}
        self._end_builds(known)

    def _end_builds(self, result: Mapping[str, Any]) -> None:
        for number in self._builds:
            self._send({"id": number, "result": result})
        self._builds.clear()

    def _progress(self, done: int, total: int) -> None:
        """Between two files: whoever asks is answered, and the end is heard."""
        self._hear(0)
        now = time.monotonic()
        if total > 1 and done < total and now > self._told_at + PROGRESS_S:
            self._told_at, self._num_told = now, total
            self._send({"method": "progress", "params": {"done": done, "total": total}})

    # What comes in

    def _hear(self, wait_s: float) -> None:
        """Handle what has come in; wait for something when there is nothing. Raises Ended."""
        with suppress(queue.Empty):
            self._handle(self._events.get(timeout=wait_s) if wait_s else self._events.get_nowait())
            while True:
                self._handle(self._events.get_nowait())
        self._read_documents()

    def _read_documents(self) -> None:
        """Read what was asked about, after the answer: it costs more than one may take."""
        while self._unread:
            path, text = self._unread.popitem()
            with deadline():
                self._buffers.put(path, text)

    def _handle(self, event: Event) -> None:
        if event == b"":
            raise Ended
        if isinstance(event, frozenset):
            if self._writer:
                self._writer.keeper.seen(event)
            return
        try:
            message = json.loads(event)
            method, params = METHODS[message["method"]], message.get("params") or {}
        except (ValueError, KeyError, TypeError):
            logger.warning("a line that is no message")
            return
        reply: dict[str, Any] = {"id": message.get("id")}
        try:
            with deadline():
                reply["result"] = method(self, params, message.get("id"))
        except (ValueError, KeyError, TypeError, OSError, StoreError) as error:
            self._drop_reader()
            reply["error"] = f"{type(error).__name__}: {error}"
        if reply["id"] is not None and reply.get("result") is not LATER:
            self._send(reply)

    def snippets(self, params: Mapping[str, Any], _: object) -> Any:
        """The best pieces for a place in a document."""
        # What git ignores, or the user keeps out, is not shown elsewhere because it is open.
        edited = [each for each in params.get("edited") or () if self._rules.allows(each["path"])]
        found = snippets(View(self._store, self._buffers, self._installed), {**params, "edited": edited})
        if self._rules.allows(params["path"]) and not is_off(params["text"]):
            self._unread[params["path"]] = params["text"]
        else:
            self._buffers.drop(params["path"])
        return found

    def close(self, params: Mapping[str, Any], _: object) -> None:
        """A document is closed."""
        self._unread.pop(params["path"], None)
        self._buffers.drop(params["path"])

    def touch(self, params: Mapping[str, Any], _: object) -> None:
        """Paths that may have changed."""
        if self._writer:
            self._writer.keeper.touch(str(path) for path in params["paths"])

    def build(self, _: Mapping[str, Any], number: object) -> Any:
        """Look at everything now; answered when that is done."""
        if self._writer:
            self._writer.keeper.touch([""])
        self._try_at = 0.0
        self._builds.append(number)
        return LATER

    def status(self, _: Mapping[str, Any], __: object) -> Any:
        """What is known."""
        return {**self._store.counts(), "writes": self._writer is not None}

    @property
    def _store(self) -> Store:
        """The database to ask. Raises OSError or StoreError when there is none (yet)."""
        if self._writer:
            return self._writer.store
        if self._reader is not None and not self._reader.is_current:
            self._drop_reader()
        if self._reader is None:
            self._reader = Store(self._path, self._rules.root, is_writer=False)
        return self._reader

    def _drop_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


LATER = object()
METHODS: Mapping[str, Callable[[Process, Mapping[str, Any], object], Any]] = {
    "snippets": Process.snippets,
    "touch": Process.touch,
    "build": Process.build,
    "close": Process.close,
    "status": Process.status,
}


@contextmanager
def _logged(what: str) -> Iterator[None]:
    """What fails here is tried again later."""
    try:
        yield
    except (OSError, StoreError) as error:
        logger.warning("%s failed (%s: %s)", what, type(error).__name__, error)


def listen(stream: BinaryIO, events: queue.SimpleQueue[Event]) -> None:
    """Put each line of a stream into the queue, in a thread of its own."""

    def work() -> None:
        while line := stream.readline(MAX_LINE):
            events.put(line)
        events.put(b"")

    threading.Thread(target=work, name="input", daemon=True).start()
