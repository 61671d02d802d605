"""`hook FILE …`: the door for pre-commit. Docstrings become code before they are committed, or are reported."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from codegen_lsp.cli.ask import add_model_options
from codegen_lsp.cli.sources import ENDINGS, Source, add_work_options, check_work_options, read_source
from codegen_lsp.errors import CodegenError, FileError
from codegen_lsp.text import printable

if TYPE_CHECKING:  # the rest is imported where there is something to do
    from codegen_lsp.cli.work import Outcome
    from codegen_lsp.verify.module import Function

CHANGED = 1
FAILED = 3
MAX_NAMED = 5

DESCRIPTION = """\
For pre-commit (.pre-commit-hooks.yaml has docstring-to-code and docstring-stubs). Writes the functions of the
given files that are still to be written, as `codegen-lsp implement --write` does, but by default only bodies
that the examples of their docstrings confirm. Where a file was changed the exit code is 1: look at it, stage
it, and commit again. What is left is named and does not hold up the commit.

--check writes nothing, starts no model, and reports what is still to be written: exit code 1 when there is any.

The model is shown nothing but the given files, as they stand in the working tree (pre-commit has put aside what
is not staged); nothing is taken from an index, where unstaged text may be. Links are not followed: what is
committed of them is where they lead. Examples may import the project's other modules.
"""
EPILOG = """\
in .pre-commit-config.yaml:
  - repo: https://…/codegen-lsp
    rev: v0.1.0
    hooks:
      - id: docstring-to-code
        args: [--time-limit, "30", --]    # `--` is for files whose names begin with a dash
        verbose: false                    # say something only when the commit is held up

exit codes:
  0 nothing to do, or nothing could be written   1 files were changed; with --check: functions are left
  2 wrong usage or setting                       3 something failed, with --on-error fail
"""


def fill(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("files", nargs="*", metavar="FILE", help="files to be committed; only Python files are read")
    parser.add_argument("--check", action="store_true", help="write nothing, report what is still to be written")
    parser.add_argument(
        "--on-error",
        choices=("pass", "fail"),
        default="pass",
        help="what becomes of the commit when the model, the sandbox or a file cannot be used, or time is over "
        "(default: %(default)s)",
    )
    add_work_options(parser, candidates=5, require="verified", limit=60.0)
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    check_work_options(args)
    sources, faults = _read(args.files, args.exclude)
    waiting = [source for source in sources if source.stubs]
    if args.check:
        print("".join(map(_reported, waiting)), end="")
        return _exit(args, bool(waiting), faults)
    changed, more = _write(waiting, args) if waiting else ([], [])
    faults += more
    if changed:
        print(_next(changed))
    elif waiting and not faults:
        print("Nothing was written, and the commit goes on.")
    return _exit(args, bool(changed), faults)


def _read(names: Sequence[str], exclude: Sequence[str]) -> tuple[list[Source], list[str]]:
    """The Python files, and what is wrong with those that cannot be read."""
    sources, faults = list[Source](), list[str]()
    for name in dict.fromkeys(names):
        if name.endswith(ENDINGS) and not Path(name).is_symlink():
            try:
                sources.append(read_source(name, exclude))
            except CodegenError as error:
                faults.append(str(error))
    return sources, faults


def _write(sources: Sequence[Source], args: argparse.Namespace) -> tuple[list[str], list[str]]:
    """(files that were changed, what went wrong); says what came of each function."""
    import asyncio

    from codegen_lsp.bench import Bench
    from codegen_lsp.cli import report
    from codegen_lsp.cli.implement import plan_of, work_on

    plan = plan_of(args)
    bench = Bench(environ=_environment(os.environ), left=plan.left)
    outcomes = asyncio.run(work_on(sources, args, bench, plan, is_writing=True, has_index=False))
    for line in report.lines([each for each in outcomes if not each.error], sys.stdout):
        print(line)
    faults = list(dict.fromkeys(str(each.error) for each in outcomes if each.error))
    if bench.is_broken:
        faults.append(f"No sandbox works here, so examples cannot be run ({'; '.join(bench.reasons)}).")
    if plan.is_over():
        faults.append(f"The time limit of {args.time_limit:g} s was reached (--time-limit).")
    if num := _num_untried(sources, outcomes):
        faults.append(f"{num} function{'s are' if num > 1 else ' is'} left without having been tried.")
    return [each.source.name for each in outcomes if each.is_written], faults


def _num_untried(sources: Sequence[Source], outcomes: Sequence[Outcome]) -> int:
    """Functions that were to be written when the model gave up."""
    tried = [each for each in outcomes if not each.error or isinstance(each.error, FileError)]
    return sum(len(each.stubs) for each in sources) - sum(len(each.source.stubs) for each in tried)


def _environment(environ: Mapping[str, str]) -> Mapping[str, str]:
    """The variables as they were before pre-commit put its environment, which we run in, before the project's."""
    if not environ.get("PRE_COMMIT") or not _is_here(environ.get("VIRTUAL_ENV", "")):
        return environ
    return {**environ, "VIRTUAL_ENV": next(_environments(environ.get("PATH", "")), "")}


def _environments(path: str) -> Iterator[str]:
    """The virtual environments whose programs are found, without our own."""
    for folder in filter(None, path.split(os.pathsep)):
        base = Path(folder).parent
        if (base / "pyvenv.cfg").is_file() and not _is_here(base):
            yield str(base)


def _is_here(base: str | Path) -> bool:
    return bool(base) and Path(base).resolve() == Path(sys.prefix).resolve()


def _reported(source: Source) -> str:
    """What is to be written in a file, a line each, as compilers report."""
    from codegen_lsp.implement import words_of

    text, functions = source.text, _functions(source.text)
    said = [
        f"{each.line}: {each.name} is still to be written{_examples(functions.get(each.line), words_of(each, text))}"
        for each in source.stubs
    ]
    return "".join(f"{printable(source.name)}:{line}\n" for line in said)


def _functions(text: str) -> dict[int, Function]:
    """The functions of a file by their lines; none when Python cannot read it. It is read once for all."""
    from codegen_lsp.implement import parseable
    from codegen_lsp.verify import module

    try:
        return {each.node.lineno: each for each in module.read(parseable(text)).functions()}
    except (SyntaxError, RecursionError):
        return {}


def _examples(function: Function | None, words: str) -> str:
    """How many examples a function has, in brackets; "" for none, or when they cannot be read."""
    from codegen_lsp.verify.examples import find_examples

    try:
        num = len(find_examples(function.docstring or words, function.node.name)) if function else 0
    except ValueError:
        return ""
    return f" ({num} example{'s' if num > 1 else ''})" if num else ""


def _next(changed: Sequence[str]) -> str:
    """What to do with changed files. No `git add`: with it would go what the user has left out of a file."""
    head = "1 file was" if len(changed) == 1 else f"{len(changed)} files were"
    names = f" -- {printable(shlex.join(changed))}" if len(changed) <= MAX_NAMED else ""
    return f"{head} changed. Look at what is new, stage it, and commit again: git diff{names}"


def _exit(args: argparse.Namespace, has_found: bool, faults: Sequence[str]) -> int:
    """Say what failed, and what that means for the commit."""
    for fault in faults:
        print(f"codegen-lsp: {printable(fault)}")
    if has_found:
        return CHANGED
    if not faults:
        return 0
    if args.on_error == "pass":
        print("codegen-lsp: the commit goes on all the same (--on-error pass).")
        return 0
    print("codegen-lsp: the commit is held up by this (--on-error fail).")
    return FAILED
