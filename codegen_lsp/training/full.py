"""A whole run in one command: exercises, tokenizer, training, export, evaluation.

    python -m codegen_lsp.training.full gpu-s30 --corpus DIR --eval DIR --minutes 9 --out runs/full
    python -m codegen_lsp.training.full gpu-s30 --corpus DIR --rehearse

Exercises and tokenizer are kept in --out and not made again, and training goes on from its checkpoint. --rehearse takes
the same steps with a tiny model, a few topics and ten optimiser steps: what comes out knows nothing, the point is that
the steps fit. Do that before a machine is paid by the minute. Without a corpus the exercises stand in for it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from codegen_lsp.training import evaluate, export, pretrain
from codegen_lsp.training.corpus import sample
from codegen_lsp.training.exercises import validate
from codegen_lsp.training.exercises.idioms import read_exercises
from codegen_lsp.training.tokenizer import train_tokenizer


@dataclass(frozen=True)
class Plan:
    """How much of each step. `topics`: none named means all."""

    topics: tuple[str, ...] = ()
    each: int = 60
    tokenizer_bytes: int = 60_000_000
    vocab_size: int = 16_384
    steps: int = 0
    changes: tuple[str, ...] = ()
    questions: int = 0
    files: int = 60


REHEARSAL = Plan(
    topics=("json_files", "strings", "lists"),
    each=5,
    tokenizer_bytes=1_000_000,
    vocab_size=1_024,
    steps=10,
    changes=("hidden=64", "layers=2", "heads=4", "kv_heads=2", "feed_forward=160", "context=512", "batch_tokens=2048"),
    questions=3,
    files=2,
)


def carry_out(plan: Plan, args: argparse.Namespace) -> Path:
    """All steps; returns the exported model folder."""
    out: Path = args.out
    items, run = out / "exercises.jsonl", out / "run"
    out.mkdir(parents=True, exist_ok=True)
    cores, is_gpu = os.cpu_count() or 1, torch.cuda.is_available()
    common = [args.recipe, *(f"--set={change}" for change in plan.changes), f"--run={run}", f"--tokenizer={out}"]
    corpus = [f"--corpus={args.corpus}"] if args.corpus else []

    def exercises() -> None:
        command = [sys.executable, "-m", validate.MODULE, *plan.topics, f"--each={plan.each}", f"--out={items}"]
        subprocess.run([*command, f"--jobs={cores}"], check=True)

    def tokenizer() -> None:
        train_tokenizer(_texts(args.corpus, items, plan), plan.vocab_size).save(str(out / "tokenizer.json"))

    def train() -> None:
        given = [f"--items={items}", f"--minutes={args.minutes}", f"--steps={plan.steps}"]
        given += [*corpus, f"--workers={args.workers}"] if corpus else ["--exercises=1", f"--workers={args.workers}"]
        if pretrain.main([*common, *given, *(["--compile"] if is_gpu else [])]):
            sys.exit(pretrain.STOPPED)

    def exported() -> None:
        export.main([*common, f"--out={out / 'model'}"])

    def measured() -> None:
        given = [*corpus, f"--items={items}", f"--num={plan.questions}", f"--files={plan.files}"]
        given += [f"--eval={args.eval}"] if args.eval else []
        evaluate.main([str(out / "model"), *given])

    _step("exercises", exercises, items)
    _step("tokenizer", tokenizer, out / "tokenizer.json")
    _step("training", train)
    _step("export", exported)
    _step("evaluation", measured)
    return out / "model"


def _step(name: str, do: Callable[[], None], made: Path | None = None) -> None:
    """One step with its time; not again when what it makes is there."""
    if made and made.exists():
        print(f"-- {name}: {made} is there", flush=True)
        return
    began = time.monotonic()
    print(f"-- {name} …", flush=True)
    do()
    print(f"-- {name}: {time.monotonic() - began:.0f} s", flush=True)


def _texts(corpus: Path | None, items: Path, plan: Plan) -> Iterator[str]:
    """What the tokenizer learns from: the exercises' code, and some of the corpus."""
    yield from (exercise.code for exercise in read_exercises(items))
    if corpus:
        yield from (document.text for document in sample(corpus, plan.tokenizer_bytes, seed=1))


def main(argv: Sequence[str] | None = None) -> int:
    """Command line entry."""
    parser = argparse.ArgumentParser(prog="full", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("recipe", help="a row of recipes.toml")
    parser.add_argument("--corpus", type=Path, help="folder with train-*.jsonl.xz and dev.jsonl.xz")
    parser.add_argument("--eval", type=Path, help="folder with dev-items.jsonl and the HumanEval sets")
    parser.add_argument("--out", type=Path, help="folder of the run (default: runs/full, runs/rehearsal)")
    parser.add_argument("--minutes", type=float, default=9.0, help="of training (default: 9)")
    parser.add_argument("--rehearse", action="store_true", help="every step in small, within minutes on a CPU")
    cores = os.cpu_count() or 1
    workers = max(1, cores - 2) if torch.cuda.is_available() else 0
    parser.add_argument(
        "--workers", type=int, default=workers, help="processes that make batches (default: %(default)s)"
    )
    args = parser.parse_args(argv)
    args.out = args.out or Path("runs", "rehearsal" if args.rehearse else "full")
    began = time.monotonic()
    model = carry_out(REHEARSAL if args.rehearse else Plan(), args)
    print(f"{'rehearsed' if args.rehearse else 'done'} in {time.monotonic() - began:.0f} s; the model is in {model}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
