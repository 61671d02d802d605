"""What the server says to the editor by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Any

from lsprotocol import types

from codegen_lsp.server.convert import field
from codegen_lsp.server.door import Client
from codegen_lsp.server.protocol import Protocol
from codegen_lsp.server.rpc import RpcError

ASK_TIMEOUT_S = 10.0


class LspEditor:
    """model.Editor over the protocol."""

    def __init__(self, protocol: Protocol, client: Client) -> None:
        self._protocol = protocol
        self._client = client
        self._tokens = count(1)
        self._tasks: set[asyncio.Task[Any]] = set()

    def show(self, message: str) -> None:
        """One sentence to the user."""
        params = {"type": types.MessageType.Warning.value, "message": message}
        self._protocol.tell(types.WINDOW_SHOW_MESSAGE, params)

    def begin_progress(self, title: str) -> Callable[[], None]:
        """Show that something takes long; returns what ends it. Editors without progress get a line in their log."""
        if not self._client.has_progress:
            self._log(title)
            return lambda: self._log(f"{title} done")
        over = asyncio.Event()
        task = asyncio.ensure_future(self._bar(f"codegen-progress-{next(self._tokens)}", title, over))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return over.set

    async def apply_edit(self, label: str, edit: dict[str, Any]) -> bool:
        """Ask the editor to apply an edit; whether it did."""
        try:
            answer = await self._protocol.ask(types.WORKSPACE_APPLY_EDIT, {"label": label, "edit": edit})
        except RpcError:
            return False
        return field(answer, "applied") is True

    async def pull_settings(self) -> Any:
        """The editor's settings of ours, None when it cannot be asked. Raises RpcError, TimeoutError."""
        if not self._client.has_configuration:
            return None
        params = {"items": [{"section": "codegen"}]}
        async with asyncio.timeout(ASK_TIMEOUT_S):
            answer = await self._protocol.ask(types.WORKSPACE_CONFIGURATION, params)
        return answer[0] if isinstance(answer, list) and answer else None

    def _log(self, message: str) -> None:
        params = {"type": types.MessageType.Info.value, "message": message}
        self._protocol.tell(types.WINDOW_LOG_MESSAGE, params)

    async def _bar(self, token: str, title: str, over: asyncio.Event) -> None:
        """A progress bar until it is over; none, and not a word of it, when the editor refuses the token."""
        try:
            await self._protocol.ask(types.WINDOW_WORK_DONE_PROGRESS_CREATE, {"token": token})
        except RpcError:
            return
        self._progress(token, {"kind": "begin", "title": "codegen", "message": title})
        await over.wait()
        self._progress(token, {"kind": "end"})

    def _progress(self, token: str, value: dict[str, Any]) -> None:
        self._protocol.tell(types.PROGRESS, {"token": token, "value": value})
