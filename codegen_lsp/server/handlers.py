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

from codegen_lsp.core import IntentKind, Trigger
from codegen_lsp.server import inspect, others, popup
from codegen_lsp.server.asks import Ask, Purpose
from codegen_lsp.server.convert import (
    Note,
    Selected,
    changes_of,
    field,
    inline_items,
    number_of,
    popup_items,
    text_of,
    workspace_edit,
)
from codegen_lsp.server.documents import Position
from codegen_lsp.server.door import ACTION_KIND
from codegen_lsp.server.implementing import Result
from codegen_lsp.server.notebooks import documents_of, entries_of, splice_of
from codegen_lsp.server.rpc import Code, RpcError
from codegen_lsp.server.session import AUTOMATIC_WAIT_S, INVOKED_WAIT_S, Session
from codegen_lsp.syntax.endings import LANGUAGES
from codegen_lsp.text import Edit, Span

TITLES = {
    IntentKind.COMMENT_ABOVE: "Write code from this comment",
    IntentKind.COMMENT_TRAILING: "Write code from this comment",
    IntentKind.DOCSTRING: "Implement from docstring",
}


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


async def code_action(session: Session, params: types.CodeActionParams) -> list[dict[str, Any]]:
    """textDocument/codeAction: what could be written here; the model is asked when the user chooses it."""
    only = params.context.only
    if only and not any(str(kind) == ACTION_KIND or ACTION_KIND.startswith(f"{kind}.") for kind in only):
        return []
    uri, position = params.text_document.uri, _position(params.range.end)
    session.retrieval.complained(uri, [(each.range.start.line, each.message) for each in params.context.diagnostics])
    if (here := session.ask(uri, position, Trigger.AUTOMATIC)) is not None:
        session.warm(here)  # Editors ask for actions wherever the cursor comes to rest.
    found = session.order_at(uri, position)
    if found is None:
        return []
    ask, kind = found
    offset = ask.snapshot.offset - ask.snapshot.floor
    data = {"uri": ask.document.uri, "version": ask.document.version, "offset": offset, "kind": kind.value}
    title = _title(session.implementing.known(ask) if kind is IntentKind.DOCSTRING else None) or TITLES[kind]
    action: dict[str, Any] = {"title": title, "kind": ACTION_KIND, "data": data}
    if not session.client.resolves_edits:
        action["command"] = {"title": title, "command": "codegen.write", "arguments": [data]}
    return [action]


async def resolve_code_action(session: Session, params: types.CodeAction) -> dict[str, Any]:
    """codeAction/resolve: the edit, and what is known of it."""
    result = await _written(session, params.data)
    _tell(session, result)
    return {
        "title": _title(result) or params.title,
        "kind": ACTION_KIND,
        "data": params.data,
        "edit": _edit(session, result),
    }


async def execute_command(session: Session, params: types.ExecuteCommandParams) -> Any:
    """workspace/executeCommand"""
    handler = COMMANDS.get(params.command)
    if handler is None:
        raise RpcError(Code.INVALID_PARAMS, f"unknown command {params.command[:100]}")
    return await handler(session, (params.arguments or [None])[0])


# Commands: session and first argument in, JSON out


async def _write(session: Session, data: Any) -> bool:
    result = await _written(session, data)
    is_applied = await session.editor.apply_edit(_title(result) or "Write code", _edit(session, result))
    if is_applied:
        _tell(session, result)
    return is_applied


async def _accepted(session: Session, number: Any) -> None:
    session.accepted(number)


async def _restart_host(session: Session, _: Any) -> dict[str, Any]:
    await session.restart_engine(stop_host=True)
    await session.model.ready(INVOKED_WAIT_S, insist=True)
    return inspect.status(session)


async def _status(session: Session, _: Any) -> dict[str, Any]:
    return inspect.status(session)


async def _inspect(session: Session, _: Any) -> dict[str, Any]:
    return inspect.session_state(session)


async def _explain_last(session: Session, how: Any) -> Any:
    return inspect.last_in_words(session) if field(how, "as") == "text" else inspect.last_trace(session)


# Details


async def _written(session: Session, data: Any) -> Result:
    """What a code action comes to. Raises RpcError when its edit cannot be had."""
    uri, version, offset = text_of(field(data, "uri")), field(data, "version"), number_of(field(data, "offset"))
    document = session.documents.get(uri)
    if document is None or offset is None or document.version != version:
        raise RpcError(Code.CONTENT_MODIFIED, "the document has changed")
    ask = session.ask(uri, offset, purpose=Purpose.ORDER)
    if ask is None:
        raise RpcError(Code.REQUEST_FAILED, "Nothing is written in this file: it is switched off or too large.")
    result = await session.slots.newest(ask.slot, session.implementing.write(ask, field(data, "kind")))
    if not ask.is_current:
        raise RpcError(Code.CONTENT_MODIFIED, "the document has changed")
    if result is None and session.slots.is_taken(ask.slot):
        raise RpcError(Code.REQUEST_FAILED, "A newer request took its place.")
    if result is None or not result.edits:
        raise _nothing(session, result)
    return result


def _nothing(session: Session, result: Result | None) -> RpcError:
    """Why an action came to nothing; also told in a message where an error reply would not be seen."""
    why = session.model.error or "The model has no suggestion here."
    if result:
        why = f"Nothing was good enough: {result.verdict.partition(': ')[2]}."
    if session.client.hides_errors:
        session.editor.show(why)
    return RpcError(Code.REQUEST_FAILED, why)


def _edit(session: Session, result: Result) -> dict[str, Any]:
    """The workspace edit of a result."""
    client, document = session.client, result.ask.document
    note = Note(TITLES[IntentKind.DOCSTRING], result.verdict) if result.verdict and client.has_annotations else None
    is_versioned = client.has_document_changes
    return workspace_edit(document, result.edits, client.encoding, versioned=is_versioned, note=note)


def _tell(session: Session, result: Result) -> None:
    """Say what is known of an edit that the user gets: not every editor shows the title of an action again."""
    if result.message:
        session.editor.inform(result.message)


def _title(result: Result | None) -> str:
    """The title of an action of which something is known; "" when nothing is."""
    return f"{TITLES[IntentKind.DOCSTRING]} ({result.mark})" if result and result.mark else ""


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


COMMANDS: Mapping[str, Callable[[Session, Any], Any]] = {
    "codegen.accepted": _accepted,
    "codegen.explainLast": _explain_last,
    "codegen.inspect": _inspect,
    "codegen.restartHost": _restart_host,
    "codegen.status": _status,
    "codegen.write": _write,
}

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
    types.TEXT_DOCUMENT_CODE_ACTION: code_action,
    types.CODE_ACTION_RESOLVE: resolve_code_action,
    types.WORKSPACE_EXECUTE_COMMAND: execute_command,
}
