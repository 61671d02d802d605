"""The sections of the evaluation table: each measures one thing of a model folder and gives its figures."""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch

from codegen_lsp import registry
from codegen_lsp.host.load import Loaded
from codegen_lsp.host.load import load as load_host
from codegen_lsp.tokens import FileTokenizer
from codegen_lsp.training import bits, calibration, exam, memorised, storage, tasks
from codegen_lsp.training.corpus import Document, read_shard
from codegen_lsp.training.exercises.idioms import Exercise, read_exercises
from codegen_lsp.training.neighbours import neighbours
from codegen_lsp.training.samples import Sample

PASS_AT = 10
SHOWN_SAMPLES = 10
WORKSPACE_TASKS = 60
"""Of each kind, when the number is not given."""
WORKSPACE_PIECES = 3

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
    def loaded(self) -> Loaded:
        """The model as the host serves it."""
        return load_host(registry.find(str(self.args.model.resolve())))

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
    """Bits per byte of held-out files as the weights are, through int8, as served, and in windows of the context."""
    documents = list(read_shard(on.args.corpus / "dev.jsonl.xz"))
    chosen = random.Random(on.args.seed).sample(documents, min(on.args.files, len(documents)))
    texts = [item.text for item in chosen]
    progress(f"bits per byte of {len(texts)} files …")
    other = on.load()
    storage.quantise(other)
    table: Table = {
        "files": len(texts),
        "bits_per_byte": round(bits.bits_per_byte(on.model, on.tokenizer, texts), 3),
        "bits_per_byte_int8": round(bits.bits_per_byte(other, on.tokenizer, texts), 3),
        "bits_per_byte_served": round(bits.served_bits(on.loaded, texts), 3),
    }
    context: int = on.model.config.max_position_embeddings
    if context > bits.WINDOW:
        whole = bits.bits_per_byte(on.model, on.tokenizer, texts, context)
        table[f"bits_per_byte_{context}"] = round(whole, 3)
    return table


def measure_answers(on: Evaluation) -> Table:
    """Bits per byte of right answers, given what stands around them: of held-out places and of our exercises."""
    groups: dict[str, list[Sample]] = {}
    if on.args.eval and on.args.corpus:
        for task in tasks.dev_items(on.args.eval, on.args.corpus, on.args.num):
            groups.setdefault(task.kind, []).append(bits.sample_of(task))
    if on.args.items:
        for way, question in exam.questions(on.exercises, on.args.num or 200, on.args.seed):
            groups.setdefault(way, []).append(question.sample)
    progress(f"bits of {sum(map(len, groups.values()))} answers …")
    return {kind: round(bits.answer_bits(on.model, on.tokenizer, group), 3) for kind, group in sorted(groups.items())}


def measure_workspace(on: Evaluation) -> Table:
    """The same held-out places from the file alone and with similar pieces of the package's other files.

    What retrieval can give this model, before the product's own: the bits of right answers, and exact match, greedy.
    """
    packages: dict[str, list[Document]] = {}
    for document in read_shard(on.args.corpus / "dev.jsonl.xz"):
        packages.setdefault(document.package, []).append(document)
    rng = random.Random(on.args.seed)
    groups: dict[str, list[tuple[tasks.Task, Sample]]] = {}
    for task in tasks.dev_items(on.args.eval, on.args.corpus, on.args.num or WORKSPACE_TASKS):
        sample = bits.sample_of(task)
        shown = neighbours(sample.prefix, task.path, packages[task.package], WORKSPACE_PIECES, rng)
        if shown:
            groups.setdefault(task.kind, []).append((task, replace(sample, snippets=shown)))
    progress(f"{sum(map(len, groups.values()))} places with and without other files …")
    return {kind: _with_and_without(on, group) for kind, group in sorted(groups.items())}


def _with_and_without(on: Evaluation, group: Sequence[tuple[tasks.Task, Sample]]) -> Table:
    row: Table = {"n": len(group)}
    for name, is_shown in (("file alone", False), ("with others", True)):
        samples = [sample if is_shown else replace(sample, snippets=()) for _, sample in group]
        row[f"bits {name}"] = round(bits.answer_bits(on.model, on.tokenizer, samples), 3)
        got = [exam.answers(on.loaded, sample)[0] for sample in samples]
        replies = [tasks.Reply(text, confidence, 0.0) for text, confidence in got]
        row[f"exact {name}"] = _percent(
            tasks.is_exact(task, reply) for (task, _), reply in zip(group, replies, strict=True)
        )
    return row


def measure_exercises(on: Evaluation) -> Table:
    """Our own exercises, by what was kept out of training, by form and by topic."""
    num = on.args.num or 200
    progress(f"{num} exercises of each way …")
    how = {"num": num, "seed": on.args.seed, "samples": on.args.samples, "num_sampled": on.args.sampled}
    marks = list(exam.examine(on.loaded, on.exercises, **how))
    on.pairs["exercises"] = [(mark.confidence, mark.mended) for mark in marks if mark.way != "combination"]
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
    row["mended"] = _percent(mark.mended for mark in marks)
    if sampled := [mark for mark in marks if mark.num_sampled >= PASS_AT]:
        chances = [exam.pass_at(PASS_AT, mark.num_sampled, mark.sampled_passed) for mark in sampled]
        row["sampled"] = len(sampled)
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
    for name, pairs in on.pairs.items():
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
            text, confidence = exam.answers(on.loaded, question.sample)[0]
            table[f"{way}: {question.ask}"] = {"answer": text, "confidence": round(confidence, 2)}
    for task, reply in rng.sample(on.answers, min(len(on.answers), SHOWN_SAMPLES - len(table))):
        last = task.prefix.rstrip().rsplit("\n", 1)[-1].strip()
        table[f"{task.kind}: {last}"] = {"answer": reply.text, "confidence": round(reply.confidence, 2)}
    return table


SECTIONS: Mapping[str, tuple[Callable[[Evaluation], Table], tuple[str, ...]]] = {
    "size": (measure_size, ()),
    "bits": (measure_bits, ("corpus",)),
    "answers": (measure_answers, ()),
    "workspace": (measure_workspace, ("corpus", "eval")),
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
