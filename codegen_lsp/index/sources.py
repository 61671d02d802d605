"""Where pieces of other files come from. Each source has a reason that `explain` shows and a score from 0 to 1.

The document itself is what the editor has, never what is on disk.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from codegen_lsp.core import Definition
from codegen_lsp.index.imports import imports
from codegen_lsp.index.rank import COPY, MAX_PIECES, Piece, ranked, similarity
from codegen_lsp.index.store import Store
from codegen_lsp.index.words import word_list
from codegen_lsp.text import Span

NEAR_LINES = 10
"""Lines before the cursor that say what is being written, as long as the pieces that they are compared with."""
NEAR_AFTER = 3
MAX_CHARS = 800
"""Of a piece: what the bundled model was trained with."""
MAX_NAMES = 40
MOST_MEANINGS = 3
"""A name that is defined more often says nothing of which one is meant."""
NUM_SIMILAR = 24
MAX_HOPS = 2
"""Files that hand a name on, as packages do."""

_NAME = re.compile(r"[^\W\d]\w{2,}")
_DOTTED = re.compile(r"([^\W\d]\w*)\s*\.\s*([^\W\d]\w*)")


@dataclass(frozen=True)
class Query:
    """What is being written where."""

    path: str
    text: str
    """The document as the editor has it."""
    offset: int
    opened: tuple[tuple[str, str], ...] = ()
    """(path, text around the cursor there) of the other documents in the editor."""
    sources: frozenset[str] = field(default_factory=lambda: frozenset(SOURCES))

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Query:
        """From what came over the seam. Raises KeyError, TypeError or ValueError."""
        opened = tuple((str(each["path"]), str(each["text"])) for each in params.get("opened") or ())
        chosen = frozenset(params.get("sources") or SOURCES)
        return cls(str(params["path"]), str(params["text"]), int(params["offset"]), opened, chosen)

    @cached_property
    def near(self) -> str:
        """The lines around the cursor."""
        before = self.text[: self.offset].splitlines(keepends=True)[-NEAR_LINES:]
        after = self.text[self.offset : self.offset + 1000].splitlines(keepends=True)[: NEAR_AFTER + 1]
        return "".join((*before, *after))

    @cached_property
    def words(self) -> frozenset[str]:
        """Their words."""
        return frozenset(word_list(self.near))

    @cached_property
    def names(self) -> list[str]:
        """Names near the cursor, the nearest first."""
        before = "".join(self.text[: self.offset].splitlines(keepends=True)[-NEAR_LINES:])
        after = self.near[len(before) :]
        found = [*reversed(_NAME.findall(before)), *_NAME.findall(after)]
        return list(dict.fromkeys(found))[:MAX_NAMES]

    @cached_property
    def imported(self) -> dict[str, tuple[str, str]]:
        """What each imported name stands for: (module, name in it, "" for the module itself)."""
        return {name: (module, there) for name, module, there in imports(self.text, self.path)}


def snippets(store: Store, params: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The best pieces for a place, best first, as dicts of core.Snippet's fields. Raises ValueError for bad params."""
    try:
        query = Query.of(params)
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a place in a document ({error})") from error
    return [
        {"path": piece.path, "text": piece.text, "reason": piece.reason, "score": round(piece.score, 3)}
        for piece in pieces(store, query)
    ]


def pieces(store: Store, query: Query, most: int = MAX_PIECES) -> list[Piece]:
    """The best pieces for a query, best first."""
    found = [piece for name, source in SOURCES.items() if name in query.sources for piece in source(store, query)]
    return ranked([piece for piece in found if not _is_copy(piece, query)], most)


def _is_copy(piece: Piece, query: Query) -> bool:
    return similarity(frozenset(word_list(piece.text)), query.words) > COPY


# Definitions


def imported(store: Store, query: Query) -> Iterator[Piece]:
    """Definitions of names near the cursor that the file imports."""
    attributes = dict(_DOTTED.findall(query.near))
    for rank, name in enumerate(query.names):
        if name not in query.imported:
            continue
        module, own = query.imported[name]
        modules = store.files_of(f"{module}.{own}") if own else store.files_of(module)
        # A module is written with a dot and what is meant of it.
        wanted = attributes.get(name, "") if modules else own
        for path in (modules or store.files_of(module))[:2]:
            if path != query.path:
                yield from _of_file(store, path, wanted, _nearness(rank))


