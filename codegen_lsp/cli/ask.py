"""What the commands that ask the model share: options, the engine, and one completion."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from codegen_lsp import registry
from codegen_lsp.cli.terminal import Status
from codegen_lsp.core import Completion, ModelInfo, Snapshot, Snippet, Tokenizer
from codegen_lsp.engine.api import Engine, Wire
from codegen_lsp.errors import ModelError, SettingsError
from codegen_lsp.prompt.formats import BY_NAME, Format
from codegen_lsp.settings import parse

T = TypeVar("T")


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Options that say which model answers."""
    group = parser.add_argument_group("model")
    group.add_argument("--model", default=registry.DEFAULT_MODEL, metavar="NAME|PATH", help="default: %(default)s")
    group.add_argument("--endpoint", metavar="URL", help="another OpenAI-compatible server, instead of our own host")
    group.add_argument("--api-key-env", metavar="VAR", help="environment variable with the endpoint's key")
    group.add_argument("--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda, cuda:1 (default: auto)")
    group.add_argument("--dtype", default="auto", metavar="DTYPE", help="auto, float32, bfloat16, float16, int8")


def add_index_option(parser: argparse.ArgumentParser) -> None:
    """The option that leaves other files out."""
    parser.add_argument("--no-index", action="store_true", help="show the model nothing of the project's other files")


def add_sampling_options(parser: argparse.ArgumentParser) -> None:
    """Options that say how it answers."""
    group = parser.add_argument_group("answer")
    group.add_argument("--max-tokens", type=int, metavar="N", help="longest answer (default: by its shape)")
    group.add_argument("--temperature", type=float, default=0.0, metavar="T", help="0 is greedy (default)")
    group.add_argument("--seed", type=int, metavar="N", help="same seed, same answer (with a temperature)")
    group.add_argument("--min-confidence", type=float, default=0.0, metavar="P", help="offer nothing below (0 to 1)")
    group.add_argument("--no-healing", action="store_true", help="take the last token before the cursor as it is")


@dataclass(frozen=True)
class Desk:
    """An engine with all that is needed to ask it."""

    engine: Engine
    info: ModelInfo
    fmt: Format
    tokenizer: Tokenizer
    args: argparse.Namespace

    async def complete(self, snapshot: Snapshot, snippets: Sequence[Snippet] = ()) -> Completion:
        """One completion, as the language server would make it; `snippets` of other files, the best first."""
        from codegen_lsp import pipeline

        return await pipeline.complete(
            replace(snapshot, uri=document_of(snapshot.path)),
            self.engine,
            self.info,
            self.fmt,
            self.tokenizer,
            options=options(self.args),
            snippets=snippets,
            clock=time.perf_counter,
        )


def document_of(path: str) -> str:
    """The host's name for a document of this process: a request of another one must not pre-empt ours."""
    return f"{os.getpid()}:{path}"


def options(args: argparse.Namespace) -> Any:
    """pipeline.Options of the command's arguments; raises SettingsError."""
    from codegen_lsp.pipeline import Options

    if args.max_tokens is not None and not 1 <= args.max_tokens <= 4096:
        raise SettingsError("--max-tokens must be between 1 and 4096.")
    if not 0.0 <= args.temperature <= 2.0:
        raise SettingsError("--temperature must be between 0 and 2.")
    if not 0.0 <= args.min_confidence <= 1.0:
        raise SettingsError("--min-confidence must be between 0 and 1.")
    if args.seed is not None and not -(1 << 63) <= args.seed < 1 << 64:
        raise SettingsError("--seed must fit into 64 bits.")
    return Options(
        max_tokens=args.max_tokens,
        temperature=args.temperature,
        seed=args.seed,
        min_confidence=args.min_confidence,
        heal=not args.no_healing,
    )


@asynccontextmanager
async def open_desk(args: argparse.Namespace, wire: Wire | None = None) -> AsyncIterator[Desk]:
    """Join or start the host, with progress on a terminal; raises EngineError, ModelError.

    `wire` is how to wait for our own host: without an event loop unless it says otherwise.
    """
    from codegen_lsp.engine import blocking
    from codegen_lsp.engine.openai import connect

    if problems := parse({"device": args.device, "dtype": args.dtype})[1]:
        raise SettingsError("; ".join(problems) + ".")
    if args.api_key_env and not os.environ.get(args.api_key_env):
        raise SettingsError(f"--api-key-env: the environment variable {args.api_key_env} is not set.")
    key = os.environ[args.api_key_env] if args.api_key_env else ""
    engine = connect(
        args.model, endpoint=args.endpoint, api_key=key, device=args.device, dtype=args.dtype, wire=wire or blocking
    )
    status = Status()
    try:
        await engine.wait_ready(lambda state: status("" if state == "ready" else f"model host: {state} …"))
        info = await engine.info()
        status.clear()
        yield Desk(engine, info, BY_NAME[info.format], _tokenizer(info), args)
    finally:
        status.clear()
        await engine.close()


def _tokenizer(info: ModelInfo) -> Tokenizer:
    from codegen_lsp.tokens import FileTokenizer

    if not info.folder:
        raise ModelError(f"The tokenizer of {info.id} is not on this machine; give --model a folder that has it.")
    return FileTokenizer(Path(info.folder, "tokenizer.json").read_bytes())


def run_async(args: argparse.Namespace, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a command's coroutine; Ctrl-C ends it, which also cancels the generation."""
    if args.endpoint and args.endpoint.startswith("http"):
        import asyncio  # aiohttp needs a loop, our own host does not

        return asyncio.run(main())
    from codegen_lsp.engine import blocking

    return blocking.run(main())
