"""`codegen-lsp`: read the arguments, run one command, turn errors into a sentence and an exit code."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence

from codegen_lsp import __version__
from codegen_lsp.errors import CodegenError, FileError
from codegen_lsp.text import printable

COMMANDS = {
    "complete": "the code for a comment or docstring in a file",
    "implement": "functions that are still to be written, judged, verified",
    "hook": "for pre-commit: docstrings become code, or are reported",
    "generate": "code for a sentence",
    "explain": "why a completion is what it is",
    "demo": "see comments become code",
    "serve": "the language server (stdin and stdout), for an editor",
    "index": "what is known of a project's other files",
    "api": "completions over http on this machine, for editors that ask an endpoint",
    "host": "the process that holds the model",
    "models": "the models on this machine",
    "doctor": "check the installation",
}
"""Modules of this package, and what each does."""

EPILOG = """\
examples:
  codegen-lsp demo                          see comments become code
  codegen-lsp complete app.py:12            the code for the comment on line 12
  codegen-lsp complete app.py:12 --write    … put into the file
  codegen-lsp complete nb.ipynb:6:1         the same for line 1 of a notebook's cell 6
  codegen-lsp implement app.py --write      the functions that are still to be written, judged and verified
  codegen-lsp generate "read a csv file into a list of dictionaries"
  codegen-lsp serve                         for an editor (LSP over stdin and stdout)

exit codes:
  0 done   1 nothing to offer   2 wrong usage or setting   3 a file cannot be read, or a position is outside it
  4 the model cannot be used    5 the model host cannot be reached or failed    6 nothing to do    130 interrupted
"""


def parser(argv: Sequence[str] | None = None) -> argparse.ArgumentParser:
    """All commands; with `argv` only those in it have their options, since importing all takes 40 ms."""
    root = argparse.ArgumentParser(
        prog="codegen-lsp",
        description="Comments and docstrings become code, written by a model on this machine.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--version", action="version", version=f"codegen-lsp {__version__}")
    commands = root.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, purpose in COMMANDS.items():
        command = commands.add_parser(name, help=purpose)
        if argv is None or name in argv:
            importlib.import_module(f"codegen_lsp.cli.{name}").fill(command)
    return root


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # not every terminal knows every character
    words = sys.argv[1:] if argv is None else argv
    args = parser(words).parse_args(words)
    try:
        code: int = args.run(args)
        sys.stdout.flush()
    except CodegenError as error:
        print("codegen-lsp:", printable(str(error), "\n"), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _drop_output()  # the reader (head, less) has gone
        return 0
    except OSError as error:
        # Files of the user's and of models have their own sentences; what is left is the output: a full disk.
        _drop_output()
        print(f"codegen-lsp: {error.filename or 'the output'}: {error.strerror or error}.", file=sys.stderr)
        return FileError.exit_code
    return code


def _open_closed_streams() -> None:
    """A stream that the caller closed (`>&-`) is None to Python; for us it is empty, or nobody reads it."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - for the whole run


def _drop_output() -> None:
    """Python flushes at exit, and would complain a second time."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
