"""`api`: the model for editors that take an OpenAI-compatible endpoint for completions (Zed, plugins of others)."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codegen_lsp import registry
from codegen_lsp.cli.ask import document_of
from codegen_lsp.core import Context, ModelInfo, Snapshot, Tokenizer, Trigger
from codegen_lsp.engine.api import Engine
from codegen_lsp.errors import SettingsError
from codegen_lsp.prompt.formats import BY_NAME
from codegen_lsp.settings import parse

DESCRIPTION = """\
Serve /v1/completions and /v1/models on a loopback port, for editors whose ghost text asks an OpenAI-compatible
endpoint (fill in the middle) instead of a language server. Requests need the token (Authorization: Bearer …).

A request's "prompt" is the text before the cursor and its "suffix" the text behind it; a prompt that the editor has
written in the markers of Qwen, StarCoder, DeepSeek, Code Llama, GLM or Codestral is understood, too. Both are cut to
what the model can read.

An answer that is not streamed is what the language server would offer at that cursor, unasked: comments and docstrings
become code, it ends where it should, and is empty where the model is not sure. That takes a language, which no such
request says: Python for the bundled model, and what --language says for others. A stream, or an answer without a
language, is the model's own words. Ends with Ctrl-C.
"""
DEFAULT_PORT = 8731
MAX_TOKENS = 64
"""Of an answer whose length was not asked for."""
OFFERED_TOKENS = 256
"""Of what is offered: half a function is no offer."""
SUFFIX_SHARE = 0.25
PASSED = ("model", "top_p", "seed", "n", "stream", "stream_options", "logprobs")
"""Fields that the host uses as they are."""
CHECKED = ("echo", "best_of", "logit_bias", "presence_penalty", "frequency_penalty")
"""Those that it refuses unless they change nothing."""
ZED_KEY = "ZED_OPEN_AI_COMPATIBLE_EDIT_PREDICTION_API_KEY"


def fill(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = DESCRIPTION
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, metavar="N", help="0: any free one (%(default)s)")
    parser.add_argument("--token-env", metavar="VAR", help="environment variable with the token (default: a new one)")
    parser.add_argument("--model", default=registry.DEFAULT_MODEL, metavar="NAME|PATH", help="default: %(default)s")
    parser.add_argument("--language", metavar="NAME", help="of the code, as in python or rust; none: do not judge it")
    parser.add_argument("--device", default="auto", metavar="DEVICE", help="auto, cpu, cuda, cuda:1 (default: auto)")
    parser.add_argument("--dtype", default="auto", metavar="DTYPE", help="auto, float32, bfloat16, float16, int8")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    if not 0 <= args.port <= 65535:
        raise SettingsError("--port must be between 0 and 65535.")
    if problems := parse({"device": args.device, "dtype": args.dtype})[1]:
        raise SettingsError("; ".join(problems) + ".")
    from codegen_lsp.syntax.endings import LANGUAGES
    from codegen_lsp.tokens import FileTokenizer

    info, token = registry.find(args.model), _token(args.token_env)
    language = args.language or ("python" if args.model == registry.DEFAULT_MODEL else "none")
    if language not in (*LANGUAGES.values(), "none"):
        raise SettingsError(
            f"--language {language} is not known; it is one of {', '.join(sorted(set(LANGUAGES.values())))}."
        )
    prompter = Prompter(info, FileTokenizer(Path(info.folder, "tokenizer.json").read_bytes()))
    return asyncio.run(_serve(args, prompter, language, token))


async def _serve(args: argparse.Namespace, prompter: Prompter, language: str, token: str) -> int:
    """Serve until interrupted."""
    from codegen_lsp.engine.gateway import Gateway, open_door
    from codegen_lsp.engine.launch import HostSpec, ensure_host, socket_path
    from codegen_lsp.engine.openai import connect

    spec = HostSpec(prompter.info.folder, args.device, args.dtype)
    engine = connect(args.model, device=args.device, dtype=args.dtype)
    offer = None if language == "none" else Suggester(prompter, engine, language).offer

    async def find_host() -> str:
        return str(await ensure_host(spec))

    gateway = Gateway(token, str(socket_path(spec)), find_host, prompter.prepare, offer)
    runner, port = await open_door(gateway, args.port)
    try:
        print(greeting(port, prompter.info.id, "" if args.token_env else token), flush=True)
        await find_host()  # So that the model is there at the first key.
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
        await engine.close()
    return 0


def greeting(port: int, model: str, token: str) -> str:
    """What to put where, a line each. A token of the user's own ("" here) is not repeated."""
    url = f"http://127.0.0.1:{port}/v1/completions"
    zed = {"api_url": url, "model": model, "prompt_format": "qwen", "max_output_tokens": OFFERED_TOKENS}
    setting = {"provider": "open_ai_compatible_api", "open_ai_compatible_api": zed}
    lines = [
        f"Completions for {model}: {url}" + (f", token {token}" if token else ""),
        f'Zed, settings.json: "edit_predictions": {json.dumps(setting)}; its API key ({ZED_KEY}) is the token.',
    ]
    return "\n".join(lines)


