"""`explain FILE:LINE`: what the model was shown, what it said, what was done to it, and how long each part took."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

from codegen_lsp.cli.ask import add_index_option, add_model_options, add_sampling_options, open_desk, run_async
from codegen_lsp.cli.complete import as_json
from codegen_lsp.cli.files import open_at, parse_place
from codegen_lsp.cli.index import snippets_at
from codegen_lsp.cli.terminal import by_probability, paint
from codegen_lsp.core import Completion, ModelInfo, Segment, Snapshot, Snippet


def fill(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = "Complete at a place and show the prompt's parts, token probabilities, filters and times."
    parser.add_argument(
        "place",
        metavar="FILE:LINE[:COL]",
        help="counted from 1; default: end of the line; for a notebook FILE:CELL:LINE[:COL]",
    )
    parser.add_argument("--json", action="store_true", help="everything as JSON")
    add_index_option(parser)
    add_sampling_options(parser)
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    opened = open_at(parse_place(args.place))
    snapshot = opened.snapshot
    snippets = [] if args.no_index else snippets_at(opened.path, snapshot)
    return run_async(args, lambda: _explain(args, snapshot, snippets))


async def _explain(args: argparse.Namespace, snapshot: Snapshot, snippets: Sequence[Snippet]) -> int:
    async with open_desk(args) as desk:
        answer = await desk.complete(snapshot, snippets)
    if args.json:
        print(json.dumps({**_everything(answer, desk.info, snapshot.floor), "snippets": _found(answer, snippets)}))
    else:
        print("\n".join((*_report(answer, desk.info), *_of_others(answer, snippets))))
    return 0 if answer.edit else 1


def _everything(answer: Completion, info: ModelInfo, floor: int) -> dict[str, Any]:
    segments = answer.prompt.segments if answer.prompt else ()
    return {
        **as_json(answer, floor),
        "model": info.id,
        "shape": answer.intent.shape if answer.intent else None,
        "prompt": [{"name": part.name, "tokens": part.num_tokens, "text": part.text} for part in segments],
        "tokens": [[text, round(math.exp(logprob), 4)] for text, logprob in answer.tokens],
        "filters": list(answer.filters),
        "usage": dict(answer.usage),
    }


def _found(answer: Completion, snippets: Sequence[Snippet]) -> list[dict[str, Any]]:
    """Every piece of another file that was found: from where, why, and as how many tokens; 0 when it did not fit."""
    segments = answer.prompt.segments if answer.prompt else ()
    shown = {part.text: part.num_tokens for part in segments if part.name.startswith("snippet ")}
    return [
        {"path": each.path, "reason": each.reason, "score": each.score}
        | {"tokens": shown.get(f"{each.path}\n{each.text}\n", 0)}
        for each in snippets
    ]


def _of_others(answer: Completion, snippets: Sequence[Snippet]) -> Iterable[str]:
    for each in _found(answer, snippets):
        what = f"{each['tokens']} tokens" if each["tokens"] else "no room"
        yield f"found: {each['path']} ({each['reason']}, score {each['score']:.2f}): {what}"


def _report(answer: Completion, info: ModelInfo) -> Iterable[str]:
    if answer.intent is None or answer.prompt is None:
        yield f"Nothing is asked for here ({answer.stop})."
        return
    yield paint(f"{info.id}: {answer.intent.kind}, one {answer.intent.shape}", "bold")
    yield f"\nprompt: {len(answer.prompt.ids)} tokens of at most {info.prompt_budget}"
    yield from map(_segment, answer.prompt.segments)
    yield f"\nanswer: {len(answer.tokens)} tokens, ended by {answer.stop}, confidence {answer.confidence:.0%}"
    yield by_probability(answer.tokens)
    yield " ".join(f"{text!r} {math.exp(logprob):.2f}" for text, logprob in answer.tokens)
    yield "\nfilters: " + (", ".join(answer.filters) or "none fired")
    yield "times (ms): " + ", ".join(f"{name} {value:.1f}" for name, value in answer.timings_ms.items())
    yield "engine: " + ", ".join(f"{name} {value:g}" for name, value in answer.usage.items())
    if drafted := answer.usage.get("drafted_tokens"):
        accepted = answer.usage["accepted_tokens"]
        yield f"drafts: {accepted:.0f} of {drafted:.0f} tokens found in the text were right ({accepted / drafted:.0%})"


def _segment(part: Segment) -> str:
    lines = part.text.rstrip("\n").split("\n")
    shown = lines[-1].strip() if part.name == "prefix" else lines[0].strip()
    return f"  {part.name:<16} {part.num_tokens:>5} tokens  {paint(shown[:80], 'dim')}"
