"""What the index of the workspace says about the place that is written at.

The index is asked in pauses, never while a key waits: a request takes what was found last. What is shown stays until
something clearly better is found, since each change makes the model read its prompt anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from codegen_lsp.core import Snippet
from codegen_lsp.server.asks import Ask
from codegen_lsp.server.convert import ruled_path, shown_path
from codegen_lsp.server.documents import Document
from codegen_lsp.server.slots import Slots
from codegen_lsp.settings import Settings
from codegen_lsp.syntax.off import is_off

AFTER_S = 0.15
"""A pause after which the index is asked."""
FIRST_S = 0.1
"""How long what the user asks for by hand waits for the index."""
NUM_SHOWN = 4
"""Pieces that are compared: no prompt has room for more."""
MARGIN = 0.25
"""Scores are 0 to 1: by so much together new pieces have to be better than those that are shown."""
MAX_TEXT = 400_000
"""Characters of a document beyond which the index is not asked."""
MAX_EDITED = 8
"""Places where the user wrote last that are told."""
EDITED_LINES = 5
"""Lines of them before and after."""


class Index(Protocol):
    """One workspace's index; None is the answer of one that is not there (yet)."""

    state: str
    """How it is, in words."""

    async def request(self, method: str, params: Mapping[str, Any]) -> Any: ...
    def notify(self, method: str, params: Mapping[str, Any]) -> None: ...
    async def close(self) -> None: ...


IndexFactory = Callable[[str, Settings], "Index | None"]
"""From a workspace folder's URI; None where there is none to be had."""


class Retrieval:
    """The pieces of other files for each document."""

    def __init__(self, factory: IndexFactory, roots: Callable[[], Sequence[str]]) -> None:
        """`roots` gives the workspace folders of now: an editor may change them."""
        self._factory = factory
        self._roots = roots
        self._indices: dict[str, Index | None] = {}
        self._shown: dict[str, tuple[Snippet, ...]] = {}
        self._waiting: dict[str, asyncio.TimerHandle] = {}
        self._edited: dict[tuple[str, int], tuple[Document, int]] = {}
        """(document, line) of where the user wrote, by document and part of it, the latest last."""
        self._messages: dict[str, tuple[tuple[int, str], ...]] = {}
        """(line, message) of the diagnostics that an editor showed us of a document."""

    def snippets(self, uri: str) -> tuple[Snippet, ...]:
        """What to show with a document, the best first."""
        return self._shown.get(uri, ())

    def open(self, uri: str, settings: Settings) -> None:
        """A document is open: its workspace may be read, so that it is known when something is asked."""
        self._index(uri, settings)

    def later(self, ask: Ask, settings: Settings, slots: Slots, changed: Callable[[Ask], None]) -> None:
        """Ask the index in the next pause; `changed` is called when other pieces are to be shown."""
        uri = ask.document.uri
        if timer := self._waiting.pop(uri, None):
            timer.cancel()
        if self._index(ask.document.home, settings) is None:
            return

        async def work() -> None:
            if await self.refresh(ask, settings) and ask.is_current:
                changed(ask)

        self._waiting[uri] = asyncio.get_running_loop().call_later(AFTER_S, lambda: slots.start(work()))

    async def refresh(self, ask: Ask, settings: Settings) -> bool:
        """Ask the index now; whether other pieces are to be shown than before."""
        uri, snapshot = ask.document.uri, ask.snapshot
        index = self._index(ask.document.home, settings)
        if index is None or len(snapshot.text) > MAX_TEXT:
            return False
        params = {
            "path": snapshot.path,
            "text": snapshot.text,
            "offset": snapshot.offset,
            "edited": self._edits(ask, settings),
            "messages": self._complaints(ask),
        }
        found = await index.request("snippets", params)
        if not isinstance(found, list):
            return False
        new = tuple(Snippet(each["path"], each["text"], each["reason"], each["score"]) for each in found)
        if is_better(new, self._shown.get(uri, ())):
            self._shown[uri] = new
            return True
        return False

    def wrote(self, document: Document, line: int) -> None:
        """The user wrote in a line: what is there may matter elsewhere."""
        key = document.uri, line // (2 * EDITED_LINES)
        self._edited.pop(key, None)
        self._edited[key] = document, line
        if len(self._edited) > MAX_EDITED:
            del self._edited[next(iter(self._edited))]

    def complained(self, uri: str, messages: Sequence[tuple[int, str]]) -> None:
        """(line, message) of diagnostics that the editor shows at the cursor."""
        self._messages[uri] = tuple(messages)[:MAX_EDITED]

    def states(self) -> dict[str, str]:
        """How each workspace's index is, in words."""
        return {root: index.state if index else "none" for root, index in self._indices.items()}

    def forget(self, document: Document) -> None:
        """A document is closed."""
        uri = document.uri
        self._shown.pop(uri, None)
        self._messages.pop(uri, None)
        self._edited = {key: place for key, place in self._edited.items() if key[0] != uri}
        for root, index in self._indices.items():
            if index is not None and document.home.startswith(root):
                index.notify("close", {"path": ruled_path(document.home, (root,))})
        if timer := self._waiting.pop(uri, None):
            timer.cancel()

    def touched(self, uris: Sequence[str]) -> None:
        """The editor says that files have changed."""
        for root, index in self._indices.items():
            mine = [ruled_path(uri, (root,)) for uri in uris if uri.startswith(root)]
            if index is not None and mine:
                index.notify("touch", {"paths": mine})

    async def reset(self) -> None:
        """Drop the indices; the next use opens them with the settings of then."""
        indices, self._indices = self._indices, {}
        self._shown.clear()
        for timer in self._waiting.values():
            timer.cancel()
        await asyncio.gather(*(index.close() for index in indices.values() if index is not None))

    def _edits(self, ask: Ask, settings: Settings) -> list[dict[str, str]]:
        """Where the user wrote in this workspace, the latest first, as it is now, unless it is kept out."""
        root, found = self._root(ask.document.home), list[dict[str, str]]()
        for document, line in reversed(self._edited.values()):
            path, text = ruled_path(document.home, self._roots()), document.around(line, EDITED_LINES)
            is_ours = self._root(document.home) == root
            if is_ours and text and not settings.refusal(document.language, path) and not is_off(document.own):
                found.append({"path": shown_path(path), "text": text})
        return found

    def _complaints(self, ask: Ask) -> list[str]:
        """What diagnostics say of the lines at the cursor."""
        line = ask.snapshot.text.count("\n", ask.snapshot.floor, ask.snapshot.offset)
        return [message for at, message in self._messages.get(ask.document.uri, ()) if abs(at - line) <= 1]

    def _root(self, uri: str) -> str | None:
        """The workspace folder that holds a document."""
        folders = (root.rstrip("/") + "/" for root in self._roots())
        return next((root for root in folders if uri.startswith(root)), None)

    def _index(self, uri: str, settings: Settings) -> Index | None:
        """The index of the workspace that holds a document, opened on first use."""
        root = self._root(uri)
        if root is None or not settings.index:
            return None
        if root not in self._indices:
            self._indices[root] = self._factory(root, settings)
        return self._indices[root]


def is_better(new: Sequence[Snippet], shown: Sequence[Snippet]) -> bool:
    """Whether new pieces are worth reading a prompt anew for: clearly better than those that are shown are now."""
    new = new[:NUM_SHOWN]
    now = {(each.path, each.text): each.score for each in new}
    held = sum(now.get((each.path, each.text), 0.0) for each in shown[:NUM_SHOWN])
    return sum(now.values()) > held + MARGIN
