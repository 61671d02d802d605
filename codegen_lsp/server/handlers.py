"""One short function per method, in three moves: convert in, ask the session, convert out.

What a handler reads of a document it reads before it first waits, or checks afterwards that nothing has moved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import chain
from typing import Any

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from codegen_lsp.core import Trigger
from codegen_lsp.server import actions, others, popup
from codegen_lsp.server.asks import Ask
from codegen_lsp.server.convert import (
    Selected,
    changes_of,
    field,
    inline_items,
    number_of,
    popup_items,
    text_of,
)
from codegen_lsp.server.documents import Position
from codegen_lsp.server.notebooks import documents_of, entries_of, splice_of
from codegen_lsp.server.session import AUTOMATIC_WAIT_S, INVOKED_WAIT_S, Session
from codegen_lsp.syntax.endings import LANGUAGES
from codegen_lsp.text import Edit, Span

WATCHED = ("**/*.{" + ",".join(sorted(ending[1:] for ending in LANGUAGES)) + "}", "**/.gitignore", "**/.ignore")


def register(server: LanguageServer, session: Session) -> None:
    """Make the session answer the server's messages."""
    for method, handler in FEATURES.items():
        server.feature(method)(partial(handler, session))


# Notifications: plain JSON in


def initialized(session: Session, _params: Any) -> None:
    """initialized: the editor may be asked for things from now on."""
    if session.settings.index:
        session.slots.start(session.editor.watch_files(WATCHED))


def did_open(session: Session, params: Any) -> None:
    """textDocument/didOpen"""
    document = field(params, "textDocument")
    uri, text = field(document, "uri"), field(document, "text")
    if isinstance(uri, str) and isinstance(text, str):
        language = text_of(field(document, "languageId"))
        session.open(uri, language, number_of(field(document, "version")) or 0, text)


def did_change(session: Session, params: Any) -> None:
    """textDocument/didChange"""
    changes = changes_of(params)
    version = number_of(field(params, "textDocument", "version"))
    if changes is None:
        raise ValueError("unreadable changes")
    session.change(text_of(field(params, "textDocument", "uri")), version, changes)


def did_close(session: Session, params: Any) -> None:
    """textDocument/didClose"""
    session.close_document(text_of(field(params, "textDocument", "uri")))


def did_open_notebook(session: Session, params: Any) -> None:
    """notebookDocument/didOpen"""
    uri = field(params, "notebookDocument", "uri")
    if isinstance(uri, str):
        did_close_notebook(session, params)
        session.notebooks.open(uri, entries_of(field(params, "notebookDocument", "cells")))
        for document in field(params, "cellTextDocuments") or []:
            did_open(session, {"textDocument": document})


def did_change_notebook(session: Session, params: Any) -> None:
    """notebookDocument/didChange: first which cells there are, so that a document that opens is known as a cell."""
    uri, change = text_of(field(params, "notebookDocument", "uri")), field(params, "change", "cells")
    structure = field(change, "structure")
    session.notebooks.change(uri, splice_of(field(structure, "array")), entries_of(field(change, "data")))
    for closed in documents_of(field(structure, "didClose")):
        session.close_document(closed)
    for document in field(structure, "didOpen") or []:
        did_open(session, {"textDocument": document})
    for each in field(change, "textContent") or []:
        did_change(session, {"textDocument": field(each, "document"), "contentChanges": field(each, "changes")})


def did_close_notebook(session: Session, params: Any) -> None:
    """notebookDocument/didClose"""
    uris = session.notebooks.close(text_of(field(params, "notebookDocument", "uri")))
    for uri in (*uris, *documents_of(field(params, "cellTextDocuments"))):
        session.close_document(uri)


def did_change_configuration(session: Session, params: Any) -> None:
    """workspace/didChangeConfiguration"""
    settings = field(params, "settings")
    if isinstance(settings, dict) and "codegen" in settings:
        settings = settings["codegen"]
    session.slots.start(session.configure(settings))


def did_change_watched_files(session: Session, params: Any) -> None:
    """workspace/didChangeWatchedFiles"""
    uris = (field(change, "uri") for change in field(params, "changes") or [])
    session.retrieval.touched([uri for uri in uris if isinstance(uri, str)])


