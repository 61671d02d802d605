"""Requests for suggestions, frozen when they come."""

from __future__ import annotations

from dataclasses import dataclass
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
