"""`explain FILE:LINE`: what the model was shown, what it said, what was done to it, and how long each part took."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from typing import Any

from codegen_lsp.cli.ask import add_index_option, add_model_options, add_sampling_options, open_desk, run_async
from codegen_lsp.cli.complete import as_json
from codegen_lsp.cli.files import open_at, parse_place
from codegen_lsp.cli.index import snippets_at
from codegen_lsp.cli.terminal import paint
from codegen_lsp.core import Completion, ModelInfo, Snapshot, Snippet
from codegen_lsp.explain import explain, found


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
        print(json.dumps({**_everything(answer, desk.info, snapshot.floor), "snippets": found(answer, snippets)}))
    else:
        budget = desk.info.prompt_budget
        print("\n".join(explain(answer, desk.info.id, snippets, budget=budget, paint=paint)))
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
