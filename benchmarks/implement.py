#!/usr/bin/env python3
"""Is "verified" worth its name? HumanEval: its docstrings' examples as the only guide, its hidden tests as the truth.

usage: implement.py [--num N] [--k 1,5,20] [--parts scripted,model] [--eval DIR] [--model NAME] [--json]

scripted: an engine that says the right body of each problem, and the same with one small change (mutants.py), goes
through the product's own implement(), judge and sandbox. Which changes are wrong, the hidden tests tell. Which bodies'
examples fail is asked of Python's own doctest, too, since the judge cannot bear witness for itself.
model: implement() with a model's own answers, so many candidates a function. A function that the first candidate
settles is not asked about again with more of them, which would give the same: the first is greedy, and nothing more is
asked for. Progress on stderr, tables, and as the last line everything as JSON. A slice: --num 4 --mutants 3 --k 1,5.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mutants import mutants
from problems import ByteTokenizer, Problem, asker, attempt, problems
from verdicts import (
    CANONICAL,
    Row,
    model_report,
    model_table,
    row_of,
    scripted_report,
    scripted_tables,
    verified_and_wrong,
)

from codegen_lsp import registry
from codegen_lsp.core import ModelInfo
from codegen_lsp.engine.launch import stop_host
from codegen_lsp.engine.openai import connect
from codegen_lsp.engine.scripted import ScriptedEngine
from codegen_lsp.implement import Ask, Plan
from codegen_lsp.tokens import FileTokenizer
from codegen_lsp.verify.jail import Jail, find_jail, unprotected
from codegen_lsp.verify.judge import Judge

SHARED = Path(__file__).resolve().parents[2] / "shared"
SEED = 7
MAX_MUTANTS = 10
LONGEST = 4096
"""Tokens of a scripted answer: it is what the judge makes of it that counts, not how much a model may say."""
SCRIPTED = ModelInfo("scripted", "", "codegen", context_window=100_000, prompt_budget=50_000)


# The scripted part


async def scripted(chosen: Sequence[Problem], jail: Jail, num_mutants: int) -> list[Row]:
    """Right and subtly wrong bodies of all problems."""
    rows = []
    for number, problem in enumerate(chosen, 1):
        text = problem.text + problem.right
        bodies = [(CANONICAL, problem.right)]
        bodies += [(each.operator, each.body) for each in mutants(text, problem.name, num_mutants, SEED)]
        stub = problem.stub
        judge = Judge.of(problem.text, stub.line, lambda: (jail, "")) if stub else None
        for operator, body in bodies:
            ask = asker(ScriptedEngine([body.lstrip()], info=SCRIPTED), SCRIPTED, ByteTokenizer(), LONGEST)
            rows.append(row_of(await attempt(problem, ask, jail, Plan(), judge), operator, jail))
        _progress(f"scripted {number} of {len(chosen)}: {problem.id}: {', '.join(_tally(rows, problem.id))}")
    return rows


def _tally(rows: Iterable[Row], problem: str) -> list[str]:
    counts = Counter((row.is_right, row.status) for row in rows if row.id == problem)
    return [f"{num} {'right' if right else 'wrong'} {status}" for (right, status), num in counts.items()]


# The model


async def modelled(
    chosen: Sequence[Problem], ask: Ask, jail: Jail, counts: Sequence[int], keep: Callable[[Row], None]
) -> dict[int, list[Row]]:
    """All problems with so many candidates each, one number after the other."""
    found: dict[int, list[Row]] = {}
    settled: dict[str, Row] = {}
    for k in sorted(counts):
        found[k] = []
        for number, problem in enumerate(chosen, 1):
            if problem.id not in settled:
                tried = await attempt(problem, ask, jail, Plan(num_candidates=k))
                row = row_of(tried, "model", jail, k)
                keep(row)
                if tried.is_settled:
                    settled[problem.id] = row
                said = f"{row.status}, {'right' if row.is_right else 'wrong'}, {row.num_asked} asked"
                _progress(f"k={k}, {number} of {len(chosen)}: {problem.id}: {said}, {row.seconds:.1f} s")
            found[k].append(settled.get(problem.id) or row)
    return found


async def ask_model(
    chosen: Sequence[Problem], info: ModelInfo, tokenizer: FileTokenizer, args: argparse.Namespace, jail: Jail
) -> dict[int, list[Row]]:
    """The model part, over a host that is gone afterwards."""
    engine = connect(info.folder)
    await engine.wait_ready()
    try:
        ask = asker(engine, info, tokenizer)
        return await modelled(chosen, ask, jail, args.k, lambda row: _keep(row, args.details))
    finally:
        await engine.close()
        await stop_host()


def _keep(row: Row, path: Path | None) -> None:
    if path:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(row)) + "\n")


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--eval", type=Path, default=SHARED / "eval", help="folder with HumanEval.jsonl.gz")
    options.add_argument("--num", type=int, default=0, help="so many problems, spread over the set (default: all)")
    options.add_argument("--parts", default="scripted,model", help="scripted, model, or both with a comma")
    options.add_argument("--mutants", type=int, default=MAX_MUTANTS, help="changed bodies of a problem (%(default)s)")
    options.add_argument("--model", default=registry.DEFAULT_MODEL)
    options.add_argument("--k", type=_numbers, default=[1, 5, 20], help="candidates of a function, with commas")
    options.add_argument("--unprotected", action="store_true", help="run code without a sandbox")
    options.add_argument("--details", type=Path, help="add every body, with what came of it, to this file")
    options.add_argument("--json", action="store_true", help="only the last line")
    return options


def main() -> None:
    """Command line entry."""
    args = parser().parse_args()
    found = find_jail()
    jail = unprotected() if args.unprotected else found.jail
    if jail is None:
        sys.exit(f"No sandbox works here ({'; '.join(found.reasons)}); --unprotected does without.")
    chosen = problems(args.eval, args.num)
    report: dict[str, Any] = {"problems": len(chosen), "sandbox": jail.name}
    if "scripted" in args.parts:
        rows = asyncio.run(scripted(chosen, jail, args.mutants))
        for row in rows:
            _keep(row, args.details)
        report["scripted"] = scripted_report(rows)
        if not args.json:
            print(scripted_tables(report["scripted"]), flush=True)
    if "model" in args.parts:
        with tempfile.TemporaryDirectory(prefix="codegen-bench-") as folder:
            os.environ["XDG_RUNTIME_DIR"] = folder
            info = registry.find(args.model)
            tokenizer = FileTokenizer(Path(info.folder, "tokenizer.json").read_bytes())
            by_k = asyncio.run(ask_model(chosen, info, tokenizer, args, jail))
        report["model"] = {k: model_report(rows) for k, rows in by_k.items()}
        report["verified_and_wrong"] = verified_and_wrong(by_k)
        if not args.json:
            print("\n" + model_table(args.model, report["model"]))
            for each in report["verified_and_wrong"]:
                print(f"\nverified and wrong, of {each['k']} candidates: {each['id']}\n    {each['body']}")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
