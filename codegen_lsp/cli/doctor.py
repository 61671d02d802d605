"""`doctor`: check everything that a completion needs, and say what to do about what is missing."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from typing import Any

from codegen_lsp import __version__, registry
from codegen_lsp.cli.ask import add_model_options, add_sampling_options, open_desk, run_async
from codegen_lsp.cli.terminal import paint
from codegen_lsp.core import Snapshot
from codegen_lsp.errors import CodegenError

PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "tree-sitter",
    "tree-sitter-python",
    "pygls",
    "aiohttp",
    "watchfiles",
)
PROBE = "# add two numbers\n"


def fill(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = "Check everything a completion needs; exit code 1 on a fault."
    parser.add_argument("--json", action="store_true", help="for machines")
    add_sampling_options(parser)
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run all checks, print a line for each."""
    checks: tuple[tuple[str, Callable[[], str]], ...] = (
        ("python", _python),
        ("packages", _packages),
        ("model", lambda: _model(args.model)),
        ("host folder", _folder),
        ("sandbox", _sandbox),
        ("completion", lambda: run_async(args, lambda: _completion(args))),
    )
    results = [_checked(name, check) for name, check in checks]
    if args.json:
        print(json.dumps({"version": __version__, "checks": results}))
    else:
        for row in results:
            mark = paint("ok   ", "green") if row["ok"] else paint("FAULT", "red")
            print(f"{mark} {row['name']:<12} {row['detail']}")
    return 0 if all(row["ok"] for row in results) else 1


def _checked(name: str, check: Callable[[], str]) -> dict[str, Any]:
    try:
        return {"name": name, "ok": True, "detail": check()}
    except CodegenError as error:
        return {"name": name, "ok": False, "detail": str(error)}
    except ImportError as error:  # PackageNotFoundError is one
        return {
            "name": name,
            "ok": False,
            "detail": f"{error.name} is not installed; pip install . in the clone of codegen-lsp",
        }


def _python() -> str:
    return f"{platform.python_version()} on {platform.system()} {platform.machine()}, {sys.executable}"


def _packages() -> str:
    from importlib import metadata  # slow, and every command imports this file

    return ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)


def _model(name: str) -> str:
    info = registry.find(name)
    return f"{info.id}, format {info.format}, prompts of {info.prompt_budget} tokens, {info.folder}"


def _folder() -> str:
    from codegen_lsp.engine.launch import runtime_folder

    return str(runtime_folder())


def _sandbox() -> str:
    """What examples are run in. That there is none is no fault: then nothing is run."""
    from codegen_lsp.verify.jail import find_jail

    found = find_jail()
    return found.jail.name if found.jail else f"none works here, so examples are not run ({'; '.join(found.reasons)})"


async def _completion(args: argparse.Namespace) -> str:
    async with open_desk(args) as desk:
        began = time.perf_counter()
        answer = await desk.complete(Snapshot("probe.py", "python", PROBE, len(PROBE)))
        took = (time.perf_counter() - began) * 1000
    return f"{len(answer.tokens)} tokens in {took:.0f} ms; {answer.text.splitlines()[0] if answer.text else 'nothing'}"
