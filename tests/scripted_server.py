"""The real server with an engine that plays a script; no torch. Usage: scripted_server.py [JSON of Script]."""

from __future__ import annotations

import asyncio
import atexit
import json
import shutil
import sys
import tempfile
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from codegen_lsp.core import Delta, ModelInfo, Prompt, SamplingParams
from codegen_lsp.errors import EngineFailed, EngineUnavailable
from codegen_lsp.server.app import ServeOptions, serve
from codegen_lsp.settings import Settings


@dataclass(frozen=True)
class Script:
    """What the engine does."""

    answer: str = "answer = 1\n"
    others: Sequence[str] = ()
    """By seed, from 1 on: what it says where it is asked for something else; without one, `answer`."""
    others_delay_s: float = 0.0
    delay_s: float = 0.0
    """Before the first token."""
    load_s: float = 0.0
    unavailable: str = ""
    fails: int = 0
    """So many generations fail."""
    panics: bool = False
    sure_from: float = 0.0
    log: str = ""
    """A line is written here for each event."""


class ScriptedEngine:
    """engine.api.Engine"""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.num_failed = 0
        self.newest: dict[str, object] = {}
        """The newest request of each document: like our host, it ends the older ones."""

    def note(self, event: str) -> None:
        if self.script.log:
            with Path(self.script.log).open("a") as file:
                file.write(event + "\n")

    async def info(self) -> ModelInfo:
        self.note("info")
        await asyncio.sleep(self.script.load_s)
        if self.script.unavailable:
            raise EngineUnavailable(self.script.unavailable)
        return ModelInfo(
            "scripted",
            tokenizer_folder(),
            "codegen",
            context_window=4096,
            prompt_budget=2048,
            sure_from=self.script.sure_from,
        )

    async def generate(
        self, prompt: Prompt, params: SamplingParams, *, document: str, heal: bool
    ) -> AsyncGenerator[Delta, None]:
        self.note("generate")
        try:
            request = self.newest[document] = object()
            await asyncio.sleep(self.script.delay_s)
            if self.newest[document] is not request:
                yield Delta("", finish="cancelled")
                return
            if self.script.panics:
                raise SystemExit(3)
            if self.num_failed < self.script.fails:
                self.num_failed += 1
                raise EngineFailed("killed")
            number = (params.seed or 0) - 1
            is_other = 0 <= number < len(self.script.others)
            await asyncio.sleep(self.script.others_delay_s if is_other else 0.0)
            text = self.script.others[number] if is_other else self.script.answer
            yield Delta(text, logprobs=(-0.1 * (number + 2),), tokens=(text,))
            yield Delta("", finish="stop")
        finally:
            self.note("generated")

    async def close(self) -> None:
        self.note("close")


@cache
def tokenizer_folder() -> str:
    """A folder with a tokenizer of bytes, which goes with this process."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({char: number for number, char in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    specials = ("fim_prefix", "fim_suffix", "fim_middle", "endoftext", "file_sep", "fim_pad")
    tokenizer.add_special_tokens([f"<|{name}|>" for name in specials])
    folder = tempfile.mkdtemp(prefix="codegen-test-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    tokenizer.save(str(Path(folder, "tokenizer.json")))
    return folder


def main() -> int:
    script = Script(**json.loads(sys.argv[1] if len(sys.argv) > 1 else "{}"))

    def engine(_: Settings) -> ScriptedEngine:
        return ScriptedEngine(script)

    return serve(ServeOptions(), engine_factory=engine)


if __name__ == "__main__":
    sys.exit(main())
