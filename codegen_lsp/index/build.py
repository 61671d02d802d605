"""Bring the index up to what the disk says: stat first, then the content's digest, and only then a parse."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path

from codegen_lsp.index.chunks import extents
from codegen_lsp.index.files import Content, Entry, Rules, read
from codegen_lsp.index.imports import imports, module_of
from codegen_lsp.index.store import Record, Stamp, Store
from codegen_lsp.index.words import word_list
from codegen_lsp.syntax.definitions import definitions
from codegen_lsp.syntax.parse import parse_whole

BATCH = 200
"""Files of a transaction: what is done is kept when the process ends, and readers are never held up for long."""
MAX_WORDS = 400
"""Of a piece."""

Progress = Callable[[int, int], None]
"""(files that were looked at, files that there are, 0 when not known yet)."""


@dataclass
class Counts:
    """What a run has done, in files."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))


def reconcile(
    store: Store,
    root: Path,
    rules: Rules | None = None,
    progress: Progress = lambda done, total: None,
    folder: str = "",
) -> Counts:
    """Make the index of a folder what a fresh one would be."""
    rules = rules or Rules(root)
    if not folder and store.is_worn:
        store.clear()
    entries = list(rules.walk(folder))
    known = store.stamps(folder)
    counts = Counts()
    progress(0, len(entries))
    for number, batch in enumerate(_batches(entries)):
        counts += _update(store, root, batch, known)
        progress(min(len(entries), (number + 1) * BATCH), len(entries))
    gone = known.keys() - {entry.path for entry in entries}
    with store.batch():
        for path in gone:
            store.remove(path)
    return counts + Counts(removed=len(gone))


def update(store: Store, root: Path, paths: Iterable[str], rules: Rules | None = None) -> Counts:
    """The same for some paths, of files or of folders."""
    rules = rules or Rules(root)
    counts = Counts()
    for path in sorted(set(paths)):
        entry = rules.entry(path)
        if entry is not None:
            counts += _update(store, root, [entry], store.stamps_of(path))
        elif (root / path).is_dir() or store.stamps(path):
            counts += reconcile(store, root, rules, folder=path)
        elif store.stamps_of(path):
            with store.batch():
                store.remove(path)
            counts += Counts(removed=1)
    return counts


def record(entry: Entry, content: Content) -> Record:
    """All that is kept of a file."""
    text = content.text
    is_python = entry.language == "python"
    tree = parse_whole(text, entry.language)
    chunks = [(extent, " ".join(word_list(text[extent.start : extent.end])[:MAX_WORDS])) for extent in extents(text)]
    return Record(
        entry,
        module_of(entry.path),
        content.digest,
        text.count("\n") + 1,
        definitions(tree, entry.path),
        [(module, name) for _, module, name in imports(text, entry.path)] if is_python else [],
        [(extent, words) for extent, words in chunks if words],
    )


def _update(store: Store, root: Path, entries: Iterable[Entry], known: dict[str, Stamp]) -> Counts:
    counts = Counts()
    with store.batch():
        for entry in entries:
            stamp = known.get(entry.path)
            if stamp is not None and (stamp.size, stamp.mtime_ns) == (entry.size, entry.mtime_ns):
                counts.unchanged += 1
                continue
            content = read(root, entry)
            if content is None:
                if stamp is not None:
                    store.remove(entry.path)
                    counts.removed += 1
            elif stamp is not None and stamp.digest == content.digest:
                store.stamp(entry)
                counts.unchanged += 1
            else:
                store.put(record(entry, content))
                counts.added += stamp is None
                counts.changed += stamp is not None
    return counts


def _batches(entries: list[Entry]) -> Iterator[list[Entry]]:
    left = iter(entries)
    while batch := list(islice(left, BATCH)):
        yield batch
