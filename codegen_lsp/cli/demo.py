"""`demo`: the comments and docstrings of a sample file become code, with timings; then once more, warm."""

from __future__ import annotations

import argparse
import ast
import time
from dataclasses import replace
from pathlib import Path

from codegen_lsp.cli.ask import Desk, add_model_options, add_sampling_options, open_desk, run_async
from codegen_lsp.cli.files import read_text
from codegen_lsp.cli.terminal import paint
from codegen_lsp.core import Completion, Snapshot
from codegen_lsp.errors import FileError

SAMPLE = Path(__file__).with_name("demo_sample.txt")
CURSOR = "\u2038"


def fill(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = "Complete every comment and docstring of a sample file with the model, twice: cold and warm."
    parser.add_argument("--sample", type=Path, default=SAMPLE, help=f"a file with {CURSOR} where the cursor stands")
    add_sampling_options(parser)
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command; 1 when nothing at all was offered."""
    marked = read_text(args.sample)
    if CURSOR not in marked:
        raise FileError(f"{args.sample} has no {CURSOR}; put one wherever the cursor is to stand.")
    return run_async(args, lambda: _demo(args, marked))


async def _demo(args: argparse.Namespace, marked: str) -> int:
    began = time.perf_counter()
    async with open_desk(args) as desk:
        opened = (time.perf_counter() - began) * 1000
        print(paint(f"{desk.info.id} is loaded: {opened:.0f} ms until the host was ready\n", "dim"))
        text, first = await _fill(desk, marked, is_shown=True)
        _, second = await _fill(desk, marked, is_shown=False)
    offered = [took for took, answer in first if answer.edit]
    print(f"{len(offered)} of {len(first)} orders became code; the file {_verdict(text)}.")
    for name, row in (("first run", first), ("second run, warm", second)):
        times = sorted(took for took, _ in row)
        print(f"{name}: {sum(times):.0f} ms in all, median {times[len(times) // 2]:.0f} ms, slowest {times[-1]:.0f} ms")
    return 0 if offered else 1


async def _fill(desk: Desk, marked: str, is_shown: bool) -> tuple[str, list[tuple[float, Completion]]]:
    """The sample with every order carried out, top to bottom; (milliseconds, answer) of each."""
    results = []
    before, *rest = marked.split(CURSOR)
    for number, part in enumerate(rest):
        below = "".join(rest[number:])
        snapshot = Snapshot("sample.py", "python", before + below, len(before))
        began = time.perf_counter()
        answer = await desk.complete(snapshot)
        results.append(((time.perf_counter() - began) * 1000, answer))
        after = answer.edit.apply(snapshot.text) if answer.edit else snapshot.text
        if is_shown:
            _show(before, answer, results[-1][0])
        # The order's text above the cursor may have been replaced in part (a stub's `pass`), what is below it not.
        before = after[: len(after) - len(below)] + part
    return before, results


def _show(before: str, answer: Completion, took: float) -> None:
    order = before.rstrip("\n").rpartition("\n\n\n")[2]
    if answer.edit is None:
        print(f"{order}\n{paint(f'    nothing offered ({answer.stop})', 'yellow')}\n")
        return
    kept = replace(answer.edit, text="").apply(before) if answer.edit.span.end <= len(before) else before
    print(kept.rstrip("\n").rpartition("\n\n\n")[2], end="")
    print(paint(answer.edit.text.rstrip("\n"), "green"))
    print(paint(f"    {len(answer.tokens)} tokens, {took:.0f} ms, confidence {answer.confidence:.0%}\n", "dim"))


def _verdict(text: str) -> str:
    try:
        ast.parse(text)
    except SyntaxError as error:
        return f"does not parse ({error})"
    return "parses"
