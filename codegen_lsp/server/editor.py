"""What the server says to the editor by itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from lsprotocol import types

from codegen_lsp.server.convert import field
from codegen_lsp.server.door import Client
from codegen_lsp.server.model import Bar
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

    def inform(self, message: str) -> None:
        """One sentence to the user, of what went well."""
        params = {"type": types.MessageType.Info.value, "message": message}
        self._protocol.tell(types.WINDOW_SHOW_MESSAGE, params)

    def begin_progress(self, title: str) -> Bar:
        """Show that something takes long. Editors without progress get a line in their log when it begins and ends."""
        if not self._client.has_progress:
            return _LogBar(self._log, title)
        bar = _ProgressBar(self._protocol, f"codegen-progress-{next(self._tokens)}", title)
        task = asyncio.ensure_future(bar.show())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return bar

    async def watch_files(self, globs: Sequence[str]) -> None:
        """Ask to be told when files change; nothing comes of it when the editor cannot do that."""
        if not self._client.watches_files:
            return
        method = types.WORKSPACE_DID_CHANGE_WATCHED_FILES
        options = {"watchers": [{"globPattern": glob} for glob in globs]}
        registration = {"id": "codegen-files", "method": method, "registerOptions": options}
        with contextlib.suppress(RpcError):
            await self._protocol.ask(types.CLIENT_REGISTER_CAPABILITY, {"registrations": [registration]})

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


class _LogBar:
    """model.Bar of two lines in the editor's log."""

    def __init__(self, log: Callable[[str], None], title: str) -> None:
        self._log, self._title = log, title
        log(title)

    def tell(self, done: int, total: int) -> None:
        """Nothing: a log is not a bar."""

    def end(self) -> None:
        """Say that it is done."""
        self._log(f"{self._title} done")


class _ProgressBar:
    """model.Bar of the editor's own."""

    def __init__(self, protocol: Protocol, token: str, title: str) -> None:
        self._protocol, self._token, self._title = protocol, token, title
        self._over = asyncio.Event()
        self._is_shown = False

    def tell(self, done: int, total: int) -> None:
        """How far it is, in words: a bar that begins without a percentage has none."""
        if self._is_shown and not self._over.is_set():
            self._progress({"kind": "report", "message": f"{self._title} {done} of {total}"})

    def end(self) -> None:
        """Take it away."""
        self._over.set()

    async def show(self) -> None:
        """A bar until it is over; none, and not a word of it, when the editor refuses the token."""
        try:
            await self._protocol.ask(types.WINDOW_WORK_DONE_PROGRESS_CREATE, {"token": self._token})
        except RpcError:
            return
        self._is_shown = True
        self._progress({"kind": "begin", "title": "codegen", "message": self._title})
        await self._over.wait()
        self._progress({"kind": "end"})

    def _progress(self, value: dict[str, Any]) -> None:
        self._protocol.tell(types.PROGRESS, {"token": self._token, "value": value})
