"""What is known of a workspace's files, in SQLite. One process writes, any number may read.

Text is not stored: it is read from the file when it is asked for, if the file is still as it was. The words of pieces
are in a full-text table without content, which cannot forget: pieces that are gone are left out when they are found,
and when too many are gone everything is made anew.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from codegen_lsp.core import Definition
from codegen_lsp.index.chunks import Extent
from codegen_lsp.index.files import Entry, text_of
from codegen_lsp.text import Span

StoreError = sqlite3.Error
VERSION = 2
CACHE_KB, MMAP_BYTES = 8_000, 256 << 20
"""A query looks at pages all over the database: mapped, they need not be copied."""
MAX_RARE = 16
"""Words that are searched, the rarest ones."""
MAX_POSTINGS = 2500
"""Places of words that are looked at for one question, so that it takes milliseconds in any workspace."""
MAX_GONE = 0.3
"""Share of the pieces that may be gone before everything is made anew."""

SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE files (
    id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, module TEXT NOT NULL, leaf TEXT NOT NULL,
    language TEXT NOT NULL, size INTEGER NOT NULL, mtime INTEGER NOT NULL, digest TEXT NOT NULL,
    lines INTEGER NOT NULL);
CREATE INDEX files_leaf ON files (leaf);
CREATE TABLE definitions (
    file INTEGER NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL, parent TEXT NOT NULL, signature TEXT NOT NULL,
    doc TEXT NOT NULL, start INTEGER NOT NULL, stop INTEGER NOT NULL);
CREATE INDEX definitions_name ON definitions (name);
CREATE INDEX definitions_file ON definitions (file);
CREATE TABLE imports (file INTEGER NOT NULL, module TEXT NOT NULL, name TEXT NOT NULL);
CREATE INDEX imports_file ON imports (file);
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY AUTOINCREMENT, file INTEGER NOT NULL, start INTEGER NOT NULL, stop INTEGER NOT NULL,
    line INTEGER NOT NULL);
CREATE INDEX chunks_file ON chunks (file);
CREATE VIRTUAL TABLE places USING fts5 (words, content='', tokenize="unicode61 remove_diacritics 0");
CREATE TABLE frequencies (word TEXT PRIMARY KEY, num INTEGER NOT NULL) WITHOUT ROWID;
"""


class Chunk(NamedTuple):
    """A piece that was found; the higher the score, the better."""

    path: str
    start: int
    end: int
    line: int
    score: float


@dataclass(frozen=True)
class Record:
    """All that is kept of a file."""

    entry: Entry
    module: str
    digest: str
    num_lines: int
    definitions: Sequence[Definition]
    imports: Sequence[tuple[str, str]]
    """(module, name)."""
    chunks: Sequence[tuple[Extent, str]]
    """Each with its words, a space between them."""


class Stamp(NamedTuple):
    """How a file was when it was read last."""

    size: int
    mtime_ns: int
    digest: str


