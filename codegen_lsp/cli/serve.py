"""`serve`: the language server on stdin and stdout."""

from __future__ import annotations

import argparse

from codegen_lsp.errors import SettingsError


def fill(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = "Speak LSP on stdin and stdout. Editors start this; settings come from the editor."
    parser.add_argument("--model", metavar="NAME|PATH", help="wins over the editor's setting")
    parser.add_argument("--endpoint", metavar="URL", help="another OpenAI-compatible server, instead of our own host")
    parser.add_argument("--device", metavar="DEVICE", help="auto, cpu, cuda, cuda:1")
    parser.add_argument("--dtype", metavar="DTYPE", help="auto, float32, bfloat16, float16, int8")
    parser.add_argument(
        "--run-examples",
        action="store_true",
        default=None,
        help='let "Implement from docstring" run the examples of docstrings, in a sandbox',
    )
    parser.add_argument("--log-level", default="warning", choices=("debug", "info", "warning", "error"))
    # vscode-languageclient adds it for stdio transports.
    parser.add_argument("--stdio", action="store_true", help=argparse.SUPPRESS)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from codegen_lsp.server.app import ServeOptions, serve
    from codegen_lsp.settings import parse

    given = {key: getattr(args, key) for key in ("model", "endpoint", "device", "dtype", "run_examples")}
    settings = {key: value for key, value in given.items() if value is not None}
    if problems := parse(settings)[1]:
        raise SettingsError(" ".join(problems))
    return serve(ServeOptions(settings=settings, log_level=args.log_level))
