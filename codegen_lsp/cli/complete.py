"""`complete PLACE` and `complete --jsonl`: the code for the comment or docstring at a place of a file or notebook."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from codegen_lsp.cli import index, terminal
from codegen_lsp.cli.ask import (
    Desk,
    add_index_option,
    add_model_options,
    add_sampling_options,
    document_of,
    open_desk,
    options,
    run_async,
)
from codegen_lsp.cli.files import Opened, language_of, open_at, parse_place
from codegen_lsp.core import Completion
from codegen_lsp.errors import CodegenError, SettingsError

DESCRIPTION = """\
Write the code for the comment or docstring at a place, or go on from a cursor in the middle of code.

Where the project has an index (`codegen-lsp index build`), the model is shown what it needs of other files.
On a terminal the change is shown as a diff; in a pipe the code alone is printed. Nothing is written
without --write. Exit code 1: there is nothing to offer.

In a notebook a place is NOTEBOOK.ipynb:CELL:LINE[:COL], where all cells are counted; the code cells above are read,
too, and only this cell is written.

--jsonl reads one {"id", "path", "prefix", "suffix"} a line from stdin and prints, in the same order,
{"id", "completion", "confidence", "stop", "timings_ms"}; a line that cannot be read gets an "error" instead,
and the exit code is then 1. The language follows from the path's ending.
"""


def fill(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = DESCRIPTION
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "place",
        nargs="?",
        metavar="FILE:LINE[:COL]",
        help="counted from 1; default: end of the line; for a notebook FILE:CELL:LINE[:COL]",
    )
    parser.add_argument("--write", action="store_true", help="change the file (temporary file, then rename)")
    parser.add_argument("--json", action="store_true", help="print the answer with its confidence and timings")
    parser.add_argument("--jsonl", action="store_true", help="many requests on stdin")
    add_index_option(parser)
    add_sampling_options(parser)
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    if args.jsonl == bool(args.place):
        raise SettingsError("Give either FILE:LINE or --jsonl; `codegen-lsp complete --help` has both.")
    if args.jsonl and (args.write or args.json):
        raise SettingsError("--write and --json go with FILE:LINE; --jsonl prints JSON, and writes no file.")
    if args.jsonl:
        return run_async(args, lambda: _many(args))
    # Read before there is an event loop: Ctrl-C would not end the wait for a pipe in it.
    opened = open_at(parse_place(args.place))
    return run_async(args, lambda: _one(args, opened))


async def _one(args: argparse.Namespace, opened: Opened) -> int:
    async with open_desk(args) as desk:
        snippets = [] if args.no_index else index.snippets_at(opened.path, opened.snapshot)
        answer = await desk.complete(opened.snapshot, snippets)
    if args.json:
        print(json.dumps(as_json(answer, opened.snapshot.floor)))
    if answer.edit is None:
        if not args.json:
            print(f"codegen-lsp: nothing to offer at {args.place} ({why_nothing(answer)}).", file=sys.stderr)
        return 1
    if args.write:
        opened.write(answer.edit)
    if not args.json:
        if sys.stdout.isatty():
            print(terminal.diff(opened.own, opened.after(answer.edit), opened.name))
            print(terminal.paint(summary(answer), "dim"))
        elif not args.write:
            print(answer.text)
    return 0


def as_json(answer: Completion, floor: int = 0) -> dict[str, Any]:
    """What `--json` prints; the edit's characters are counted from `floor`, where a notebook's cell begins."""
    edit = answer.edit
    span = {"start": edit.span.start - floor, "end": edit.span.end - floor} if edit else {}
    return {
        "completion": answer.text if edit else "",
        "edit": {**span, "text": edit.text} if edit else None,
        "kind": answer.intent.kind if answer.intent else None,
        "confidence": round(answer.confidence, 4),
        "stop": answer.stop,
        "timings_ms": {key: round(value, 2) for key, value in answer.timings_ms.items()},
    }


def why_nothing(answer: Completion) -> str:
    """Why there is no edit, in words."""
    return f"{answer.stop}; filters: {', '.join(answer.filters)}" if answer.filters else str(answer.stop)


def summary(answer: Completion) -> str:
    """One line below a diff."""
    total = sum(answer.timings_ms.values()) if "total" not in answer.timings_ms else answer.timings_ms["total"]
    return f"{len(answer.tokens)} tokens in {total:.0f} ms, confidence {answer.confidence:.0%}"


async def _many(args: argparse.Namespace) -> int:
    faults = number = 0
    options(args)
    # In bytes: a line that is not UTF-8 is that line's fault, not the end of all.
    lines = getattr(sys.stdin, "buffer", sys.stdin)
    with terminal.interruptible():
        async with open_desk(args) as desk:
            status = terminal.Status()
            while line := lines.readline():
                number += 1
                if line.strip():
                    row = await _answer_line(desk, line, number)
                    faults += "error" in row
                    print(json.dumps(row), flush=True)
                    status(f"{number} answered")
            status.clear()
    return 1 if faults else 0


async def _answer_line(desk: Desk, line: str | bytes, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        return {"id": None, "completion": "", "error": f"line {number} is not JSON: {error}"}
    fault = _fault(row)
    identity = row.get("id") if isinstance(row, dict) else None
    if fault:
        return {"id": identity, "completion": "", "error": f"line {number}: {fault}"}
    try:
        return {"id": identity, **await _complete_row(desk, row)}
    except CodegenError as error:
        return {"id": identity, "completion": "", "error": str(error)}


def _refuse(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    """A number that can be written again: an "id" of 1e999 would come back as Infinity."""
    return value if math.isfinite(value := float(text)) else _refuse(text[:20])


def _fault(row: Any) -> str:
    if not isinstance(row, dict):
        return "not an object"
    wrong = [key for key in ("path", "prefix", "suffix") if not isinstance(row.get(key, ""), str)]
    if "prefix" not in row:
        return 'no "prefix"'
    return f"{', '.join(wrong)} must be text" if wrong else ""


async def _complete_row(desk: Desk, row: Mapping[str, Any]) -> dict[str, Any]:
    import time

    from codegen_lsp import pipeline

    path = row.get("path", "untitled.py")
    inserted, answer = await pipeline.complete_text(
        row["prefix"],
        row.get("suffix", ""),
        path,
        desk.engine,
        desk.info,
        desk.fmt,
        desk.tokenizer,
        language=language_of(Path(path)) or "python",
        uri=document_of(path),
        options=options(desk.args),
        clock=time.perf_counter,
    )
    shown = as_json(answer)
    return {"completion": inserted, **{key: shown[key] for key in ("confidence", "stop", "timings_ms")}}
