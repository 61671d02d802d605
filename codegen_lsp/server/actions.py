"""Code actions, and the commands of our own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lsprotocol import types

from codegen_lsp.core import IntentKind, Trigger
from codegen_lsp.server import inspect
from codegen_lsp.server.asks import Purpose
from codegen_lsp.server.convert import Note, field, number_of, text_of, workspace_edit
from codegen_lsp.server.door import ACTION_KIND
from codegen_lsp.server.implementing import Result
from codegen_lsp.server.rpc import Code, RpcError
from codegen_lsp.server.session import INVOKED_WAIT_S, Session

TITLES = {
    IntentKind.COMMENT_ABOVE: "Write code from this comment",
    IntentKind.COMMENT_TRAILING: "Write code from this comment",
    IntentKind.DOCSTRING: "Implement from docstring",
}


async def code_action(session: Session, params: types.CodeActionParams) -> list[dict[str, Any]]:
    """textDocument/codeAction: what could be written here; the model is asked when the user chooses it."""
    only = params.context.only
    if only and not any(str(kind) == ACTION_KIND or ACTION_KIND.startswith(f"{kind}.") for kind in only):
        return []
    uri, position = params.text_document.uri, (params.range.end.line, params.range.end.character)
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


# What an action comes to


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


COMMANDS: Mapping[str, Callable[[Session, Any], Any]] = {
    "codegen.accepted": _accepted,
    "codegen.explainLast": _explain_last,
    "codegen.inspect": _inspect,
    "codegen.restartHost": _restart_host,
    "codegen.status": _status,
    "codegen.write": _write,
}