class Store:
    """The database of a workspace. What is not of this version, or broken, is thrown away: it can be made again."""

    def __init__(self, path: Path, root: Path, *, is_writer: bool = True) -> None:
        """Raises OSError or sqlite3.Error when there is none to be had."""
        self.path, self._root = path, root
        self._counted: Counter[str] = Counter()
        """In how many pieces words are that were put and not written yet."""
        try:
            self._open(is_writer)
        except sqlite3.OperationalError:
            self.close()  # locked, or the disk is full: no fault of the file
            raise
        except sqlite3.DatabaseError:
            self.close()
            if not is_writer:
                raise
            remove_files(self.path)
            self._open(is_writer)

    def _open(self, is_writer: bool) -> None:
        self._base = sqlite3.connect(self.path, isolation_level=None, timeout=5.0)
        self._base.execute("PRAGMA journal_mode = WAL" if is_writer else "PRAGMA query_only = 1")
        self._base.execute("PRAGMA synchronous = NORMAL")
        self._base.execute(f"PRAGMA cache_size = {-CACHE_KB}")
        self._base.execute(f"PRAGMA mmap_size = {MMAP_BYTES}")
        version = self._base.execute("PRAGMA user_version").fetchone()[0]
        has_tables = self._base.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] > 0
        if version != VERSION and (has_tables or not is_writer):
            raise sqlite3.DatabaseError("made by another version")
        if has_tables and self.noted("root") != str(self._root):
            raise sqlite3.DatabaseError("of another folder")
        if not has_tables:
            self._base.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
            self.note("root", str(self._root))
        elif is_writer and self._base.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("broken")  # who only reads meets it when it gets there
        self._file = self.path.stat().st_ino

    def close(self) -> None:
        """Close the connection."""
        self._base.close()

    @property
    def is_current(self) -> bool:
        """Whether the file is still the one that was opened: another process may have begun anew."""
        try:
            return self.path.stat().st_ino == self._file
        except OSError:
            return False

    # Writing

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Changes that are made all or not at all."""
        self._base.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._write_counts()
        except BaseException:
            self._base.execute("ROLLBACK")
            self._counted.clear()
            raise
        self._base.execute("COMMIT")

    def note(self, name: str, value: str) -> None:
        """Keep a word about the index itself."""
        self._base.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def put(self, record: Record) -> None:
        """A file as it is now, in place of what it was."""
        self.remove(record.entry.path)
        entry = record.entry
        module = record.module, record.module.rpartition(".")[2]
        row = (entry.path, *module, entry.language, entry.size, entry.mtime_ns, record.digest, record.num_lines)
        columns = "(path, module, leaf, language, size, mtime, digest, lines)"
        file = self._base.execute(f"INSERT INTO files {columns} VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row).lastrowid
        self._base.executemany(
            "INSERT INTO definitions VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (file, each.name, each.kind, each.parent, each.signature, each.doc, each.span.start, each.span.end)
                for each in record.definitions
            ],
        )
        self._base.executemany("INSERT INTO imports VALUES (?, ?, ?)", [(file, *each) for each in record.imports])
        for extent, words in record.chunks:
            columns = "(file, start, stop, line)"
            number = self._base.execute(f"INSERT INTO chunks {columns} VALUES (?, ?, ?, ?)", (file, *extent)).lastrowid
            self._base.execute("INSERT INTO places (rowid, words) VALUES (?, ?)", (number, words))
            self._counted.update(set(words.split()))

    def _write_counts(self) -> None:
        """FTS5 can say in how many pieces a word is, too, but reads all of them to find out."""
        self._base.executemany(
            "INSERT INTO frequencies VALUES (?, ?) ON CONFLICT DO UPDATE SET num = num + excluded.num",
            sorted(self._counted.items()),
        )
        self._counted.clear()

    def stamp(self, entry: Entry) -> None:
        """A file that was written again with what it held before."""
        row = entry.size, entry.mtime_ns, entry.path
        self._base.execute("UPDATE files SET size = ?, mtime = ? WHERE path = ?", row)

    def remove(self, path: str) -> None:
        """Forget a file."""
        found = self._base.execute("SELECT id FROM files WHERE path = ?", (path,)).fetchone()
        if found is not None:
            for table in ("definitions", "imports", "chunks"):
                self._base.execute(f"DELETE FROM {table} WHERE file = ?", found)
            self._base.execute("DELETE FROM files WHERE id = ?", found)

    def clear(self) -> None:
        """Forget everything."""
        with self.batch():
            for name in (*TABLES, "files", "frequencies"):
                self._base.execute(f"DELETE FROM {name}")
            self._base.execute("INSERT INTO places (places) VALUES ('delete-all')")
            self._base.execute("DELETE FROM sqlite_sequence")

    @property
    def is_worn(self) -> bool:
        """Whether so much is gone that everything should be made anew."""
        made = self._base.execute("SELECT seq FROM sqlite_sequence WHERE name = 'chunks'").fetchone()
        there = self._base.execute("SELECT count(*) FROM chunks").fetchone()[0]
        return bool(made) and made[0] > 1000 and there < made[0] * (1 - MAX_GONE)

    # Reading

    def stamps(self, folder: str = "") -> dict[str, Stamp]:
        """The files that are known, below a folder."""
        rows = self._base.execute("SELECT path, size, mtime, digest FROM files")
        start = f"{folder}/" if folder else ""
        return {path: Stamp(*rest) for path, *rest in rows if path.startswith(start)}

    def stamps_of(self, path: str) -> dict[str, Stamp]:
        """The same for one file: empty when it is not known."""
        row = self._base.execute("SELECT size, mtime, digest FROM files WHERE path = ?", (path,)).fetchone()
        return {path: Stamp(*row)} if row else {}

    def counts(self) -> dict[str, int]:
        """Numbers of files, lines, definitions and pieces."""
        files, lines = self._base.execute("SELECT count(*), coalesce(sum(lines), 0) FROM files").fetchone()
        numbers = {name: self._base.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in TABLES}
        return {"files": files, "lines": lines, **numbers}

    def noted(self, name: str) -> str:
        """What was noted; "" when nothing was."""
        row = self._base.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else ""

    def named(self, names: Sequence[str], limit: int = 4) -> list[Definition]:
        """Definitions of exactly these names, at most `limit` of each: any, for a common name has thousands."""
        return [
            each
            for name in names
            for each in sorted(self._definitions("definitions.name = ? LIMIT ?", (name, limit)), key=_place)
        ]

    def members(self, path: str, parent: str) -> list[Definition]:
        """The definitions in a class of a file."""
        return self._definitions("path = ? AND parent = ? ORDER BY start", (path, parent))

    def named_in(self, path: str, name: str) -> list[Definition]:
        """The definitions of a name in a file."""
        return self._definitions("path = ? AND definitions.name = ? ORDER BY start", (path, name))

    def in_file(self, path: str) -> list[Definition]:
        """The definitions of a file, in order."""
        return self._definitions("path = ? ORDER BY start", (path,))

    def files_of(self, module: str) -> list[str]:
        """Files that a dotted module may be, wherever the code begins: those of the shortest path first."""
        leaf = module.rpartition(".")[2]
        rows = self._base.execute("SELECT path, module FROM files WHERE leaf = ?", (leaf,))
        found = [path for path, own in rows if own == module or own.endswith(f".{module}")]
        return sorted(found, key=lambda path: (len(path), path))

    def imports_of(self, path: str) -> list[tuple[str, str]]:
        """(module, name) of a file's imports."""
        query = "SELECT imports.module, name FROM imports JOIN files ON file = files.id WHERE path = ?"
        return self._base.execute(query, (path,)).fetchall()

    def similar(self, words: Sequence[str], limit: int, exclude: str = "") -> list[Chunk]:
        """The pieces with most of these words, by BM25, the best first; `exclude` is a path."""
        wanted = self._rare(words)
        if not wanted:
            return []
        match = " OR ".join(f'"{word}"' for word in wanted)
        rows = self._base.execute(
            "SELECT path, start, stop, line, -score FROM"
            " (SELECT rowid, rank AS score FROM places WHERE places MATCH ? ORDER BY rank LIMIT ?) AS found"
            " JOIN chunks ON chunks.id = found.rowid JOIN files ON file = files.id"
            " WHERE path != ? ORDER BY score LIMIT ?",
            (match, 3 * limit, exclude, limit),
        )
        return [Chunk(*row) for row in rows]

    def text(self, path: str) -> str | None:
        """A file's text; None when it is not known, or not as it was any more."""
        row = self._base.execute("SELECT size, mtime FROM files WHERE path = ?", (path,)).fetchone()
        return text_of(self._root, Entry(path, *row)) if row else None

    def _rare(self, words: Sequence[str]) -> list[str]:
        """The rarest of some words, as many as can be looked at."""
        unique = sorted({word for word in words if word.isalnum()})
        marks = ", ".join("?" * len(unique))
        query = f"SELECT word, num FROM frequencies WHERE word IN ({marks}) ORDER BY num, word"
        found, left = list[str](), MAX_POSTINGS
        for word, num in self._base.execute(query, unique):
            left -= num
            if found and (left < 0 or len(found) == MAX_RARE):
                break
            found.append(word)
        return found

    def _definitions(self, condition: str, values: tuple[object, ...]) -> list[Definition]:
        columns = "path, definitions.name, kind, parent, signature, doc, start, stop"
        rows = self._base.execute(
            f"SELECT {columns} FROM definitions JOIN files ON file = files.id WHERE {condition}", values
        )
        return [Definition(*row[:6], span=Span(row[6], row[7])) for row in rows]  # type: ignore[misc]


TABLES = ("definitions", "imports", "chunks")


def _place(definition: Definition) -> tuple[str, int]:
    return definition.path, definition.span.start


def remove_files(path: Path) -> None:
    """Delete a database."""
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            Path(f"{path}{suffix}").unlink()
