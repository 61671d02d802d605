"""Where pieces of other files come from. Each source has a reason that `explain` shows and a score from 0 to 1.

The document itself is what the editor has, never what is on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import PurePosixPath
from typing import Any

from codegen_lsp.core import Definition
from codegen_lsp.index.query import NEAR_LINES, Query
from codegen_lsp.index.rank import COPY, MAX_PIECES, Piece, ranked, similarity
from codegen_lsp.index.view import View
from codegen_lsp.index.words import word_set
from codegen_lsp.text import Span

MAX_CHARS = 800
"""Of a piece: what the bundled model was trained with."""
MOST_MEANINGS = 3
"""A name that is defined more often says nothing of which one is meant."""
NUM_SIMILAR = 24
NUM_DEFINED = 10
"""Names whose definitions are read, the nearest."""
NUM_OPENED = 4
"""Pieces of open documents."""
MAX_HOPS = 2
"""Files that hand a name on, as packages do."""
WEIGHTS = {
    "similar": 2.0, "opened": 2.0, "edited": 2.0,
    "imported": 0.5, "installed": 0.5, "defined": 0.5, "own": 0.5, "counterpart": 0.5,
}  # fmt: skip
"""What a source's scores are worth beside those of the others.

Of 1,449 held-out places: a similar piece of score 0.3 has 16 % of the names that are wanted and not in sight, one of
0.1 has 6 %; a definition has 3 to 5 %, whatever its score. With these weights the first two pieces together have
19.5 % of them, without 14.8 %; with nothing but similar ones, too, but a definition says what a call looks like.
"""
MOST_SURE = 0.95
FAR = 1500
"""Characters from the cursor that a model is shown anyway."""


def snippets(view: View, params: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The best pieces for a place, best first, as dicts of core.Snippet's fields. Raises ValueError for bad params."""
    return [
        {"path": piece.path, "text": piece.text, "reason": piece.reason, "score": round(piece.score, 3)}
        for piece in pieces(view, Query.of(params))
    ]


def pieces(view: View, query: Query, most: int = MAX_PIECES) -> list[Piece]:
    """The best pieces for a query, best first."""
    # Copies go first: one that overlaps with something new would take that with it.
    return ranked(piece for piece in candidates(view, query) if not _is_copy(piece, query))[:most]


def candidates(view: View, query: Query) -> Iterator[Piece]:
    """What all sources find."""
    chosen = SOURCES.keys() if query.sources is None else query.sources
    for name, source in SOURCES.items():
        if name in chosen:
            for piece in source(view, query):
                yield replace(piece, score=min(MOST_SURE, WEIGHTS.get(name, 1.0) * piece.score))


def _is_copy(piece: Piece, query: Query) -> bool:
    return similarity(word_set(piece.text), query.words) > COPY


# Definitions


def imported(view: View, query: Query) -> Iterator[Piece]:
    """Definitions of names near the cursor that the file imports."""
    for rank, name in enumerate(query.names):
        if name not in query.imported:
            continue
        module, own = query.imported[name]
        modules = view.files_of(f"{module}.{own}") if own else view.files_of(module)
        # A module is written with a dot and what is meant of it.
        wanted = query.attributes.get(name, "") if modules else own
        for path in (modules or view.files_of(module))[:2]:
            if path != query.path:
                yield from _of_file(view, path, wanted, _nearness(rank))


def installed(view: View, query: Query) -> Iterator[Piece]:
    """Signatures of what the project's environment has, of the versions that are there."""
    if view.installed is not None:
        yield from view.installed.signatures(view, query)


def defined(view: View, query: Query) -> Iterator[Piece]:
    """Definitions in the workspace of names near the cursor, where there are few of that name."""
    names = [name for name in query.names if name not in query.imported]
    for rank, _, meanings in islice(_meanings(view, query, names), NUM_DEFINED):
        for each in meanings:
            yield from _shown(view, each, "name near the cursor", 0.7 * _nearness(rank) / len(meanings))


def complained(view: View, query: Query) -> Iterator[Piece]:
    """Definitions of what diagnostics at the cursor are about."""
    for _, name, meanings in _meanings(view, query, list(query.complained)):
        for each in meanings:
            yield from _shown(view, each, f"diagnostic: {query.complained[name]}", 0.9 / len(meanings))


def own(view: View, query: Query) -> Iterator[Piece]:
    """Definitions of the file itself that are named near the cursor, and too far away to be seen."""
    buffer = view.buffers.get(query.path)
    text = buffer.text if buffer else view.text(query.path)
    if text is None or len(query.text) <= FAR:
        return
    ranks = {name: rank for rank, name in enumerate(query.names)}
    for each in view.in_file(query.path):
        if each.name in ranks and (span := _moved(each.span, text, query)) is not None:
            face = _face(view, each, each.span.of(text))
            yield Piece(query.path, span, face, "same file", 0.6 * _nearness(ranks[each.name]))


def _moved(span: Span, text: str, query: Query) -> Span | None:
    """Where a definition of an older text is now; None when it has changed, or is near the cursor."""
    found = span.of(text)
    start = span.start if query.text.startswith(found, span.start) else query.text.find(found)
    is_near = query.offset - FAR - len(found) <= start <= query.offset + FAR // 2
    return None if start < 0 or is_near else Span(start, start + len(found))


