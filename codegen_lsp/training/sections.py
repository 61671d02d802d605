"""The sections of the evaluation table: each measures one thing of a model folder and gives its figures."""

from __future__ import annotations

import argparse
import math
import random
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch

from codegen_lsp.tokens import FileTokenizer
from codegen_lsp.training import calibration, exam, memorised, storage, tasks
from codegen_lsp.training.corpus import read_shard
from codegen_lsp.training.exercises.idioms import Exercise, read_exercises
from codegen_lsp.training.model import loss_sum

WINDOW = 512
PASS_AT = 10
SHOWN_SAMPLES = 10

Table = dict[str, Any]


@dataclass
class Evaluation:
    """One model under measurement; what several sections need is made once."""

    args: argparse.Namespace
    pairs: dict[str, list[calibration.Pair]] = field(default_factory=dict)
    answers: list[tuple[tasks.Task, tasks.Reply]] = field(default_factory=list)

    @cached_property
    def model(self) -> Any:
        """The model in fp32."""
        return self.load()

    def load(self) -> Any:
        """Another copy of the model in fp32."""
        from transformers import AutoModelForCausalLM

        return AutoModelForCausalLM.from_pretrained(self.args.model, dtype=torch.float32)

    @cached_property
    def tokenizer(self) -> FileTokenizer:
        """The folder's tokenizer."""
        return FileTokenizer((self.args.model / "tokenizer.json").read_text(encoding="utf-8"))

    @cached_property
    def exercises(self) -> list[Exercise]:
        """The executed exercises."""
        return read_exercises(self.args.items)

    def ask(self, kind: str, asked: Sequence[tasks.Task]) -> list[tasks.Reply]:
        """The product's answers, kept for the sections that look back."""
        progress(f"{len(asked)} {kind} tasks through the product …")
        replies = tasks.ask(asked, ["--model", str(self.args.model.resolve()), *self.args.ask])
        self.answers += zip(asked, replies, strict=True)
        return replies


def progress(text: str) -> None:
    """One line about long work, for people only."""
    if sys.stderr.isatty():
        print(text, file=sys.stderr, flush=True)


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


# -- sections: each gives a table of its figures


def measure_size(on: Evaluation) -> Table:
    """Megabytes, parameters, seconds."""
    loader, process = storage.load_seconds(on.args.model)
    return {
        "parameters_million": round(sum(weight.numel() for weight in on.model.parameters()) / 1e6, 2),
        "folder_mb": round(storage.megabytes(on.args.model), 1),
        "load_s": round(loader, 2),
        "load_with_imports_s": round(process, 2),
    }


def measure_bits(on: Evaluation) -> Table:
    """Bits per byte as the weights are, and through int8."""
    documents = list(read_shard(on.args.corpus / "dev.jsonl.xz"))
    chosen = random.Random(on.args.seed).sample(documents, min(on.args.files, len(documents)))
    texts = [item.text for item in chosen]
    progress(f"bits per byte of {len(texts)} files …")
    other = on.load()
    storage.quantise(other)
    return {
        "files": len(texts),
        "bits_per_byte": round(bits_per_byte(on.model, on.tokenizer, texts), 3),
        "bits_per_byte_int8": round(bits_per_byte(other, on.tokenizer, texts), 3),
    }


def measure_exercises(on: Evaluation) -> Table:
    """Our own exercises, by what was kept out of training, by form and by topic."""
    num = on.args.num or 200
    progress(f"3 x {num} exercises …")
    marks = list(
        exam.examine(on.model, on.tokenizer, on.exercises, num=num, samples=on.args.samples, seed=on.args.seed)
    )
    on.pairs["exercises"] = [(mark.confidence, mark.passed) for mark in marks if mark.way != "combination"]
    ways = [(mark.way, mark) for mark in marks]
    others = [(f"form {mark.form}", mark) for mark in marks] + [(f"topic {mark.topic}", mark) for mark in marks]
    return {key: _marked(group) for key, group in _grouped(ways) + sorted(_grouped(others))}


def _grouped(pairs: Iterable[tuple[str, exam.Mark]]) -> list[tuple[str, list[exam.Mark]]]:
    table: dict[str, list[exam.Mark]] = {}
    for key, mark in pairs:
        table.setdefault(key, []).append(mark)
    return list(table.items())


def _marked(marks: Sequence[exam.Mark]) -> Table:
    row = {"n": len(marks), "exact": _percent(mark.exact for mark in marks)}
    row["pass@1"] = _percent(mark.passed for mark in marks)
    if sampled := [mark for mark in marks if mark.num_sampled >= PASS_AT]:
        chances = [exam.pass_at(PASS_AT, mark.num_sampled, mark.sampled_passed) for mark in sampled]
        row[f"pass@{PASS_AT}"] = round(100 * sum(chances) / len(chances), 1)
    return row


