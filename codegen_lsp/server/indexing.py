"""retrieval.Index over a process of our own (`python -m codegen_lsp.index`), one for each workspace folder.

Reading a workspace, and asking about it, takes time and memory that the server does not have: a keystroke must never
wait for it, and a file that no parser survives must not end the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from codegen_lsp import children
from codegen_lsp.server.convert import file_path
from codegen_lsp.server.model import Bar
from codegen_lsp.server.retrieval import Index
from codegen_lsp.settings import Settings

logger = logging.getLogger(__name__)

START_AFTER_S = 0.5
"""The first moments of an editor belong to the model."""
BAR_AFTER = 200
"""Fewer files are read before anybody could look at a bar."""
RESTART_S = (1.0, 5.0, 30.0, 300.0)
"""A process that ended by itself is started again after so long, each time in a row."""
SOUND_S = 60.0
"""One that lived for so long begins the row anew."""
CLOSE_S = 0.5
MAX_LINE = 1 << 22


class IndexProcess:
    """The process, its requests under way, and its progress."""

    def __init__(self, root: Path, settings: Settings, begin_bar: Callable[[str], Bar]) -> None:
        self._root = root
        self._settings = settings
        self._begin_bar = begin_bar
        self._numbers = count(1)
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._bar: Bar | None = None
        self.state = "starting"
        """In words, for `codegen.status`."""
        self._task = asyncio.create_task(self._run())

    async def request(self, method: str, params: Mapping[str, Any]) -> Any:
        """The answer; None while there is no process, and when it has none."""
        if self._process is None:
            return None
        number = next(self._numbers)
        future = self._pending[number] = asyncio.get_running_loop().create_future()
        self._send({"id": number, "method": method, "params": params})
        try:
            return await future
        finally:
            self._pending.pop(number, None)

    def notify(self, method: str, params: Mapping[str, Any]) -> None:
        """Tell it something; nobody is told when there is no process: a new one looks for itself."""
        self._send({"method": method, "params": params})

    async def close(self) -> None:
        """End the process: its input ends, and it has a moment to write down what it has."""
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        """Start the process, and again when it ends."""
        await asyncio.sleep(START_AFTER_S)
        num_ended = 0
        while num_ended <= len(RESTART_S):
            began = asyncio.get_running_loop().time()
            try:
                self._process = await self._started()
                self.state = "ready"
                await self._listen(self._process)
            except (OSError, ValueError) as error:  # it cannot be started, or says what is no message
                logger.warning("no index: %s", type(error).__name__)
            finally:
                await self._ended()
            is_sound = asyncio.get_running_loop().time() > began + SOUND_S
            num_ended = 1 if is_sound else num_ended + 1
            if num_ended <= len(RESTART_S):
                self.state = "restarting"
                await asyncio.sleep(RESTART_S[num_ended - 1])
        self.state = "off: its process keeps ending; see the log"
        logger.warning("the index process keeps ending; other files are not looked at any more")

    async def _started(self) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *children.command("codegen_lsp.index"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd="/",
            env=children.environment(),
            start_new_session=True,
            limit=MAX_LINE,
        )
        self._process = process
        languages, globs = self._settings.disabled_languages, self._settings.disabled_globs
        self._send({"root": str(self._root), "settings": {"disabled_languages": languages, "disabled_globs": globs}})
        return process

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            message = json.loads(line)
            if message.get("method") == "progress":
                self._progress(**message["params"])
            elif (future := self._pending.get(message.get("id"))) and not future.done():
                if "error" in message:
                    logger.info("the index has no answer: %s", message["error"])
                future.set_result(message.get("result"))

    def _progress(self, done: int, total: int) -> None:
        is_over = done >= total
        self.state = "ready" if is_over else f"reading: {done} of {total} files"
        if self._bar is None and not is_over and total - done > BAR_AFTER:
            self._bar = self._begin_bar(f"Reading {self._root.name}…")
        if self._bar is not None:
            self._bar.tell(done, total)
        if is_over:
            self._end_bar()

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar.end()
            self._bar = None

    def _send(self, message: Mapping[str, Any]) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError, RuntimeError):
                self._process.stdin.write(json.dumps(message).encode() + b"\n")

    async def _ended(self) -> None:
        """No process any more: nobody waits for it, and none of it is left."""
        process, self._process = self._process, None
        self._end_bar()
        for future in self._pending.values():
            if not future.done():
                future.set_result(None)
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), CLOSE_S)
        except (TimeoutError, asyncio.CancelledError):
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def index_factory(begin_bar: Callable[[str], Bar]) -> Callable[[str, Settings], Index | None]:
    """What opens the index of a workspace folder, by its URI; nobody's whole home is read."""

    def opened(root: str, settings: Settings) -> Index | None:
        path = file_path(root)
        is_project = path is not None and path.is_dir() and path not in (Path.home(), *Path.home().parents)
        return IndexProcess(path, settings, begin_bar) if path and is_project else None

    return opened