def defined(store: Store, query: Query) -> Iterator[Piece]:
    """Definitions in the workspace of names near the cursor, where there are few of that name."""
    names = [name for name in query.names if name not in query.imported]
    found: dict[str, list[Definition]] = {}
    for each in store.named(names, MOST_MEANINGS + 1):
        found.setdefault(each.name, []).append(each)
    for rank, name in enumerate(names):
        meanings = [each for each in found.get(name, ()) if each.path != query.path]
        if 0 < len(found.get(name, ())) <= MOST_MEANINGS:
            for each in meanings:
                yield from _shown(store, each, "name near the cursor", 0.7 * _nearness(rank) / len(meanings))


def _of_file(store: Store, path: str, name: str, score: float, hops: int = MAX_HOPS) -> Iterator[Piece]:
    """A name's definition in a file, or in the one that it is handed on from."""
    found = [each for each in store.in_file(path) if each.name == name and not each.parent]
    for each in found:
        yield from _shown(store, each, "imported", score)
    if not found and hops:
        for module, there in store.imports_of(path):
            if there == name:
                for other in _files(store, module, there)[:1]:
                    yield from _of_file(store, other, name, score, hops - 1)


def _shown(store: Store, definition: Definition, reason: str, score: float) -> Iterator[Piece]:
    text = store.text(definition.path)
    if text is not None:
        yield Piece(definition.path, definition.span, _face(store, definition, text), reason, score)


def _face(store: Store, definition: Definition, text: str) -> str:
    """What a reader has to know of a definition: all of a short one, the members' headers of a class."""
    whole = definition.span.of(text)
    if len(whole) <= MAX_CHARS:
        return whole
    if definition.kind == "class":
        members = [each for each in store.in_file(definition.path) if each.parent == definition.name]
        lines = [each.signature for each in members]
        return _cut("\n    ".join((definition.signature, *lines)))
    return _cut(whole)


def _cut(text: str) -> str:
    """The first whole lines that are not too long together."""
    if len(text) <= MAX_CHARS:
        return text
    return text[: text.rfind("\n", 0, MAX_CHARS) + 1].rstrip() or text[:MAX_CHARS]


def _files(store: Store, module: str, name: str) -> list[str]:
    """Files that may define a name of a module; the name may be a module, too."""
    return (store.files_of(f"{module}.{name}") if name else []) or store.files_of(module)


def _nearness(rank: int) -> float:
    return 0.95 / (1 + 0.06 * rank)


# Text


def similar(store: Store, query: Query) -> Iterator[Piece]:
    """Pieces of other files that use the same words, and what comes after them: RepoCoder (Zhang et al. 2023)."""
    for chunk in store.similar(sorted(query.words), NUM_SIMILAR, exclude=query.path):
        text = store.text(chunk.path)
        if text is not None:
            yield _like(query, chunk.path, text, Span(chunk.start, chunk.end), "similar")


def opened(store: Store, query: Query) -> Iterator[Piece]:
    """Where the user is in the other open documents."""
    for path, text in query.opened:
        if path != query.path:
            piece = _like(query, path, text, Span(0, len(text)), "open")
            yield Piece(piece.path, piece.span, piece.text, piece.reason, 0.1 + piece.score)


def counterpart(store: Store, query: Query) -> Iterator[Piece]:
    """What a test file tests, or how a file is tested."""
    for path in _counterparts(store, query.path):
        names = set(query.names)
        for each in store.in_file(path):
            if each.name in names or each.name.removeprefix("test_") in names:
                yield from _shown(store, each, "counterpart", 0.6)


def _like(query: Query, path: str, text: str, span: Span, reason: str) -> Piece:
    """A piece that is scored by its words, and goes on for a few lines: what followed there may follow here."""
    score = similarity(frozenset(word_list(span.of(text))), query.words)
    end = span.end
    for _ in range(NEAR_LINES):
        at = text.find("\n", end + 1)
        if at < 0 or at - span.start > MAX_CHARS:
            break
        end = at
    return Piece(path, Span(span.start, end), text[span.start : end], reason, score)


def _counterparts(store: Store, path: str) -> list[str]:
    name = PurePosixPath(path)
    stem = name.stem.removeprefix("test_").removesuffix("_test")
    other = stem if stem != name.stem else f"test_{stem}"
    return [found for found in store.files_of(other) if found != path][:2]


SOURCES: Mapping[str, Callable[[Store, Query], Iterator[Piece]]] = {
    "imported": imported,
    "defined": defined,
    "similar": similar,
    "opened": opened,
    "counterpart": counterpart,
}
"""By name; a benchmark leaves one out."""
