"""`generate "TEXT"`: code for a sentence, with no file around it."""

from __future__ import annotations

import argparse
import json
import sys

from codegen_lsp.cli.ask import add_model_options, add_sampling_options, open_desk, run_async
from codegen_lsp.cli.complete import as_json, why_nothing
from codegen_lsp.core import Snapshot
from codegen_lsp.errors import SettingsError
from codegen_lsp.syntax.endings import LANGUAGES

COMMENTS = {"python": "# ", "ruby": "# ", "shellscript": "# "}
"""How a comment begins; `// ` in all other languages."""


def fill(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = 'Print code for a sentence, for example: codegen-lsp generate "sum of the squares of a list"'
    parser.add_argument("text", metavar="TEXT", help="what the code should do")
    parser.add_argument("--language", default="python", choices=sorted(set(LANGUAGES.values())), metavar="LANGUAGE")
    parser.add_argument("--json", action="store_true", help="print the answer with its confidence and timings")
    add_sampling_options(parser)
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    if not args.text.strip():
        raise SettingsError("There is no text to generate from.")
    return run_async(args, lambda: _generate(args))


async def _generate(args: argparse.Namespace) -> int:
    mark = COMMENTS.get(args.language, "// ")
    order = "".join(f"{mark}{line.strip()}\n" for line in args.text.strip().splitlines())
    suffix = next(ending for ending, language in LANGUAGES.items() if language == args.language)
    snapshot = Snapshot(path=f"main{suffix}", language=args.language, text=order, offset=len(order))
    async with open_desk(args) as desk:
        answer = await desk.complete(snapshot)
    if args.json:
        print(json.dumps(as_json(answer)))
    elif answer.edit is not None:
        print(answer.text)
    else:
        print(f"codegen-lsp: the model had nothing to offer ({why_nothing(answer)}).", file=sys.stderr)
    return 0 if answer.edit is not None else 1
