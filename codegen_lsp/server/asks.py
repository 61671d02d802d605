"""Requests for suggestions, frozen when they come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from codegen_lsp.core import Snapshot
from codegen_lsp.server.documents import Document


class Purpose(StrEnum):
    """What an answer is for. A newer request of a document takes the place of an older one for the same purpose."""

    GHOST_TEXT = "ghost-text"
    POPUP = "popup"
    ORDER = "order"
    AHEAD = "ahead"
    """What comes after a suggestion that is shown, should it be accepted; and the prompt where the cursor is."""


@dataclass(frozen=True)
class Ask:
    """A request for a suggestion: the frozen text, and how to find out whether it is still true."""

    snapshot: Snapshot
    document: Document
    revision: int
    purpose: Purpose

    @property
    def slot(self) -> tuple[Purpose, str]:
        """Where it runs."""
        return self.purpose, self.document.uri

    @property
    def is_current(self) -> bool:
        """Whether the document is unchanged since."""
        return self.document.revision == self.revision


def now_of(ask: Ask, documents: Mapping[str, Document]) -> Snapshot | None:
    """The snapshot; or, when the document has moved on, what it is if the user has only typed; None if closed."""
    if ask.is_current:
        return ask.snapshot
    if documents.get(ask.document.uri) is not ask.document:
        return None
    text = ask.document.text
    offset = ask.snapshot.offset + len(text) - len(ask.snapshot.text)
    floor = len(ask.document.lead)
    return replace(ask.snapshot, text=text, offset=min(max(offset, floor), len(text)), floor=floor)
