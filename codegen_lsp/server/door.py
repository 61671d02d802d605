"""The server's life before `initialize` is answered, standard library only.

Importing pygls takes half a second and more; the editor has its answer before that begins. Nothing in
`initialize` can fail: unknown values are passed over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from codegen_lsp import __version__
from codegen_lsp.server import rpc
from codegen_lsp.server.rpc import Code, Message, RpcError
from codegen_lsp.text import Encoding

COMMANDS = (
    "codegen.accepted",
    "codegen.explainLast",
    "codegen.inspect",
    "codegen.restartHost",
    "codegen.status",
    "codegen.write",
)
ACTION_KIND = "refactor.rewrite"

SILENT = ("helix", "")
"""Names of editors that show no error of an action; Kate gives none."""


@dataclass(frozen=True)
class Client:
    """What we need to know of the editor."""

    name: str = ""
    process_id: int | None = None
    encoding: Encoding = Encoding.UTF16
    roots: tuple[str, ...] = ()
    """URIs of the workspace folders."""
    options: Any = None
    """initializationOptions."""
    has_inline_completion: bool = False
    has_progress: bool = False
    has_configuration: bool = False
    has_document_changes: bool = False
    has_annotations: bool = False
    """Whether an edit may say what it is."""
    watches_files: bool = False
    """Whether it can be asked to tell of changed files."""
    resolves_edits: bool = False
    """Whether a code action may come without its edit."""

    adjusts_lines: bool = False
    """Whether it gives the lines of a popup's item the indentation of the first, and cannot do otherwise."""

    @property
    def hides_errors(self) -> bool:
        """Whether the user may never see the error that an action ended with."""
        return self.name in SILENT


def read_client(params: Any) -> Client:
    """The client of an `initialize` request."""
    process_id = params.get("processId")
    edits = _dig(params, "capabilities", "workspace", "workspaceEdit")
    modes = _dig(
        params, "capabilities", "textDocument", "completion", "completionItem", "insertTextModeSupport", "valueSet"
    )
    resolved = _dig(params, "capabilities", "textDocument", "codeAction", "resolveSupport", "properties")
    return Client(
        name=str(_dig(params, "clientInfo", "name") or ""),
        process_id=process_id if isinstance(process_id, int) and process_id > 0 else None,
        encoding=_encoding(_dig(params, "capabilities", "general", "positionEncodings")),
        roots=_roots(params),
        options=params.get("initializationOptions"),
        has_inline_completion=isinstance(_dig(params, "capabilities", "textDocument", "inlineCompletion"), dict),
        has_progress=_dig(params, "capabilities", "window", "workDoneProgress") is True,
        has_configuration=_dig(params, "capabilities", "workspace", "configuration") is True,
        has_document_changes=_dig(edits, "documentChanges") is True,
        has_annotations=isinstance(_dig(edits, "changeAnnotationSupport"), dict),
        watches_files=_dig(params, "capabilities", "workspace", "didChangeWatchedFiles", "dynamicRegistration") is True,
        resolves_edits=isinstance(resolved, list) and "edit" in resolved,
        adjusts_lines=isinstance(modes, list) and 2 in modes and 1 not in modes,
    )


def capabilities(encoding: Encoding) -> dict[str, Any]:
    """The server's capabilities."""
    return {
        "positionEncoding": encoding.value,
        "textDocumentSync": {"openClose": True, "change": 2},
        "notebookDocumentSync": {"notebookSelector": [{"notebook": "*"}]},
        "inlineCompletionProvider": {},
        "completionProvider": {},
        "codeActionProvider": {"codeActionKinds": [ACTION_KIND], "resolveProvider": True},
        "executeCommandProvider": {"commands": list(COMMANDS)},
        "workspace": {"workspaceFolders": {"supported": True, "changeNotifications": True}},
    }


class Door:
    """Answers everything that comes before a valid `initialize`."""

    def __init__(self, send: Callable[[bytes], None], on_exit: Callable[[int], None]) -> None:
        self._send = send
        self._on_exit = on_exit

    def receive(self, body: bytes) -> Client | None:
        """Handle one message; the client once `initialize` has been answered."""
        try:
            return self._handle(rpc.parse(body))
        except RpcError as error:
            self._send(rpc.frame(rpc.error_reply(error)))
            return None

    def _handle(self, message: Message) -> Client | None:
        if message.method == "exit" and message.number is None:
            self._on_exit(1)
        if message.number is None:
            return None  # Notifications before `initialize` are dropped, as the specification says.
        if message.method is None:
            raise RpcError(Code.INVALID_REQUEST, "a request has a method", message.number)
        if message.method != "initialize":
            raise RpcError(Code.SERVER_NOT_INITIALIZED, "not initialized yet", message.number)
        if not isinstance(message.params, dict):
            raise RpcError(Code.INVALID_PARAMS, "initialize needs params", message.number)
        client = read_client(message.params)
        result = {
            "capabilities": capabilities(client.encoding),
            "serverInfo": {"name": "codegen-lsp", "version": __version__},
        }
        self._send(rpc.frame({"jsonrpc": "2.0", "id": message.number, "result": result}))
        return client


def _dig(data: Any, *names: str) -> Any:
    for name in names:
        data = data.get(name) if isinstance(data, dict) else None
    return data


def _encoding(offered: Any) -> Encoding:
    """The first that we know, in the client's order; UTF-16 when it offers none."""
    known = [name for name in offered if name in list(Encoding)] if isinstance(offered, list) else []
    return Encoding(known[0]) if known else Encoding.UTF16


def _roots(params: Any) -> tuple[str, ...]:
    folders = params.get("workspaceFolders")
    uris = [_dig(folder, "uri") for folder in folders] if isinstance(folders, list) else []
    return tuple(uri for uri in uris or [params.get("rootUri")] if isinstance(uri, str))
