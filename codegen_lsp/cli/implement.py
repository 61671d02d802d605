"""`implement FILE[::NAME] …`: the functions of files that are still to be written, written and judged."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from codegen_lsp.bench import Bench
from codegen_lsp.cli import report, terminal
from codegen_lsp.cli.ask import add_index_option, add_model_options
from codegen_lsp.cli.sources import Source, add_work_options, check_work_options, read_sources
from codegen_lsp.cli.work import Outcome, Work, carry_out, open_desks, too_late
from codegen_lsp.errors import EngineError, ModelError, SettingsError
from codegen_lsp.implement import Plan
from codegen_lsp.syntax.stubs import Stub
from codegen_lsp.text import printable
from codegen_lsp.verify.judge import Status

NOTHING_TO_DO = 6
REQUIRED = {"parsed": Status.UNVERIFIED, "verified": Status.VERIFIED}

DESCRIPTION = """\
Write the functions of Python files whose body is only a docstring, a comment, `...`, `pass` or
`raise NotImplementedError`. Abstract methods, protocols, overloads and .pyi files are left alone, and so is
whatever says `codegen: off`.

Every body is judged before it is shown: it has to parse in its place, to compile, to use no name that nothing
defines, to leave the signature alone, and not to contradict its annotations and docstring. Then the examples
of the docstring (`>>> f(2)` and `f(2) -> 4`) are run in a sandbox, where there is no network, no file of yours
but the modules that are imported, and little time and memory. A body that fails an example is never shown.
"verified 3/3 examples" means that these examples passed, and no more than that.

The change is shown as a diff; nothing is written without --write.

FILE::NAME is one function (`shop.py::Basket.total`), or all of a class. Of a folder all Python files are meant,
but those that git ignores.
"""
EPILOG = """\
examples:
  codegen-lsp implement shop.py                              a diff of all that can be written
  codegen-lsp implement shop.py::Basket.total --write        one function, put into the file
  codegen-lsp implement src --require verified --write       only what its examples confirm
  codegen-lsp implement shop.py --write --tests "pytest -q"  … and what your own tests accept

exit codes:
  0 all were written (without --write: could be)   1 some were left   6 there was nothing to do
  2 wrong usage or setting   3 a file   4 a model   5 the model host   130 interrupted
"""


def fill(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("places", nargs="+", metavar="FILE[::NAME]", help="Python files, functions in them, or folders")
    parser.add_argument("--write", action="store_true", help="change the files (temporary file, then rename)")
    parser.add_argument("--json", action="store_true", help="what came of each function, with all candidates")
    add_work_options(parser, candidates=5, require="parsed", limit=None)
    parser.add_argument(
        "--tests",
        default="",
        metavar="CMD",
        help="with --write: a shell command that has to succeed with each function in its file, else it is taken out "
        "again; it runs as you, outside of the sandbox, and meanwhile the file holds what is tried",
    )
    parser.add_argument("--no-run", action="store_true", help="run no examples: everything stays unverified")
    parser.add_argument(
        "--unprotected", action="store_true", help="run the examples without a sandbox, as you, this once"
    )
    add_index_option(parser)
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    if args.tests and not args.write:
        raise SettingsError("--tests goes with --write: your tests can only see what is in the files.")
    if args.no_run and (args.unprotected or args.require == "verified"):
        raise SettingsError("--no-run verifies nothing; leave it out, or --unprotected and --require verified.")
    plan = plan_of(args)
    sources, faults = read_sources(args.places, args.exclude)
    for fault in faults:
        print(f"codegen-lsp: {printable(fault)}", file=sys.stderr)
    if not any(source.stubs for source in sources):
        if args.json:
            print(json.dumps(report.as_json([Outcome(each, each.text) for each in sources], "")))
        else:
            print(
                f"codegen-lsp: nothing to do: no function of {_files(sources)} is still to be written.", file=sys.stderr
            )
        return NOTHING_TO_DO
    bench = bench_of(args, plan)
    outcomes = asyncio.run(work_on(sources, args, bench, plan, is_writing=args.write, has_index=not args.no_index))
    _show(outcomes, args, bench)
    errors = [each.error for each in outcomes if each.error]
    if errors:
        return errors[0].exit_code
    return 0 if all(each.chosen for outcome in outcomes for each in outcome.done) else 1


def plan_of(args: argparse.Namespace) -> Plan:
    """How much is tried; raises SettingsError."""
    check_work_options(args)
    until = float("inf") if args.time_limit is None else time.monotonic() + args.time_limit
    return Plan(args.candidates, REQUIRED[args.require], until)


def bench_of(args: argparse.Namespace, plan: Plan) -> Bench:
    """Where examples are run."""
    if args.no_run:
        return Bench(why_none="examples are not run")
    if args.unprotected:
        from codegen_lsp.verify.jail import unprotected

        return Bench(unprotected(), left=plan.left)
    return Bench(left=plan.left)


async def work_on(
    sources: Sequence[Source], args: argparse.Namespace, bench: Bench, plan: Plan, *, is_writing: bool, has_index: bool
) -> list[Outcome]:
    """Write all functions of all files, with progress on a terminal; ends where the model cannot be used."""
    status = terminal.Status()
    total, seen = sum(len(source.stubs) for source in sources), set[tuple[str, int]]()

    def tell(source: Source, stub: Stub, state: str) -> None:
        seen.add((source.name, stub.line))
        status(f"{len(seen)} of {total}: {source.name}::{stub.name}: {state} …")

    outcomes = list[Outcome]()
    try:
        async with open_desks(args, has_index=has_index) as desks:
            work = Work(desks, bench, plan, is_writing, getattr(args, "tests", ""), tell)
            for source in sources:
                is_late = source.stubs and plan.is_over()
                outcomes.append(too_late(source) if is_late else await carry_out(source, work))
                if isinstance(outcomes[-1].error, EngineError | ModelError):
                    break
    finally:
        status.clear()
    return outcomes


def _files(sources: Sequence[Source]) -> str:
    return printable(sources[0].name) if len(sources) == 1 else f"{len(sources)} files"


def _show(outcomes: Sequence[Outcome], args: argparse.Namespace, bench: Bench) -> None:
    if args.json:
        shown: dict[str, Any] = report.as_json(outcomes, bench.name)
        print(json.dumps(shown))
        return
    for outcome in outcomes:
        if outcome.text != outcome.source.text:
            print(terminal.diff(outcome.source.text, outcome.text, outcome.source.name))
    sys.stdout.flush()
    for line in report.lines(outcomes, sys.stderr):
        print(line, file=sys.stderr)
    if bench.is_broken and not args.no_run:
        print(f"No sandbox works here, so examples were not run ({'; '.join(bench.reasons)}).", file=sys.stderr)
    print(report.summary(outcomes, is_writing=args.write), file=sys.stderr)