def did_change_workspace_folders(session: Session, params: Any) -> None:
    """workspace/didChangeWorkspaceFolders"""
    added = [field(folder, "uri") for folder in field(params, "event", "added") or []]
    removed = {text_of(field(folder, "uri")) for folder in field(params, "event", "removed") or []}
    kept = tuple(root for root in session.roots if root not in removed)
    session.roots = kept + tuple(uri for uri in added if isinstance(uri, str))
    session.slots.start(session.retrieval.reset())


# Requests


async def inline_completion(session: Session, params: types.InlineCompletionParams) -> dict[str, Any]:
    """textDocument/inlineCompletion: ghost text."""
    trigger = _trigger(params.context.trigger_kind == types.InlineCompletionTriggerKind.Invoked)
    uri, position = params.text_document.uri, _position(params.position)
    selected = _selected(session, uri, params.context.selected_completion_info)
    ask = session.ask(uri, position, trigger, selected)
    if ask is None:
        return {"items": []}
    wait_s = INVOKED_WAIT_S if trigger is Trigger.INVOKED else AUTOMATIC_WAIT_S
    offers = await session.slots.newest(ask.slot, others.suggest_all(session, ask, wait_s))
    if not offers or (selected and not ask.is_current):
        return {"items": []}
    cursor, encoding = _cursor(session, ask, position), session.client.encoding
    edits = [(selected.joined(offer.edit) if selected else offer.edit, offer.number) for offer in offers]
    found = (inline_items(ask.document, edit, cursor, number, encoding) for edit, number in edits if edit)
    return {"items": list(chain.from_iterable(found))}


async def completion(session: Session, params: types.CompletionParams) -> dict[str, Any]:
    """textDocument/completion: at once and empty, unless the user asked for it; soon, where a word is typed."""
    kind = params.context.trigger_kind if params.context else types.CompletionTriggerKind.Invoked
    is_invoked = kind == types.CompletionTriggerKind.Invoked
    found = await popup.find(session, params.text_document.uri, _position(params.position)) if is_invoked else None
    if found is None:
        return {"isIncomplete": True, "items": []}
    ask, offer = found
    items = popup_items(ask.document, offer.edit, ask.snapshot.offset, offer.number, session.client)
    return {"isIncomplete": True, "items": items}


# Details


def _position(position: types.Position) -> Position:
    return position.line, position.character


def _trigger(is_invoked: bool) -> Trigger:
    return Trigger.INVOKED if is_invoked else Trigger.AUTOMATIC


def _selected(session: Session, uri: str, info: types.SelectedCompletionInfo | None) -> Selected | None:
    document = session.document(uri)
    if info is None or document is None:
        return None
    encoding = session.client.encoding
    start, end = sorted(document.offset(_position(place), encoding) for place in (info.range.start, info.range.end))
    return Selected(Edit(Span(start, end), info.text))


def _cursor(session: Session, ask: Ask, position: Position) -> int:
    """Where the cursor is now: what was typed meanwhile lies between the request's place and it."""
    if ask.is_current:
        return ask.document.offset(position, session.client.encoding)
    return ask.snapshot.offset + len(ask.document.text) - len(ask.snapshot.text)


FEATURES: Mapping[str, Callable[..., Any]] = {
    types.INITIALIZED: initialized,
    types.TEXT_DOCUMENT_DID_OPEN: did_open,
    types.TEXT_DOCUMENT_DID_CHANGE: did_change,
    types.TEXT_DOCUMENT_DID_CLOSE: did_close,
    types.NOTEBOOK_DOCUMENT_DID_OPEN: did_open_notebook,
    types.NOTEBOOK_DOCUMENT_DID_CHANGE: did_change_notebook,
    types.NOTEBOOK_DOCUMENT_DID_CLOSE: did_close_notebook,
    types.WORKSPACE_DID_CHANGE_CONFIGURATION: did_change_configuration,
    types.WORKSPACE_DID_CHANGE_WATCHED_FILES: did_change_watched_files,
    types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS: did_change_workspace_folders,
    types.TEXT_DOCUMENT_INLINE_COMPLETION: inline_completion,
    types.TEXT_DOCUMENT_COMPLETION: completion,
    types.TEXT_DOCUMENT_CODE_ACTION: actions.code_action,
    types.CODE_ACTION_RESOLVE: actions.resolve_code_action,
    types.WORKSPACE_EXECUTE_COMMAND: actions.execute_command,
}
