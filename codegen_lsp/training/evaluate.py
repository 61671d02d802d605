"""Measure a model folder: the whole table in one run.

    python -m codegen_lsp.training.evaluate models/seed-py --corpus DIR --eval DIR --items exercises.jsonl

What is measured depends on what is given.
--corpus: bits per byte of held-out files, with the weights as they are and as int8, and what is memorised.
--items: our own exercises by execution (`exercises.validate --out` writes them), and the bits of their right answers.
--eval, --corpus: held-out places of real packages, HumanEval and random-span infilling, through the product itself,
and how well its confidence tells right from wrong.
Always: size and time to load. --only takes some sections, --num so many questions of each.

Answers are executed in processes with limits, which are no sandbox: measure only models that you trust.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

from codegen_lsp.training.sections import PASS_AT, SECTIONS, Evaluation, Table

MAX_LINES = 16
"""Of an answer that is shown."""


def evaluate(args: argparse.Namespace) -> Iterator[tuple[str, Table]]:
    """Every section that was asked for and has what it needs, as soon as it is measured."""
    on = Evaluation(args)
    wanted = args.only or list(SECTIONS)
    for name, (measure, needs) in SECTIONS.items():
        if name in wanted and all(getattr(args, need) for need in needs) and (table := measure(on)):
            yield name, table


def lines(report: Mapping[str, Table]) -> Iterable[str]:
    """The report for people."""
    for section, table in report.items():
        yield f"\n{section}"
        for key, row in table.items():
            if section == "samples":
                yield f"  -- {key}  ({row['confidence']:.0%})"
                yield from (f"     {line}" for line in row["answer"].rstrip().split("\n")[:MAX_LINES])
            elif isinstance(row, dict):
                yield f"  {key:24}" + "".join(f"  {name} {value:>6}" for name, value in row.items())
            else:
                yield f"  {key:24}  {row}"


def keep(model: Path, report: Mapping[str, Table]) -> None:
    """Put `sure_from` into codegen.json: what the product hides unasked. Raises SystemExit when it was not measured.

    Exercises alone decide: so little of what it writes in real packages is right, line ends mostly, that to keep those
    is to show everything.
    """
    measured = report.get("calibration", {}).get("exercises")
    if not measured:
        sys.exit("evaluate: --keep needs the sections exercises and calibration")
    path, partial = model / "codegen.json", model / "codegen.partial"
    own = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    partial.write_text(json.dumps(own | {"sure_from": measured["threshold"]}, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    options = argparse.ArgumentParser(
        prog="evaluate", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    options.add_argument("model", type=Path)
    options.add_argument("--corpus", type=Path, help="folder with train-*.jsonl.xz and dev.jsonl.xz")
    options.add_argument("--eval", type=Path, help="folder with dev-items.jsonl and the HumanEval sets")
    options.add_argument("--items", type=Path, help="executed exercises")
    options.add_argument("--files", type=int, default=60, help="held-out files for bits per byte (default: 60)")
    options.add_argument(
        "--num", type=int, default=0, help="questions of each kind (default: all; 200 exercises a way)"
    )
    options.add_argument(
        "--samples", type=int, default=0, help=f"sampled answers an exercise; {PASS_AT} for pass@{PASS_AT}"
    )
    options.add_argument("--sampled", type=int, help="exercises of each way that are sampled (default: all)")
    options.add_argument("--only", nargs="+", choices=list(SECTIONS), metavar="SECTION", help=", ".join(SECTIONS))
    options.add_argument(
        "--ask", action="append", default=[], metavar="OPTION", help="option of `codegen-lsp complete`"
    )
    options.add_argument("--seed", type=int, default=7)
    options.add_argument("--threads", type=int)
    options.add_argument("--json", action="store_true")
    options.add_argument(
        "--keep",
        action="store_true",
        help="write the confidence from which on showing pays into the model's codegen.json",
    )
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Command line entry."""
    args = parser().parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    report: dict[str, Table] = {}
    if not args.json:
        print(args.model)
    for name, table in evaluate(args):
        report[name] = table
        if not args.json:
            print(*lines({name: table}), sep="\n", flush=True)
    if args.keep:
        keep(args.model, report)
    if args.json:
        print(json.dumps({"model": str(args.model), **report}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
