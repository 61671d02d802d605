"""The process: pipes, the door, then pygls; and when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from codegen_lsp.server import logs
from codegen_lsp.server.door import Client, Door
from codegen_lsp.server.parent import gone
from codegen_lsp.server.rpc import Frames, RpcError, error_reply, frame
from codegen_lsp.server.stdio import Inbox, Outbox, claim_stdio

if TYPE_CHECKING:
    from codegen_lsp.engine.api import Engine
    from codegen_lsp.server.model import EngineFactory
    from codegen_lsp.server.protocol import Protocol
    from codegen_lsp.server.session import Session
    from codegen_lsp.settings import Settings

logger = logging.getLogger(__name__)

CLOSE_S = 0.8
"""Seconds that each step of the end may take."""


@dataclass(frozen=True)
class ServeOptions:
    """What the command line says."""

    settings: Mapping[str, object] = field(default_factory=dict)
    """Settings that win over the editor's, as settings.parse reads them."""
    log_level: str = "warning"


def serve(options: ServeOptions | None = None, *, engine_factory: EngineFactory | None = None) -> int:
    """Serve one editor on stdin and stdout; the exit code, once it has said `exit`, closed the pipe or died."""
    options = options or ServeOptions()
    logs.configure(options.log_level)
    stdin, stdout = claim_stdio()
    try:
        return asyncio.run(App(options, engine_factory).run(stdin, stdout))
    except KeyboardInterrupt:
        return 130
    finally:
        faulthandler.cancel_dump_traceback_later()


class App:
    """One connection, from the first byte to the exit code."""

    def __init__(self, options: ServeOptions, engine_factory: EngineFactory | None) -> None:
        self._options = options
        self._engine_factory = engine_factory
        self._frames = Frames()
        self._protocol: Protocol | None = None
        self._session: Session | None = None
        self._parent: asyncio.Task[None] | None = None

    async def run(self, stdin: int, stdout: int) -> int:
        """Serve until the end."""
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._outbox = Outbox(stdout, on_lost=lambda: self._end(0))
        self._door = Door(self._outbox.send, self._end)
        Inbox(stdin, self._receive).start()
        code = await self._ended
        await self._close()
        if self._session is not None and self._session.implementing.is_running:
            os._exit(code)  # Its thread would keep us for seconds; what it runs ends with us.
        return code

    def _end(self, code: int) -> None:
        if not self._ended.done():
            self._ended.set_result(code)

    async def _receive(self, chunk: bytes) -> None:
        """Handle what the client has sent; b"" when it has closed the pipe."""
        if not chunk:
            self._end(0)
        for body in self._frames.feed(chunk):
            if self._ended.done():
                return
            await self._outbox.room()
            try:
                await self._handle(body)
            except Exception as error:  # A mistake of ours must not end the reading.
                logs.log_error("a message", error)

    async def _handle(self, body: bytes | RpcError) -> None:
        if isinstance(body, RpcError):
            self._outbox.send(frame(error_reply(body)))
        elif self._protocol is not None:
            await self._protocol.receive(body)
        elif (client := self._door.receive(body)) is not None:
            if client.process_id is not None:
                self._parent = asyncio.create_task(self._watch(client.process_id))
            try:
                self._enter(client)
            except Exception:
                self._end(1)
                raise

    def _enter(self, client: Client) -> None:
        """Behind the door. The editor has its answer, so now there is time for pygls."""
        began = time.perf_counter()
        from pygls.lsp.server import LanguageServer

        from codegen_lsp import __version__
        from codegen_lsp.server.editor import LspEditor
        from codegen_lsp.server.handlers import register
        from codegen_lsp.server.indexing import index_factory
        from codegen_lsp.server.protocol import Protocol
        from codegen_lsp.server.session import Session

        server = LanguageServer("codegen-lsp", __version__, protocol_cls=Protocol)
        protocol = server.protocol
        assert isinstance(protocol, Protocol)
        protocol.begin(self._outbox.send, self._end)
        factory = self._engine_factory or default_engine
        editor = LspEditor(protocol, client)
        index = index_factory(editor.begin_progress)
        self._session = Session(client, editor, factory, self._options.settings, index)
        if self._engine_factory is None:
            self._session.stop_host = stop_host
        register(server, self._session)
        self._protocol = protocol
        logger.info("ready %.0f ms after initialize", (time.perf_counter() - began) * 1000)

    async def _watch(self, pid: int) -> None:
        """End with the editor's process."""
        await gone(pid)
        logger.warning("the editor (process %d) is gone", pid)
        self._end(0)

    async def _close(self) -> None:
        """Nothing of ours is left behind, and nothing that hangs keeps us."""
        faulthandler.dump_traceback_later(2 * CLOSE_S, exit=True)
        if self._parent is not None:
            self._parent.cancel()
        with contextlib.suppress(TimeoutError, Exception):
            async with asyncio.timeout(CLOSE_S):
                if self._protocol is not None:
                    await asyncio.gather(*self._protocol.cancel_all(), return_exceptions=True)
                if self._session is not None:
                    await self._session.close()
        await self._outbox.close(CLOSE_S)


def default_engine(settings: Settings) -> Engine:
    """The engine that the settings ask for: our own host, started on demand, or another server."""
    from codegen_lsp import registry
    from codegen_lsp.engine.openai import connect

    wanted = settings.engine
    return connect(
        wanted.model or registry.DEFAULT_MODEL,
        endpoint=wanted.endpoint,
        api_key=os.environ.get(wanted.api_key_env, "") if wanted.api_key_env else "",
        device=wanted.device,
        dtype=wanted.dtype,
        idle=wanted.idle_exit_s,
    )


async def stop_host(settings: Settings, folder: str) -> None:
    """Stop our host of a model, because the user asked: its other editors find or start the next one."""
    from codegen_lsp.engine import launch

    wanted = settings.engine
    if not wanted.endpoint:
        await launch.stop_host(launch.socket_path(launch.HostSpec(folder, wanted.device, wanted.dtype)))
