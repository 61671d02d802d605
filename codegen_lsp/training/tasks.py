"""Held-out completion tasks, asked through the product itself: `codegen-lsp complete --jsonl`.

The development set's folder has dev-items.jsonl (places in held-out files of the corpus), HumanEval (docstring to
function) and its random-span infilling; the latter two are judged by running their tests.
"""

from __future__ import annotations

import difflib
import gzip
import json
import lzma
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LINE_KINDS = ("rest", "line", "comment_line")


@dataclass(frozen=True)
class Task:
    """Text before and after a hole, and what is known of the answer: its text, or a program that judges the file."""

    id: str
    kind: str
    path: str
    prefix: str
    suffix: str
    target: str
    judge: str = ""
    package: str = ""


@dataclass(frozen=True)
class Reply:
    """What the product offered."""

    text: str
    confidence: float
    total_ms: float


@dataclass
class Tally:
    """Sums over the tasks of one kind; `similarity` is of difflib, 0 to 1 each."""

    asked: int = 0
    exact: int = 0
    first: int = 0
    similarity: float = 0.0
    empty: int = 0


def dev_items(evaluation: Path, corpus: Path, num: int = 0) -> list[Task]:
    """The places in held-out files; with `num`, about so many of each kind, spread over the whole."""
    with lzma.open(corpus / "dev.jsonl.xz", "rt", encoding="utf-8") as rows:
        texts = {(row["package"], row["path"]): row["text"] for row in map(json.loads, rows)}
    items = [json.loads(line) for line in (evaluation / "dev-items.jsonl").read_text(encoding="utf-8").splitlines()]
    if num:
        kinds: dict[str, list[dict[str, Any]]] = {}
        for item in items:
            kinds.setdefault(item["kind"], []).append(item)
        items = [item for each in kinds.values() for item in each[:: max(1, len(each) // num)][:num]]
    tasks = []
    for item in items:
        text, start, end = texts[item["package"], item["path"]], item["start"], item["end"]
        parts = {"prefix": text[:start], "suffix": text[end:], "target": text[start:end]}
        tasks.append(Task(item["id"], item["kind"], item["path"], **parts, package=item["package"]))
    return tasks


def human_eval(evaluation: Path) -> list[Task]:
    """HumanEval (Chen et al. 2021): a docstring, and tests of the function."""
    return [_executed(row, "humaneval", "") for row in _rows(evaluation / "HumanEval.jsonl.gz")]


def infilling(evaluation: Path) -> list[Task]:
    """Random-span infilling, light (Bavarian et al. 2022): a hole anywhere in a solution, and tests of the function."""
    name = "HumanEval-RandomSpanInfillingLight.jsonl.gz"
    return [_executed(row, "infilling", row["suffix"]) for row in _rows(evaluation / name)]


def _rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _executed(row: dict[str, Any], kind: str, suffix: str) -> Task:
    judge = f"{row['test']}\ncheck({row['entry_point']})\n"
    return Task(row["task_id"], kind, "solution.py", row["prompt"], suffix, row["canonical_solution"], judge)


def ask(tasks: Sequence[Task], options: Sequence[str]) -> list[Reply]:
    """The product's answers, in order. `options` are of `codegen-lsp complete`."""
    rows = [{"id": task.id, "path": task.path, "prefix": task.prefix, "suffix": task.suffix} for task in tasks]
    requests = "".join(json.dumps(row) + "\n" for row in rows)
    # A host of its own, gone afterwards: a dozen models measured would leave a dozen hosts in memory.
    with tempfile.TemporaryDirectory() as folder:
        own = {**os.environ, "XDG_RUNTIME_DIR": folder}
        try:
            done = _product(["complete", "--jsonl", *options], requests, own)
        finally:
            _product(["host", "stop"], "", own)
    done.check_returncode()
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    return [Reply(row["completion"], row["confidence"], row["timings_ms"]["total"]) for row in answers]


def _product(words: Sequence[str], given: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "codegen_lsp", *words]
    return subprocess.run(
        command, input=given, stdout=subprocess.PIPE, text=True, encoding="utf-8", env=environment, check=False
    )


def is_exact(task: Task, reply: Reply) -> bool:
    """Whether a reply is the target, trailing white space aside; of the line kinds, its first line."""
    return bool(reply.text.strip()) and _lines(_counted(task, reply)) == _lines(task.target)


def tally(tasks: Sequence[Task], replies: Sequence[Reply]) -> dict[str, Tally]:
    """Scores by kind."""
    table: dict[str, Tally] = {}
    for task, reply in zip(tasks, replies, strict=True):
        got, row = _counted(task, reply), table.setdefault(task.kind, Tally())
        row.asked += 1
        row.exact += is_exact(task, reply)
        row.first += bool(got.strip()) and _lines(got)[0].strip() == _lines(task.target)[0].strip()
        row.similarity += difflib.SequenceMatcher(None, task.target.strip(), got.strip(), autojunk=False).ratio()
        row.empty += not got.strip()
    return dict(sorted(table.items()))


def program(task: Task, reply: Reply) -> str | None:
    """The file with the reply in it and what judges it; None when nothing was offered."""
    return f"{task.prefix}{reply.text}{task.suffix}\n{task.judge}" if reply.text.strip() else None


def _counted(task: Task, reply: Reply) -> str:
    return reply.text.split("\n", 1)[0] if task.kind in LINE_KINDS else reply.text


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip("\n").rstrip().split("\n")]
