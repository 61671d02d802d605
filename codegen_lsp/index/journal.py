"""Which file is being read, kept outside of the process that reads it.

A parser is a program of somebody else's: a file may make it run for ever, or end the process. The next process then
knows which one it was, and does not parse that file again until it is another one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from codegen_lsp.index.deadline import deadline
from codegen_lsp.index.files import Entry
from codegen_lsp.index.store import Store

STRIKES = 2
"""How often a process may have ended in a file: once can be chance, for it may have been killed."""
MAX_KEPT = 1000
_NAME = "strikes"


class Journal:
    """One line in a file beside the database; what it came to is noted in the database itself."""

    def __init__(self, path: Path, store: Store) -> None:
        """Raises OSError when it cannot be written."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._strikes: dict[str, int] = {}
        with suppress(ValueError):
            self._strikes = json.loads(store.noted(_NAME) or "{}")
        left = os.pread(self._file, 1 << 16, 0).decode("utf-8", "surrogateescape").split("\n")[0]
        if left:
            self._strikes[left] = self._strikes.get(left, 0) + 1
            store.note(_NAME, json.dumps(dict(list(self._strikes.items())[-MAX_KEPT:])))
        self._write("")

    def is_bad(self, entry: Entry) -> bool:
        """Whether it ended processes, and is still the same."""
        return bool(self._strikes) and self._strikes.get(_key(entry), 0) >= STRIKES

    @contextmanager
    def reading(self, entry: Entry) -> Iterator[None]:
        """A file is read while the block lasts. An exception ends that, too: only a process that dies leaves it."""
        self._write(_key(entry))
        try:
            with deadline():
                yield
        finally:
            self._write("")

    def close(self) -> None:
        """Nothing is read any more."""
        os.close(self._file)

    def _write(self, reading: str) -> None:
        # In place: what counts is that the system has it when this process dies, and that it costs microseconds.
        os.pwrite(self._file, f"{reading}\n".encode("utf-8", "surrogateescape"), 0)


def _key(entry: Entry) -> str:
    return f"{entry.path}:{entry.size}:{entry.mtime_ns}"
