"""Notebooks: which documents are their cells, and what each cell is completed after.

A cell is an ordinary document under its own URI. Its text has the code of the earlier cells in front (`lead`), which
is brought up to date when the cell is asked about; the editor's positions count from the cell's own first character.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from codegen_lsp import cells
from codegen_lsp.server.convert import field, number_of, text_of
from codegen_lsp.server.documents import Document, Position
from codegen_lsp.text import Encoding

CODE = 2
"""NotebookCellKind"""


@dataclass(frozen=True)
class Entry:
    """A cell as its notebook knows it."""

    uri: str
    is_code: bool


@dataclass(frozen=True)
class Splice:
    """Put cells in the place of others."""

    start: int
    num_removed: int
    entries: tuple[Entry, ...]


@dataclass
class Notebook:
    """The cells of one notebook, in order."""

    uri: str
    entries: list[Entry]

    def splice(self, change: Splice) -> None:
        """Change which cells there are; beyond the last one there is nothing to remove."""
        start = min(max(change.start, 0), len(self.entries))
        self.entries[start : start + max(change.num_removed, 0)] = change.entries

    def mark(self, changed: Iterable[Entry]) -> None:
        """Change the kinds of cells."""
        kinds = {entry.uri: entry.is_code for entry in changed}
        self.entries = [replace(entry, is_code=kinds.get(entry.uri, entry.is_code)) for entry in self.entries]

    def place(self, uri: str) -> int | None:
        """Where a cell is."""
        return next((number for number, entry in enumerate(self.entries) if entry.uri == uri), None)


class CellDocument(Document):
    """A cell's text, with that of the earlier cells in front."""

    def __init__(self, uri: str, language: str, version: int, text: str, home: str) -> None:
        super().__init__(uri, language, version, text)
        self.home = home
        self._is_code = True
        self._joint: cells.Joint | None = None
        self._whole: tuple[str, str] | None = None
        """(own, text)"""

    @property
    def text(self) -> str:
        """Lead and own text; made once after a change."""
        own = self.own
        if self._whole is None or self._whole[0] is not own:
            self._whole = own, self.lead + cells.disarmed(self.cell)
        return self._whole[1]

    @property
    def cell(self) -> cells.Cell:
        """What others see of it."""
        return cells.Cell(self.own, self.language, self._is_code)

    def offset(self, position: Position, encoding: Encoding) -> int:
        """Offset in `text` of a position in the cell."""
        return len(self.lead) + super().offset(position, encoding)

    def position(self, offset: int, encoding: Encoding) -> Position:
        """Position in the cell of an offset in `text`."""
        return super().position(offset - len(self.lead), encoding)

    def is_barred(self, offset: int) -> bool:
        """Whether a place is in prose, in a cell of another language (`%%bash`), or in a line of IPython's."""
        if not self._is_code or self.cell.is_foreign:
            return True
        own, at = self.own, max(0, offset - len(self.lead))
        start, end = own.rfind("\n", 0, at) + 1, own.find("\n", at)
        end = end if end >= 0 else len(own)
        shown = self.text[len(self.lead) :]
        return shown[start:end] != own[start:end]

    def follow(self, above: Iterable[cells.Cell], is_code: bool) -> None:
        """Be where the notebook has it now: below these cells."""
        self._is_code = is_code
        joint = cells.joint(above, self.cell)
        if joint == self._joint:
            return
        self._joint, lead = joint, cells.lead(joint)
        if lead != self.lead:
            self.lead, self._whole = lead, None
            self.revision += 1


class Notebooks:
    """The notebooks that are open."""

    def __init__(self) -> None:
        self._open: dict[str, Notebook] = {}
        self._holders: dict[str, Notebook] = {}
        """The notebook of each cell."""

    def open(self, uri: str, entries: Iterable[Entry]) -> None:
        """A notebook; an older one of the same name is replaced."""
        self._open[uri] = Notebook(uri, list(entries))
        self._know_cells()

    def change(self, uri: str, splice: Splice | None, changed: Iterable[Entry]) -> None:
        """Other cells, or other kinds of them."""
        if (notebook := self._open.get(uri)) is None:
            return
        if splice is not None:
            notebook.splice(splice)
        notebook.mark(changed)
        self._know_cells()

    def close(self, uri: str) -> list[str]:
        """Forget a notebook; its cells."""
        notebook = self._open.pop(uri, None)
        self._know_cells()
        return [entry.uri for entry in notebook.entries] if notebook else []

    def document(self, uri: str, language: str, version: int, text: str) -> Document:
        """A new document: a cell's where a notebook has a cell of this name."""
        if (holder := self._holders.get(uri)) is None:
            return Document(uri, language, version, text)
        return CellDocument(uri, language, version, text, holder.uri)

    def settle(self, document: Document, documents: Mapping[str, Document]) -> None:
        """Bring what stands before a cell up to date."""
        holder = self._holders.get(document.uri)
        place = holder.place(document.uri) if holder else None
        if holder is None or place is None or not isinstance(document, CellDocument):
            return
        above = [
            cells.Cell(other.own, other.language, entry.is_code)
            for entry in holder.entries[:place]
            if (other := documents.get(entry.uri)) is not None
        ]
        document.follow(above, holder.entries[place].is_code)

    def _know_cells(self) -> None:
        self._holders = {entry.uri: book for book in self._open.values() for entry in book.entries}


def entries_of(raw: Any) -> list[Entry]:
    """NotebookCells from JSON; those that name no document are passed over."""
    found = raw if isinstance(raw, list) else []
    uris = [(field(cell, "document"), field(cell, "kind")) for cell in found]
    return [Entry(uri, kind == CODE) for uri, kind in uris if isinstance(uri, str)]


def splice_of(array: Any) -> Splice | None:
    """A NotebookCellArrayChange from JSON."""
    start, num_removed = number_of(field(array, "start")), number_of(field(array, "deleteCount"))
    if start is None or num_removed is None:
        return None
    return Splice(start, num_removed, tuple(entries_of(field(array, "cells"))))


def documents_of(raw: Any) -> list[str]:
    """URIs of a list of TextDocumentIdentifiers."""
    return [text_of(field(item, "uri")) for item in raw] if isinstance(raw, list) else []
