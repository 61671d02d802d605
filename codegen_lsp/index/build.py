"""Bring the index up to what the disk says: stat first, then the content's digest, and only then a parse."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Protocol

from codegen_lsp.index.chunks import extents
from codegen_lsp.index.files import Content, Entry, Rules, read
from codegen_lsp.index.imports import imports, module_of
from codegen_lsp.index.store import Record, Stamp, Store
from codegen_lsp.index.words import word_list
from codegen_lsp.syntax.definitions import definitions
from codegen_lsp.syntax.parse import parse_whole

BATCH = 50
"""Files of a transaction: what is done is kept when the process ends, and readers are never held up for long."""
MAX_WORDS = 400
"""Of a piece."""

Progress = Callable[[int, int], None]
"""(files that were looked at, files that there are). An exception of it ends the work; what is done is kept."""


class Watcher(Protocol):
    """journal.Journal, for those who have one."""

    def is_bad(self, entry: Entry) -> bool: ...
    def reading(self, entry: Entry) -> AbstractContextManager[None]: ...


class _Nobody:
    def is_bad(self, entry: Entry) -> bool:
        return False

    def reading(self, entry: Entry) -> AbstractContextManager[None]:
        return nullcontext()


@dataclass
class Counts:
    """What a run has done, in files."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))


class Builder:
    """Writes the index of a folder."""

    def __init__(
        self,
        store: Store,
        root: Path,
        rules: Rules | None = None,
        progress: Progress = lambda done, total: None,
        journal: Watcher | None = None,
    ) -> None:
        self._store = store
        self._root = root
        self._rules = rules or Rules(root)
        self._progress = progress
        self._journal = journal or _Nobody()

    def reconcile(self, folder: str = "", entered: Callable[[str], None] = lambda folder: None) -> Counts:
        """Make the index of a folder what a fresh one would be. `entered` hears of each folder that is looked into."""
        if not folder and self._store.is_worn:
            self._store.clear()
        entries = list(self._rules.walk(folder, entered))
        known = self._store.stamps(folder)
        counts = Counts()
        self._progress(0, len(entries))
        for number, batch in enumerate(_batches(entries)):
            counts += self._write(batch, known, number * BATCH, len(entries))
        gone = known.keys() - {entry.path for entry in entries}
        with self._store.batch():
            for path in gone:
                self._store.remove(path)
        return counts + Counts(removed=len(gone))

    def update(self, paths: Iterable[str]) -> Counts:
        """The same for some paths, of files or of folders."""
        store, counts = self._store, Counts()
        for path in sorted(set(paths)):
            entry = self._rules.entry(path)
            if entry is not None:
                counts += self._write([entry], store.stamps_of(path), 0, 1)
            elif (self._root / path).is_dir() or store.stamps(path):
                counts += self.reconcile(path)
            elif store.stamps_of(path):
                with store.batch():
                    store.remove(path)
                counts += Counts(removed=1)
        return counts

    def _write(self, entries: Iterable[Entry], known: dict[str, Stamp], done: int, total: int) -> Counts:
        counts = Counts()
        with self._store.batch():
            for number, entry in enumerate(entries, done + 1):
                counts += self._written(entry, known.get(entry.path))
                self._progress(number, total)
        return counts

    def _written(self, entry: Entry, stamp: Stamp | None) -> Counts:
        if stamp is not None and (stamp.size, stamp.mtime_ns) == (entry.size, entry.mtime_ns):
            return Counts(unchanged=1)
        content = read(self._root, entry)
        if content is None:
            if stamp is None:
                return Counts()
            self._store.remove(entry.path)
            return Counts(removed=1)
        if stamp is not None and stamp.digest == content.digest:
            self._store.stamp(entry)
            return Counts(unchanged=1)
        with self._journal.reading(entry):
            self._store.put(record(entry, content, has_tree=not self._journal.is_bad(entry)))
        return Counts(added=1) if stamp is None else Counts(changed=1)


def record(entry: Entry, content: Content, *, has_tree: bool = True) -> Record:
    """All that is kept of a file; without a tree nothing is known of its definitions."""
    text = content.text
    chunks = [(extent, " ".join(word_list(text[extent.start : extent.end])[:MAX_WORDS])) for extent in extents(text)]
    return Record(
        entry,
        module_of(entry.path),
        content.digest,
        text.count("\n") + 1,
        definitions(parse_whole(text, entry.language), entry.path) if has_tree else [],
        [(module, name) for _, module, name in imports(text, entry.path)] if entry.language == "python" else [],
        [(extent, words) for extent, words in chunks if words],
    )


def _batches(entries: list[Entry]) -> Iterator[list[Entry]]:
    left = iter(entries)
    while batch := list(islice(left, BATCH)):
        yield batch
