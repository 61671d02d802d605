"""A websocket with a language server of its own behind it: LSP messages in both directions, as they are.

jupyter-lsp has such sockets, too, but one process for all windows of a server, whose message ids and documents then
collide; it looks for output every tenth of a second; and it does not tell anybody that a process has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
from asyncio.subprocess import PIPE, Process
from importlib import metadata
from pathlib import Path
from typing import Any

from jupyter_core.utils import ensure_async
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from jupyter_server.utils import url_path_join
from tornado import web
from tornado.websocket import WebSocketClosedError, WebSocketHandler
from traitlets import List, Unicode
from traitlets.config import Configurable

LEAVE_S = 5.0
"""How long a server may take to end after its input has."""
FAILED = 1011
"""Websocket's status for what went wrong on this side; the reason says what."""


class CodegenLsp(Configurable):
    """What an administrator may say, in jupyter_server_config.json."""

    command = List(Unicode(), help="How the language server is started.").tag(config=True)

    def found(self) -> list[str]:
        """The command: the one that was given, this environment's own, or the one on PATH; empty when there is none."""
        if self.command:
            return list(self.command)
        with contextlib.suppress(metadata.PackageNotFoundError):
            metadata.distribution("codegen-lsp")
            return [sys.executable, "-P", "-m", "codegen_lsp", "serve"]
        program = shutil.which("codegen-lsp")
        return [program, "serve"] if program else []


class Relay(WebSocketMixin, WebSocketHandler, JupyterHandler):
    """`codegen-lsp/ws`: JupyterLab's token, its check of the origin, and its right to execute.

    The server runs outside of the folder that Jupyter serves: nothing that lies there is imported.
    """

    def initialize(self, command: list[str]) -> None:
        self.command = command
        self.process: Process | None = None
        self.reading: asyncio.Task[None] | None = None

    async def get(self, *args: Any, **kwargs: Any) -> None:
        if self.current_user is None:
            raise web.HTTPError(403)
        if not await ensure_async(self.authorizer.is_authorized(self, self.current_user, "execute", "codegen-lsp")):
            raise web.HTTPError(403)
        await super().get(*args, **kwargs)

    async def open(self, *args: str, **kwargs: str) -> None:
        super().open(*args, **kwargs)
        if not self.command:
            self.close(FAILED, "the server is not installed where Jupyter runs: pip install . in the clone of codegen-lsp")
            return
        try:
            process = await asyncio.create_subprocess_exec(*self.command, cwd=Path.home(), stdin=PIPE, stdout=PIPE)
        except OSError as error:
            self.close(FAILED, f"the server could not be started: {error.strerror}")
            return
        self.process = process
        self.reading = asyncio.create_task(self.read(process))

    async def on_message(self, message: str | bytes) -> None:
        """One message of the editor. Waiting for it to be taken is what slows a flood of them down."""
        if self.process is None or self.process.stdin is None:
            return
        body = message.encode() if isinstance(message, str) else message
        with contextlib.suppress(ConnectionError):
            self.process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
            await self.process.stdin.drain()

    async def read(self, process: Process) -> None:
        """All messages of the language server, and its end."""
        assert process.stdout is not None
        with contextlib.suppress(asyncio.IncompleteReadError, WebSocketClosedError):
            while True:
                await self.write_message((await framed(process.stdout)).decode())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), LEAVE_S)
        self.close(FAILED, f"the server has ended with status {process.returncode}")

    def on_close(self) -> None:
        """The window is gone: the server sees the end of its input."""
        super().on_close()
        if self.process is not None:
            asyncio.get_running_loop().create_task(leave(self.process))


async def framed(stream: asyncio.StreamReader) -> bytes:
    """The body of the next message. Raises IncompleteReadError at the end."""
    length = 0
    while line := (await stream.readuntil(b"\n")).strip():
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return await stream.readexactly(length)


async def leave(process: Process) -> None:
    """Let a server end by itself, and end it when it does not."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), LEAVE_S)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


def add_to(app: Any) -> None:
    """Serve the socket."""
    command = CodegenLsp(config=app.config).found()
    route = url_path_join(app.web_app.settings["base_url"], "codegen-lsp", "ws")
    app.web_app.add_handlers(".*", [(route, Relay, {"command": command})])
    app.log.info("codegen-lsp: %s", " ".join(command) or "not installed")