def _meanings(view: View, query: Query, names: list[str]) -> Iterator[tuple[int, str, list[Definition]]]:
    """(rank, name, definitions in other files) of names that mean something definite."""
    found: dict[str, list[Definition]] = {}
    for each in view.named(names, MOST_MEANINGS + 1):
        found.setdefault(each.name, []).append(each)
    for rank, name in enumerate(names):
        meanings = [each for each in found.get(name, ()) if each.path != query.path]
        if meanings and len(found[name]) <= MOST_MEANINGS:
            yield rank, name, meanings


def _of_file(view: View, path: str, name: str, score: float, hops: int = MAX_HOPS) -> Iterator[Piece]:
    """A name's definition in a file, or in the one that it is handed on from."""
    found = [each for each in view.named_in(path, name) if not each.parent]
    for each in found:
        yield from _shown(view, each, "imported", score)
    if not found and hops:
        for module, there in view.imports_of(path):
            if there == name:
                for other in _files(view, module, there)[:1]:
                    yield from _of_file(view, other, name, score, hops - 1)


def _shown(view: View, definition: Definition, reason: str, score: float) -> Iterator[Piece]:
    text = view.text(definition.path)
    if text is not None:
        face = _face(view, definition, definition.span.of(text))
        yield Piece(definition.path, definition.span, face, reason, score)


def _face(view: View, definition: Definition, whole: str) -> str:
    """What a reader has to know of a definition: all of a short one, the members' headers of a class."""
    if len(whole) <= MAX_CHARS:
        return whole
    if definition.kind == "class":
        lines = [each.signature for each in view.members(definition.path, definition.name)]
        return _cut("\n    ".join((definition.signature, *lines)))
    return _cut(whole)


def _cut(text: str) -> str:
    """The first whole lines that are not too long together."""
    if len(text) <= MAX_CHARS:
        return text
    return text[: text.rfind("\n", 0, MAX_CHARS) + 1].rstrip() or text[:MAX_CHARS]


def _files(view: View, module: str, name: str) -> list[str]:
    """Files that may define a name of a module; the name may be a module, too."""
    return (view.files_of(f"{module}.{name}") if name else []) or view.files_of(module)


def _nearness(rank: int) -> float:
    return 0.95 / (1 + 0.06 * rank)


# Text


def similar(view: View, query: Query) -> Iterator[Piece]:
    """Pieces of other files that use the same words, and what comes after them: RepoCoder (Zhang et al. 2023)."""
    for chunk in view.similar(sorted(query.words), NUM_SIMILAR, query.path):
        text = view.text(chunk.path)
        if text is not None:
            yield _like(query, chunk.path, text, Span(chunk.start, chunk.end), "similar")


def opened(view: View, query: Query) -> Iterator[Piece]:
    """The same of the documents that are open: what the user looks at belongs together."""
    found = [
        (similarity(words, query.words), path, buffer.text, span)
        for path, buffer in view.buffers
        if path != query.path
        for span, words in buffer.windows
    ]
    for score, path, text, span in sorted(found, key=lambda each: (-each[0], each[1], each[3].start))[:NUM_OPENED]:
        if score > 0:
            piece = _like(query, path, text, span, "open")
            yield Piece(piece.path, piece.span, piece.text, piece.reason, min(0.99, 0.05 + piece.score))


def edited(view: View, query: Query) -> Iterator[Piece]:
    """Where the user wrote last, in this document and in others."""
    for age, (path, text) in enumerate(query.edited):
        known = query.text if path == query.path else view.text(path)
        start = known.find(text) if known else -1
        score = similarity(word_set(text), query.words)
        span = Span(max(0, start), max(0, start) + len(text))
        if path != query.path or not -FAR // 2 < query.offset - span.start < FAR:
            yield Piece(path, span, text, "edited just now", min(0.99, 0.15 / (1 + age) + score))


def counterpart(view: View, query: Query) -> Iterator[Piece]:
    """What a test file tests, or how a file is tested."""
    names = set(query.names)
    for path in _counterparts(view, query.path):
        for each in view.in_file(path):
            if each.name in names or any(_is_test_of(each.name, name) for name in names):
                yield from _shown(view, each, "counterpart", 0.6)


def _is_test_of(test: str, name: str) -> bool:
    """Whether a test is called after something: `test_total`, `test_total_of_nothing`, `TestTotal`."""
    return test == f"Test{name}" or f"{test}_".startswith(f"test_{name}_")


def _like(query: Query, path: str, text: str, span: Span, reason: str) -> Piece:
    """A piece that is scored by its words, and goes on for a few lines: what followed there may follow here."""
    score = similarity(word_set(span.of(text)), query.words)
    end = span.end
    for _ in range(NEAR_LINES):
        at = text.find("\n", end + 1)
        if at < 0 or at - span.start > MAX_CHARS:
            break
        end = at
    return Piece(path, Span(span.start, end), text[span.start : end], reason, score)


def _counterparts(view: View, path: str) -> list[str]:
    name = PurePosixPath(path)
    stem = name.stem.removeprefix("test_").removesuffix("_test")
    other = stem if stem != name.stem else f"test_{stem}"
    return [found for found in view.files_of(other) if found != path][:2]


SOURCES: Mapping[str, Callable[[View, Query], Iterable[Piece]]] = {
    "imported": imported,
    "installed": installed,
    "defined": defined,
    "complained": complained,
    "own": own,
    "similar": similar,
    "opened": opened,
    "edited": edited,
    "counterpart": counterpart,
}
"""By name; a benchmark leaves one out."""
