#!/usr/bin/env python3
"""What other files of a repository give: held-out places with and without them, and source by source.

usage: context.py [--num N] [--kinds NAMES] [--leave-out] [--eval DIR] [--corpus DIR] [--model NAME]

Each package is laid out as a folder and indexed. A place is asked about as an editor would, through the product's
own pipeline: its file from the buffer, less the text that is wanted, and the pieces that the index finds. Printed per
way and kind: exact match, edit similarity, and what retrieval alone could give: the share of wanted texts that stand in
what was retrieved. As the last line everything as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import difflib
import json
import lzma
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from figures import table

from codegen_lsp import registry
from codegen_lsp.core import ModelInfo, Snippet
from codegen_lsp.engine.launch import stop_host
from codegen_lsp.engine.openai import OpenAIEngine, connect
from codegen_lsp.index.build import Builder
from codegen_lsp.index.query import Query
from codegen_lsp.index.sources import SOURCES, pieces
from codegen_lsp.index.store import Store
from codegen_lsp.index.view import View
from codegen_lsp.pipeline import Options, complete_text
from codegen_lsp.prompt.formats import BY_NAME
from codegen_lsp.tokens import FileTokenizer
from codegen_lsp.training.tasks import Reply, Task, dev_items, is_exact

SHARED = Path(__file__).resolve().parents[2] / "shared"
KINDS = ("comment_line", "line", "rest", "comment_block", "doc_body")
SHOWN_ONLY = "workspace, shown only"
"""The pieces are in the prompt, but no line of them is offered for the answer."""
MIN_TARGET = 8
"""Characters: shorter texts stand everywhere."""


@dataclass(frozen=True)
class Case:
    """A place, and what each way of retrieving shows there."""

    task: Task
    shown: Mapping[str, tuple[Snippet, ...]]
    ms: Mapping[str, float]


def ways(leave_out: bool) -> dict[str, frozenset[str]]:
    """Sources by the name of the way."""
    everything = frozenset(SOURCES)
    found = {"file alone": frozenset[str](), SHOWN_ONLY: everything, "workspace": everything}
    if leave_out:
        found |= {f"without {name}": everything - {name} for name in SOURCES}
    return found


def retrieved(tasks: Sequence[Task], corpus: Path, chosen: Mapping[str, frozenset[str]]) -> Iterator[Case]:
    """The tasks with what is shown for them, package by package."""
    with lzma.open(corpus / "dev.jsonl.xz", "rt", encoding="utf-8") as rows:
        documents = [json.loads(row) for row in rows]
    for package in sorted({task.package for task in tasks}):
        with tempfile.TemporaryDirectory() as folder, indexed(Path(folder), package, documents) as store:
            for task in tasks:
                if task.package == package:
                    yield case_of(task, store, chosen)


@contextmanager
def indexed(folder: Path, package: str, documents: Sequence[Mapping[str, Any]]) -> Iterator[Store]:
    """A package as files, and its index."""
    root = folder / "workspace"
    for row in documents:
        if row["package"] == package:
            path = root / row["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(row["text"], encoding="utf-8", newline="")
    store = Store(folder / "index.sqlite", root)
    Builder(store, root).reconcile()
    yield store
    store.close()


def case_of(task: Task, store: Store, chosen: Mapping[str, frozenset[str]]) -> Case:
    """What each way shows at a place."""
    shown, ms = {}, {}
    for way, sources in chosen.items():
        began = time.perf_counter()
        query = Query(task.path, task.prefix + task.suffix, len(task.prefix), sources=sources)
        found = pieces(View(store), query) if sources else []
        ms[way] = (time.perf_counter() - began) * 1000
        shown[way] = tuple(Snippet(each.path, each.text, each.reason, each.score) for each in found)
    return Case(task, shown, ms)


def _differ(case: Case, way: str) -> bool:
    return case.shown[way] != case.shown["workspace"]


async def answers(
    cases: Sequence[Case], way: str, engine: OpenAIEngine, info: ModelInfo, tokenizer: FileTokenizer
) -> list[tuple[Reply, int]]:
    """Reply and number of tokens of snippets in the prompt, for each place."""
    found = []
    for case in cases:
        task, fmt = case.task, BY_NAME[info.format]
        text, completion = await complete_text(
            task.prefix,
            task.suffix,
            task.path,
            engine,
            info,
            fmt,
            tokenizer,
            snippets=case.shown[way],
            options=Options(offers_lines=way != SHOWN_ONLY),
        )
        parts = completion.prompt.segments if completion.prompt else ()
        num = sum(part.num_tokens for part in parts if part.name.startswith("snippet"))
        found.append((Reply(text, completion.confidence, completion.timings_ms["total"]), num))
    return found


def row_of(cases: Sequence[Case], way: str, replies: Sequence[tuple[Reply, int]]) -> dict[str, Any]:
    """Figures of one way and kind."""
    tasks = [case.task for case in cases]
    pairs = [(task, reply) for task, (reply, _) in zip(tasks, replies, strict=True)]
    long = [case for case in cases if len(case.task.target.strip()) >= MIN_TARGET]
    present = [any(case.task.target.strip() in each.text for each in case.shown[way]) for case in long]
    likeness = (difflib.SequenceMatcher(None, reply.text, task.target, autojunk=False).ratio() for task, reply in pairs)
    return {
        "n": len(cases),
        "exact": round(100 * statistics.fmean(is_exact(task, reply) for task, reply in pairs), 1),
        "similarity": round(100 * statistics.fmean(likeness), 1),
        "present": round(100 * statistics.fmean(present), 1) if present else None,
        "tokens": round(statistics.fmean(num for _, num in replies)),
        "answer_ms": round(statistics.median(reply.total_ms for _, reply in pairs)),
    }


async def measure(
    cases: Sequence[Case], chosen: Sequence[str], info: ModelInfo, tokenizer: FileTokenizer
) -> dict[str, dict[str, Any]]:
    """Figures by way and kind; the ways in turn, kind by kind."""
    engine = connect(info.folder)
    await engine.wait_ready()
    found: dict[str, dict[str, Any]] = {way: {} for way in chosen}
    try:
        for kind in dict.fromkeys(case.task.kind for case in cases):
            mine = [case for case in cases if case.task.kind == kind]
            for way in chosen:
                found[way][kind] = row_of(mine, way, await answers(mine, way, engine, info, tokenizer))
                print(f"{kind}, {way}: {found[way][kind]}", flush=True)
    finally:
        await engine.close()
        await stop_host()
    return found


def main() -> None:
    """Command line entry."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--num", type=int, default=60, help="places of each kind")
    parser.add_argument("--kinds", default=",".join(KINDS), help="kinds of places, with commas")
    parser.add_argument("--leave-out", action="store_true", help="also without each source, and with each alone")
    parser.add_argument("--no-model", action="store_true", help="only what is retrieved, and how fast")
    parser.add_argument("--eval", type=Path, default=SHARED / "eval", help="folder with dev-items.jsonl")
    parser.add_argument("--corpus", type=Path, default=SHARED / "corpus", help="folder with dev.jsonl.xz")
    parser.add_argument("--model", default="seed-py")
    args = parser.parse_args()
    chosen = ways(args.leave_out)
    kinds = args.kinds.split(",")
    tasks = [task for task in dev_items(args.eval, args.corpus, args.num) if task.kind in kinds]
    cases = list(retrieved(tasks, args.corpus, chosen))
    silent = [way for way in chosen if way.startswith("without") and not any(_differ(case, way) for case in cases)]
    chosen = {way: sources for way, sources in chosen.items() if way not in silent}
    if silent:
        print(f"{', '.join(silent)}: as with it, since these places have nothing of the kind")
    times = {way: [case.ms[way] for case in cases] for way in chosen}
    for way in chosen:
        long = [case for case in cases if len(case.task.target.strip()) >= MIN_TARGET]
        present = statistics.fmean(
            any(case.task.target.strip() in each.text for each in case.shown[way]) for case in long
        )
        ordered = sorted(times[way])
        print(
            f"{way}: {statistics.fmean(len(case.shown[way]) for case in cases):.1f} pieces, wanted text among them "
            f"{present:.1%}, p50 {statistics.median(ordered):.1f} ms, p95 {ordered[int(len(ordered) * 0.95)]:.1f} ms"
        )
    if args.no_model:
        return
    with tempfile.TemporaryDirectory(prefix="codegen-bench-") as folder:
        os.environ["XDG_RUNTIME_DIR"] = folder
        info = registry.find(args.model)
        tokenizer = FileTokenizer(Path(info.folder, "tokenizer.json").read_text(encoding="utf-8"))
        found = asyncio.run(measure(cases, list(chosen), info, tokenizer))
    names = ("n", "exact", "similarity", "present", "tokens", "answer_ms")
    for kind in kinds:
        rows = [[way, *(found[way][kind].get(name) for name in names)] for way in chosen if kind in found[way]]
        print(f"\n{kind}\n{table(('', *names), rows)}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
