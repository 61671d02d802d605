"""The scripted server, which also writes down what its engine is shown. Usage: jupyterlab_server.py JSON-of-Script."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from scripted_server import Script, ScriptedEngine, tokenizer_folder

from codegen_lsp.core import Delta, Prompt, SamplingParams
from codegen_lsp.server.app import ServeOptions, serve
from codegen_lsp.settings import Settings


class Witness(ScriptedEngine):
    """A line "prompt …" for each generation."""

    async def generate(
        self, prompt: Prompt, params: SamplingParams, *, document: str, heal: bool
    ) -> AsyncGenerator[Delta, None]:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(Path(tokenizer_folder(), "tokenizer.json")))
        self.note("prompt " + json.dumps(tokenizer.decode(list(prompt.ids))))
        async with aclosing(super().generate(prompt, params, document=document, heal=heal)) as deltas:
            async for delta in deltas:
                yield delta


def main() -> int:
    script = Script(**json.loads(sys.argv[1]))

    def engine(_: Settings) -> Witness:
        return Witness(script)

    return serve(ServeOptions(), engine_factory=engine)


if __name__ == "__main__":
    sys.exit(main())
