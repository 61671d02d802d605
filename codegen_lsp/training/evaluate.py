"""Measure a model folder: bits per byte on held-out files, and our own exercises by execution.

    python -m codegen_lsp.training.evaluate models/seed-py --corpus DIR --items exercises.jsonl [--num 300] [--json]

Exercises are asked in three ways, none of which was trained on: known phrasings with combinations of names and settings
kept out of training ("combination"), phrasings kept out of training ("phrasing"), and both ("both"). An answer is
executed, with the exercise's asserts, in a process of its own with limits; that is no sandbox, so measure only
models that you trust.
"""

from __future__ import annotations

import argparse
import ast
import json
import math
import os
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

from codegen_lsp.core import Context
from codegen_lsp.prompt.render import render as render_prompt
from codegen_lsp.tokens import FileTokenizer
from codegen_lsp.training.batches import SPM
from codegen_lsp.training.corpus import read_shard
from codegen_lsp.training.exercises.forms import Rendered, forms_of, render
from codegen_lsp.training.exercises.idioms import Exercise, read_exercises
from codegen_lsp.training.model import loss_sum

WINDOW = 512
SECONDS = 5
MAX_NEW_TOKENS = 200


@dataclass
class Score:
    """Counts of one kind of question."""

    asked: int = 0
    exact: int = 0
    passed: int = 0


def bits_per_byte(model: Any, tokenizer: FileTokenizer, texts: Sequence[str]) -> float:
    """Mean bits per UTF-8 byte of texts, in windows of WINDOW tokens, the first token of each given."""
    nats, num_bytes = 0.0, 0
    with torch.inference_mode():
        for text in texts:
            ids = tokenizer.encode(text)
            for at in range(0, len(ids) - 1, WINDOW - 1):
                window = torch.tensor([ids[at : at + WINDOW]])
                if window.shape[1] > 1:
                    total, _ = loss_sum(model, window, torch.ones_like(window, dtype=torch.bool))
                    nats += float(total)
            num_bytes += len(text.encode())
    return nats / math.log(2) / num_bytes


def questions(exercises: Sequence[Exercise], num: int, seed: int) -> Iterator[tuple[str, Rendered]]:
    """`num` questions of each of the three ways, no two of a way from one idiom while there are others."""
    rng = random.Random(seed)
    held = [exercise for exercise in exercises if exercise.is_held_out]
    seen = [exercise for exercise in exercises if not exercise.is_held_out]
    for way, pool in (("combination", held), ("phrasing", seen), ("both", held)):
        by_idiom: dict[str, list[Exercise]] = {}
        for exercise in pool:
            by_idiom.setdefault(exercise.idiom, []).append(exercise)
        names = sorted(by_idiom)
        rng.shuffle(names)
        for n in range(num):
            exercise = rng.choice(by_idiom[names[n % len(names)]])
            ask = rng.choice(exercise.asks if way == "combination" else exercise.held)
            yield way, render(exercise, rng.choice(forms_of(exercise)), ask, [], rng)


def answer(model: Any, tokenizer: FileTokenizer, question: Rendered) -> str:
    """The model's greedy answer, to its end token."""
    sample = question.sample
    prompt = render_prompt(Context(sample.path, "python", sample.prefix, sample.suffix), SPM, tokenizer)
    ids = torch.tensor([prompt.ids])
    with torch.inference_mode():
        out = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=MAX_NEW_TOKENS,
            do_sample=False,
            eos_token_id=list(prompt.stop_ids),
            pad_token_id=prompt.stop_ids[0],
        )
    return tokenizer.decode(out[0, ids.shape[1] :].tolist())


def program(question: Rendered, middle: str) -> str | None:
    """The file with an answer in it and the asserts behind, or None when it does not parse."""
    exercise, sample = question.exercise, question.sample
    text = sample.prefix + middle + sample.suffix
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return None
    imports = "\n".join(exercise.imports)
    if exercise.kind == "snippet":
        body = _body_of(tree) if question.form == "inside" else text
        return "\n".join([imports, exercise.given, body, exercise.check])
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
    wanted = re.search(r"(?:def|class) (\w+)", exercise.code)
    if not names or wanted is None:
        return None
    alias = f"{wanted.group(1)} = {names[-1]}" if wanted.group(1) not in names else ""
    return "\n".join([imports, exercise.given, text, alias, exercise.check])


def _body_of(tree: ast.Module) -> str:
    """The statements of the function that stands around a snippet, to be executed where its names are."""
    function = tree.body[-1]
    return ast.unparse(ast.Module(getattr(function, "body", []), [])) if hasattr(function, "body") else ""


def passes(source: str | None) -> bool:
    """Whether a program runs to its end; in a process of its own, with a time limit, in a folder of its own."""
    if source is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-I",
            "-c",
            f"import resource\nresource.setrlimit(resource.RLIMIT_AS, (1 << 31, 1 << 31))\n{source}",
        ]
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, timeout=SECONDS, check=False, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired:
            return False
    return done.returncode == 0


def evaluate(
    model: Any, tokenizer: FileTokenizer, exercises: Sequence[Exercise], num: int, seed: int
) -> dict[str, Score]:
    """Scores by way, by form and by topic."""
    table: dict[str, Score] = {}
    for way, question in questions(exercises, num, seed):
        got = answer(model, tokenizer, question)
        exact = got.rstrip() == question.sample.middle.rstrip()
        passed = exact or passes(program(question, got))
        for key in (way, f"form {question.form}", f"topic {question.exercise.topic}"):
            score = table.setdefault(key, Score())
            table[key] = replace(score, asked=score.asked + 1, exact=score.exact + exact, passed=score.passed + passed)
    return table


def main(argv: Sequence[str] | None = None) -> int:
    """Command line entry."""
    from transformers import AutoModelForCausalLM

    parser = argparse.ArgumentParser(
        prog="evaluate", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--corpus", type=Path, help="folder with dev.jsonl.xz: bits per byte")
    parser.add_argument("--files", type=int, default=60, help="held-out files to measure (default: 60)")
    parser.add_argument("--items", type=Path, help="executed exercises: pass rates")
    parser.add_argument("--num", type=int, default=300, help="questions of each way (default: 300)")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    model: Any = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32)
    tokenizer = FileTokenizer((args.model / "tokenizer.json").read_text(encoding="utf-8"))
    report: dict[str, Any] = {"model": str(args.model)}
    if args.corpus:
        documents = list(read_shard(args.corpus / "dev.jsonl.xz"))
        chosen = random.Random(args.seed).sample(documents, min(args.files, len(documents)))
        report["bits_per_byte"] = round(bits_per_byte(model, tokenizer, [item.text for item in chosen]), 3)
    if args.items:
        table = evaluate(model, tokenizer, read_exercises(args.items), args.num, args.seed)
        report["exercises"] = {key: asdict(score) for key, score in sorted(table.items())}
    if args.json:
        print(json.dumps(report))
        return 0
    print(f"{report['model']}  bits per byte: {report.get('bits_per_byte', 'not measured')}")
    for name, row in report.get("exercises", {}).items():
        exact, passed = (100 * row[key] / row["asked"] for key in ("exact", "passed"))
        print(f"{name:24} n {row['asked']:4}  exact {exact:5.1f} %  passed {passed:5.1f} %")
    return 0


if __name__ == "__main__":
    sys.exit(main())