def _token(variable: str | None) -> str:
    if variable is None:
        return secrets.token_urlsafe(32)
    token = os.environ.get(variable, "").strip()
    if not token:
        raise SettingsError(f"--token-env: the environment variable {variable} is not set.")
    return token


@dataclass(frozen=True)
class Prompter:
    """An editor's request in the format of the model that is there."""

    info: ModelInfo
    tokenizer: Tokenizer

    def prepare(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body for the host: token ids, greedy unless told otherwise. Raises ValueError."""
        from codegen_lsp.prompt.fim import MARKERS
        from codegen_lsp.prompt.render import render

        max_tokens = MAX_TOKENS if body.get("max_tokens") is None else body["max_tokens"]
        context = self._fitted(*_texts(body), max_tokens if isinstance(max_tokens, int) else MAX_TOKENS)
        prompt = render(context, BY_NAME[self.info.format], self.tokenizer)
        stops = [body["stop"]] if isinstance(body.get("stop"), str) else body.get("stop") or []
        return {
            **{name: body[name] for name in (*PASSED, *CHECKED) if body.get(name) is not None},
            "prompt": prompt.ids,
            "max_tokens": max_tokens,
            "temperature": body.get("temperature") or 0,
            # Zed sends fourteen, all of them markers; the API allows four.
            "stop": stops if not isinstance(stops, list) else [each for each in stops if str(each) not in MARKERS],
            "stop_token_ids": prompt.stop_ids,
            "heal": bool(context.prefix.rpartition("\n")[2].strip(" \t")),
        }

    def _fitted(self, prefix: str, suffix: str, max_tokens: int) -> Context:
        """What of the texts the model can read: the nearest lines."""
        from codegen_lsp.context.budget import nearest_after, nearest_before
        from codegen_lsp.pipeline import budget_of

        def count(text: str) -> int:
            return len(self.tokenizer.encode(text))

        budget = budget_of(self.info, min(max_tokens, self.info.context_window // 2))
        behind = nearest_after(suffix, int(budget * SUFFIX_SHARE), count).text
        before = nearest_before(prefix, budget - count(behind), count).text
        return Context("", "", before, behind)


@dataclass(frozen=True)
class Suggester:
    """What the language server would offer at an editor's cursor."""

    prompter: Prompter
    engine: Engine
    language: str

    async def offer(self, body: dict[str, Any]) -> tuple[str, Mapping[str, float]] | None:
        """The text to insert ("": nothing) and the usage; None where the words themselves are asked for.

        Raises ValueError and EngineError.
        """
        from codegen_lsp import pipeline
        from codegen_lsp.postprocess.edit import at_cursor

        info, max_tokens = self.prompter.info, body.get("max_tokens") or OFFERED_TOKENS
        if any(body.get(name) for name in ("stream", "logprobs", "temperature")) or body.get("n") not in (None, 1):
            return None
        before, behind = _texts(body)
        if body.get("model") not in (None, "", info.id):
            raise ValueError(f"The model {body['model']!r} is not served here; it is {info.id}.")
        if type(max_tokens) is not int or not 1 <= max_tokens <= 4096:
            raise ValueError("max_tokens must be a whole number from 1 to 4096.")
        snapshot = Snapshot(
            "",
            self.language,
            before + behind,
            len(before),
            uri=document_of("api"),
            trigger=Trigger.AUTOMATIC,
        )
        answer = await pipeline.complete(
            snapshot,
            self.engine,
            info,
            BY_NAME[info.format],
            self.prompter.tokenizer,
            options=pipeline.Options(max_tokens, min_confidence=info.sure_from),
        )
        edit = answer.edit and at_cursor(answer.edit, snapshot.text, snapshot.offset)
        return (edit.text if edit else ""), answer.usage


def _texts(body: dict[str, Any]) -> tuple[str, str]:
    """The texts before and behind the cursor, with "\\n" for line ends. Raises ValueError."""
    from codegen_lsp.prompt.fim import texts_of
    from codegen_lsp.text import with_newlines

    prompt, suffix = body.get("prompt"), body.get("suffix") or ""
    if not isinstance(prompt, str) or not isinstance(suffix, str):
        raise ValueError("prompt and suffix must be one text each.")
    if not suffix:
        prompt, suffix = texts_of(prompt) or (prompt, "")
    return with_newlines(prompt), with_newlines(suffix)