def measure_items(on: Evaluation) -> Table:
    """Held-out places of real packages, through the product."""
    asked = tasks.dev_items(on.args.eval, on.args.corpus, on.args.num)
    replies = on.ask("held-out", asked)
    on.pairs["real packages"] = [
        (reply.confidence, tasks.is_exact(task, reply))
        for task, reply in zip(asked, replies, strict=True)
        if reply.text.strip()
    ]
    table: Table = {kind: _tallied(row) for kind, row in tasks.tally(asked, replies).items()}
    times = sorted(reply.total_ms for reply in replies)
    return table | {"time of an answer": {"p50_ms": round(_at(times, 0.5)), "p95_ms": round(_at(times, 0.95))}}


def _tallied(row: tasks.Tally) -> Table:
    shares = {"exact": row.exact, "first": row.first, "similarity": row.similarity, "empty": row.empty}
    return {"n": row.asked} | {key: round(100 * value / row.asked, 1) for key, value in shares.items()}


def measure_executed(on: Evaluation) -> Table:
    """HumanEval and random-span infilling, by their tests, greedy."""
    table: Table = {}
    for name, load in (("humaneval", tasks.human_eval), ("infilling", tasks.infilling)):
        asked = load(on.args.eval)[: on.args.num or None]
        replies = on.ask(name, asked)
        passed = [exam.passes(tasks.program(task, reply)) for task, reply in zip(asked, replies, strict=True)]
        offered = _percent(bool(reply.text.strip()) for reply in replies)
        table[name] = {"n": len(asked), "pass@1": _percent(passed), "offered": offered}
    return table


def measure_calibration(on: Evaluation) -> Table:
    """Confidence against truth, on the exercises' held-out wordings and on real packages."""
    table: Table = {}
    groups = dict(on.pairs)
    if len(groups) > 1:
        groups["all"] = _balanced(list(on.pairs.values()), on.args.seed)
    for name, pairs in groups.items():
        threshold = calibration.best_threshold(pairs)
        num, right = calibration.shown(pairs, threshold)
        table[name] = {
            "n": len(pairs),
            "right": _percent(right for _, right in pairs),
            "ece_raw": round(calibration.expected_error(pairs), 3),
            "ece_fitted": round(calibration.crossed_error(pairs), 3),
            "threshold": round(threshold, 2),
            "shown": num,
            "shown_right": round(100 * right / num, 1) if num else 0.0,
        }
    return table


def _balanced(groups: Sequence[Sequence[calibration.Pair]], seed: int) -> list[calibration.Pair]:
    """As many of each group as the smallest has."""
    rng, size = random.Random(seed), min(map(len, groups))
    return [pair for group in groups for pair in rng.sample(group, size)]


def measure_memory(on: Evaluation) -> Table:
    """Spans of 50 tokens that stand in the corpus, greedy."""
    progress("looking for what was memorised in the whole corpus …")
    how = {"num": on.args.num or 100, "span": 50, "temperature": 0.0, "seed": on.args.seed}
    found = memorised.measure(on.model, on.tokenizer, on.args.corpus, **how)
    return {"spans": found.num, "copied": found.num_copied, "percent": _percent_of(found.num_copied, found.num)}


def measure_samples(on: Evaluation) -> Table:
    """Completions chosen by the seed, not by hand: half of exercises in held-out wording, half of real packages."""
    rng = random.Random(on.args.seed)
    table: Table = {}
    if on.args.items:
        several = list(exam.questions(on.exercises, SHOWN_SAMPLES, on.args.seed))
        for way, question in rng.sample([pair for pair in several if pair[0] != "combination"], SHOWN_SAMPLES // 2):
            text, confidence = exam.answers(on.model, on.tokenizer, question)[0]
            table[f"{way}: {question.ask}"] = {"answer": text, "confidence": round(confidence, 2)}
    for task, reply in rng.sample(on.answers, min(len(on.answers), SHOWN_SAMPLES - len(table))):
        last = task.prefix.rstrip().rsplit("\n", 1)[-1].strip()
        table[f"{task.kind}: {last}"] = {"answer": reply.text, "confidence": round(reply.confidence, 2)}
    return table


SECTIONS: Mapping[str, tuple[Callable[[Evaluation], Table], tuple[str, ...]]] = {
    "size": (measure_size, ()),
    "bits": (measure_bits, ("corpus",)),
    "exercises": (measure_exercises, ("items",)),
    "items": (measure_items, ("corpus", "eval")),
    "executed": (measure_executed, ("eval",)),
    "calibration": (measure_calibration, ()),
    "memory": (measure_memory, ("corpus",)),
    "samples": (measure_samples, ()),
}
"""Name → what measures it, and the options without which it is left out. Later ones look back at earlier ones."""


def _percent(rights: Iterable[bool]) -> float:
    found = list(rights)
    return _percent_of(sum(found), len(found))


def _percent_of(part: int, whole: int) -> float:
    return round(100 * part / whole, 1) if whole else 0.0


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[int(share * (len(ordered) - 1))] if ordered else 0.0
