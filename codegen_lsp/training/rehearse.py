"""Everything of a training run in about a minute: exercises, tokenizer, training, resuming, export, evaluation.

    python -m codegen_lsp.training.rehearse [--corpus DIR] [--recipe smoke] [--out runs/rehearsal]

Without a corpus the exercises stand in for it. The model that comes out knows nothing: the point is that the steps fit.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from codegen_lsp.training import evaluate, export, pretrain
from codegen_lsp.training.corpus import sample
from codegen_lsp.training.exercises.idioms import read_exercises
from codegen_lsp.training.tokenizer import train_tokenizer

TOPICS = ("json_files", "strings", "lists")


def texts(corpus: Path | None, items: Path, num_bytes: int) -> Iterator[str]:
    """What the tokenizer learns from: the exercises' code, and about `num_bytes` of the corpus."""
    yield from (exercise.code for exercise in read_exercises(items))
    if corpus:
        yield from (document.text for document in sample(corpus, num_bytes, seed=1))


def rehearse(recipe: str, corpus: Path | None, out: Path, steps: int, vocab_size: int) -> Path:
    """All steps; returns the exported model folder."""
    out.mkdir(parents=True, exist_ok=True)
    items, run, model = out / "exercises.jsonl", out / "run", out / "model"
    module = "codegen_lsp.training.exercises.validate"
    subprocess.run([sys.executable, "-m", module, *TOPICS, "--each=5", f"--out={items}"], check=True)
    tokenizer = train_tokenizer(texts(corpus, items, 1_000_000), vocab_size)
    tokenizer.save(str(out / "tokenizer.json"))
    common = [recipe, "--run", str(run), "--tokenizer", str(out)]
    given = ["--items", str(items), *(["--corpus", str(corpus)] if corpus else ["--exercises", "1"])]
    for _ in range(2):  # the second call resumes the first
        pretrain.main([*common, *given, "--minutes", "5", "--steps", str(steps)])
    export.main([*common, "--out", str(model)])
    evaluate.main(
        [str(model), "--items", str(items), "--num", "3", *(["--corpus", str(corpus)] if corpus else []), "--files=2"]
    )
    return model


def main(argv: Sequence[str] | None = None) -> int:
    """Command line entry."""
    parser = argparse.ArgumentParser(
        prog="rehearse", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, help="folder with train-*.jsonl.xz and dev.jsonl.xz")
    parser.add_argument("--recipe", default="smoke")
    parser.add_argument("--out", type=Path, default=Path("runs/rehearsal"))
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--vocab-size", type=int, default=1024)
    args = parser.parse_args(argv)
    began = time.monotonic()
    model = rehearse(args.recipe, args.corpus, args.out, args.steps, args.vocab_size)
    print(f"rehearsed in {time.monotonic() - began:.0f} s; the model is in {model}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
