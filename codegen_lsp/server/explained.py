"""What `explain` shows: how the suggestion came about that is seen, or was just taken."""

from __future__ import annotations

from codegen_lsp.core import Trigger
from codegen_lsp.server.asks import Ask
from codegen_lsp.server.documents import Document
from codegen_lsp.server.suggestions import Suggestion
from codegen_lsp.trace import Record, Trace


class Explained:
    """The last requests, and which of them the user means by "this suggestion".

    What is shown is often not what was last asked for: it was asked for ahead of the user, or goes on to be shown while
    its beginning is typed. And when it is taken the editor asks what comes next, which is mostly nothing.
    """

    def __init__(self) -> None:
        self.asked = Trace()
        """What was asked for the user."""
        self.aside = Trace()
        """What was asked ahead of the user, and to choose from."""
        self._meant: tuple[Document, int, Suggestion] | None = None
        """The document, its revision, and what was shown or taken there."""

    def offered(self, ask: Ask, suggestion: Suggestion | None) -> None:
        """A request was answered. With nothing: what was just taken is still meant, but not by who asked by hand."""
        if suggestion is not None:
            self.took(ask.document, suggestion)
        elif ask.snapshot.trigger is Trigger.INVOKED:
            self._meant = None

    def took(self, document: Document, suggestion: Suggestion | None) -> None:
        """A suggestion became the text."""
        if suggestion is not None:
            self._meant = (document, document.revision, suggestion)

    @property
    def meant(self) -> Suggestion | None:
        """The suggestion that the user means, if there is one."""
        if self._meant is None:
            return None
        document, revision, suggestion = self._meant
        return suggestion if document.revision == revision else None

    @property
    def last(self) -> Record | None:
        """How the suggestion that the user means came about, or how the last request went; None before the first."""
        meant = self.meant
        known = (*self.asked.records(), *self.aside.records())
        found = (record for record in known if meant and record.completion is meant.completion)
        return next(found, self.asked.last)

    @property
    def verdict(self) -> str:
        """What is known of it, where it was judged."""
        return self.meant.verdict if self.meant else ""
