"""The model as the server sees it: not asked for, loading, ready or failed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from codegen_lsp.core import ModelInfo, Tokenizer
from codegen_lsp.engine.api import Engine
from codegen_lsp.errors import CodegenError, ModelError
from codegen_lsp.server.logs import log_error
from codegen_lsp.settings import Settings

if TYPE_CHECKING:
    from codegen_lsp.prompt.formats import Format

logger = logging.getLogger(__name__)

EngineFactory = Callable[[Settings], Engine]

PROGRESS_AFTER_S = 0.3
"""Loading that is quicker is not worth a progress bar."""
RETRY_AFTER_S = 10.0
"""Seconds during which a failure to load is not tried again by itself."""


class Bar(Protocol):
    """Progress that is shown to the user."""

    def tell(self, done: int, total: int) -> None:
        """How far it is."""

    def end(self) -> None:
        """Take it away."""


class Editor(Protocol):
    """What the session may say to the editor."""

    def show(self, message: str) -> None:
        """One sentence to the user, of what is wrong."""

    def inform(self, message: str) -> None:
        """One sentence to the user, of what went well."""

    def begin_progress(self, title: str) -> Bar:
        """Show that something takes long."""

    async def watch_files(self, globs: Sequence[str]) -> None:
        """Ask to be told when files change; nothing comes of it when the editor cannot do that."""

    async def apply_edit(self, label: str, edit: dict[str, Any]) -> bool:
        """Apply a workspace edit; whether the editor did."""

    async def pull_settings(self) -> Any:
        """The editor's settings of ours; None when it cannot be asked. Raises when it does not say."""


class State(StrEnum):
    """Of the model."""

    IDLE = "idle"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True)
class Loaded:
    """Everything that a completion needs of a model."""

    engine: Engine
    info: ModelInfo
    fmt: Format
    tokenizer: Tokenizer


class Model:
    """Loads on first use, once for all who wait, and says so once when it cannot."""

    def __init__(self, factory: EngineFactory, settings: Settings, editor: Editor) -> None:
        self._factory = factory
        self._settings = settings
        self._editor = editor
        self._engine: Engine | None = None
        self._loaded: Loaded | None = None
        self._loading: asyncio.Task[None] | None = None
        self._retry_at = 0.0
        self._shown = ""
        self.error = ""
        """Why it is not there, in words."""

    @property
    def state(self) -> State:
        """Where it stands."""
        if self._loaded:
            return State.READY
        if self._loading:
            return State.LOADING
        return State.FAILED if self.error else State.IDLE

    @property
    def info(self) -> ModelInfo | None:
        """What is loaded."""
        return self._loaded.info if self._loaded else None

    async def ready(self, wait_s: float | None, *, insist: bool = False) -> Loaded | None:
        """The model, None when it is not there within `wait_s` seconds (None waits for as long as it loads).

        `insist` tries again at once after a failure.
        """
        if self._loaded:
            return self._loaded
        if self._loading is None:
            if not insist and asyncio.get_running_loop().time() < self._retry_at:
                return None
            self._loading = asyncio.create_task(self._load())
        await asyncio.wait({self._loading}, timeout=wait_s)
        return self._loaded

    def lost(self) -> None:
        """The engine failed: ask it again, which starts a host when there is none, before the next completion."""
        self._loaded = None

    async def reset(self, settings: Settings) -> None:
        """Drop the engine; the next use makes one with these settings."""
        self._settings = settings
        engine, self._engine, self._loaded = self._engine, None, None
        self.error, self._shown, self._retry_at = "", "", 0.0
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait({self._loading})
        if engine is not None:
            await engine.close()

    async def _load(self) -> None:
        self.error = ""
        bar: list[Bar] = []
        title = "Loading model…"
        timer = asyncio.get_running_loop().call_later(
            PROGRESS_AFTER_S, lambda: bar.append(self._editor.begin_progress(title))
        )
        try:
            self._loaded = await self._open()
            logger.info("model ready")
        except Exception as error:
            self._failed(error)
        finally:
            timer.cancel()
            self._loading = None
            for each in bar:
                each.end()

    async def _open(self) -> Loaded:
        # Imported here: the HTTP client and the tokenizer library would delay the answer to `initialize`.
        from codegen_lsp.prompt.formats import BY_NAME

        if self._engine is None:
            self._engine = self._factory(self._settings)
        info = await self._engine.info()
        if info.format not in BY_NAME:
            raise ModelError(f"The model {info.id} has the unknown prompt format {info.format!r}.")
        wait_ready = getattr(self._engine, "wait_ready", None)
        if wait_ready is not None:  # Engines that answer before their weights are there say when they are.
            await wait_ready()
        tokenizer = await asyncio.to_thread(read_tokenizer, info)
        return Loaded(self._engine, info, BY_NAME[info.format], tokenizer)

    def _failed(self, error: Exception) -> None:
        log_error("loading the model", error)
        known = isinstance(error, CodegenError)
        self.error = str(error) if known else f"The model cannot be loaded ({type(error).__name__}); see the log."
        self._retry_at = asyncio.get_running_loop().time() + RETRY_AFTER_S
        if self.error != self._shown:
            self._shown = self.error
            self._editor.show(self.error)


def read_tokenizer(info: ModelInfo) -> Tokenizer:
    """The tokenizer of a model. Raises ModelError."""
    from codegen_lsp.tokens import FileTokenizer

    if not info.folder:
        raise ModelError(f"The tokenizer of {info.id} is not on this machine; set `model` to a folder that has it.")
    path = Path(info.folder, "tokenizer.json")
    try:
        return FileTokenizer(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"Cannot read {path}: {error.strerror}.") from error
    except BaseException as error:  # A Rust panic is no Exception.
        raise ModelError(f"{path} is not a usable tokenizer.") from error
