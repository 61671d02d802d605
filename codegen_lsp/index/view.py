"""What is known of a workspace, with the documents of the editor in place of their files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from codegen_lsp.core import Definition
from codegen_lsp.index.chunks import extents
from codegen_lsp.index.imports import imports, module_of
from codegen_lsp.index.installed import Installed
from codegen_lsp.index.store import Chunk, Store
from codegen_lsp.index.words import word_list
from codegen_lsp.syntax.definitions import definitions
from codegen_lsp.syntax.endings import language_at
from codegen_lsp.syntax.parse import parse_whole
from codegen_lsp.text import Span

MAX_BUFFERS = 8
MAX_BUFFER = 200_000
"""Characters of a document that is kept; of a larger one the file has to do."""


@dataclass(frozen=True)
class Buffer:
    """A document of the editor."""

    text: str
    definitions: tuple[Definition, ...]
    imports: tuple[tuple[str, str], ...]
    windows: tuple[tuple[Span, frozenset[str]], ...]
    """Pieces of it with their words."""

    @classmethod
    def of(cls, path: str, text: str) -> Buffer:
        """Read a text as a file would be."""
        language = language_at(path)
        pieces = [Span(each.start, each.end) for each in extents(text)]
        return cls(
            text,
            tuple(definitions(parse_whole(text, language), path)),
            tuple((module, name) for _, module, name in imports(text, path)) if language == "python" else (),
            tuple((span, frozenset(word_list(span.of(text)))) for span in pieces),
        )


class Buffers:
    """The documents that were written in last."""

    def __init__(self) -> None:
        self._buffers: dict[str, Buffer] = {}

    def put(self, path: str, text: str) -> None:
        """A document as it is now; the one that was not touched for longest is forgotten."""
        known = self._buffers.pop(path, None)
        if len(text) <= MAX_BUFFER:
            self._buffers[path] = known if known is not None and known.text == text else Buffer.of(path, text)
        while len(self._buffers) > MAX_BUFFERS:
            del self._buffers[next(iter(self._buffers))]

    def drop(self, path: str) -> None:
        """A document is closed: what counts is on the disk."""
        self._buffers.pop(path, None)

    def get(self, path: str) -> Buffer | None:
        """A document, None when it is not known."""
        return self._buffers.get(path)

    def __iter__(self) -> Iterator[tuple[str, Buffer]]:
        return iter(self._buffers.items())


class View:
    """store.Store's questions, answered for the documents from their buffers; and what is installed.

    For one query: what it has read it does not read again.
    """

    def __init__(self, store: Store, buffers: Buffers | None = None, installed: Installed | None = None) -> None:
        self._store = store
        self._texts: dict[str, str | None] = {}
        self.buffers = buffers or Buffers()
        self.installed = installed

    def named(self, names: Sequence[str], limit: int) -> list[Definition]:
        """Definitions of exactly these names, at most about `limit` of each."""
        found = [each for each in self._store.named(names, limit) if self.buffers.get(each.path) is None]
        wanted = set(names)
        return found + [each for _, own in self.buffers for each in own.definitions if each.name in wanted]

    def in_file(self, path: str) -> Sequence[Definition]:
        """The definitions of a file, in order."""
        own = self.buffers.get(path)
        return own.definitions if own else self._store.in_file(path)

    def named_in(self, path: str, name: str) -> Sequence[Definition]:
        """Those of one name."""
        own = self.buffers.get(path)
        return [each for each in own.definitions if each.name == name] if own else self._store.named_in(path, name)

    def members(self, path: str, parent: str) -> Sequence[Definition]:
        """Those of a class."""
        own = self.buffers.get(path)
        return [each for each in own.definitions if each.parent == parent] if own else self._store.members(path, parent)

    def imports_of(self, path: str) -> Sequence[tuple[str, str]]:
        """(module, name) of a file's imports."""
        own = self.buffers.get(path)
        return own.imports if own else self._store.imports_of(path)

    def stamps_of(self, path: str) -> Mapping[str, object]:
        """Something when a file is known."""
        return {path: self} if self.buffers.get(path) else self._store.stamps_of(path)

    def files_of(self, module: str) -> list[str]:
        """Files that a dotted module may be, those of the shortest path first."""
        found = set(self._store.files_of(module))
        for path, _ in self.buffers:
            own = module_of(path)
            if own == module or own.endswith(f".{module}"):
                found.add(path)
        return sorted(found, key=lambda path: (len(path), path))

    def similar(self, words: Sequence[str], limit: int, exclude: str) -> list[Chunk]:
        """Pieces of files that are not open."""
        return [chunk for chunk in self._store.similar(words, limit, exclude) if self.buffers.get(chunk.path) is None]

    def text(self, path: str) -> str | None:
        """A file's text; None when it is not known, or not as it was any more."""
        own = self.buffers.get(path)
        if own:
            return own.text
        if path not in self._texts:
            self._texts[path] = self._store.text(path)
        return self._texts[path]
