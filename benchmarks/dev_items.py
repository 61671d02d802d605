#!/usr/bin/env python3
"""Held-out completion tasks through `codegen-lsp complete --jsonl`, scored by the set's own score.py.

usage: dev_items.py [--eval DIR] [--corpus DIR] [--num N] [--out FILE] [-- OPTIONS OF complete]

The files are text before and after the span alone (no workspace). Prints score.py's table, then how often an answer is
exact by its confidence, and the time of an answer. With --num, every k-th item, so that all kinds are there.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from codegen_lsp.training.tasks import Reply, Task, ask, dev_items, is_exact

SHARED = Path(__file__).resolve().parents[2] / "shared"


def by_confidence(tasks: Sequence[Task], replies: Sequence[Reply]) -> str:
    """Share of exact answers in bands of confidence."""
    rows = []
    for low in (0.0, 0.5, 0.6, 0.7, 0.8, 0.9):
        band = [
            is_exact(task, reply)
            for task, reply in zip(tasks, replies, strict=True)
            if reply.text and low <= reply.confidence < (low + 0.1 if low else 0.5)
        ]
        if band:
            rows.append(f"{low:.1f}+: {len(band)} offered, {100 * sum(band) / len(band):.0f} % exact")
    return "; ".join(rows)


def main() -> None:
    """Command line entry."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--eval", type=Path, default=SHARED / "eval", help="folder with dev-items.jsonl and score.py")
    parser.add_argument("--corpus", type=Path, default=SHARED / "corpus", help="folder with dev.jsonl.xz")
    parser.add_argument("--num", type=int, default=0, help="about so many items (default: all)")
    parser.add_argument("--out", type=Path, help="keep the answers in this file")
    parser.add_argument("options", nargs="*", help="options of `complete`, behind --")
    args = parser.parse_args()
    tasks = dev_items(args.eval, args.corpus, args.num)
    replies = ask(tasks, args.options)
    items = (args.eval / "dev-items.jsonl").read_text(encoding="utf-8").splitlines()
    asked = {task.id for task in tasks}
    with tempfile.TemporaryDirectory() as folder:
        out, chosen = args.out or Path(folder) / "answers.jsonl", Path(folder) / "items.jsonl"
        rows = ({"id": task.id, "completion": reply.text} for task, reply in zip(tasks, replies, strict=True))
        out.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        chosen.write_text("".join(f"{item}\n" for item in items if json.loads(item)["id"] in asked), encoding="utf-8")
        score = [sys.executable, args.eval / "score.py", args.corpus / "dev.jsonl.xz", chosen, out]
        subprocess.run(score, check=True)
    print("confidence", by_confidence(tasks, replies))
    times = sorted(reply.total_ms for reply in replies)
    p95 = times[int(0.95 * (len(times) - 1))]
    print(f"time of an answer: p50 {statistics.median(times):.0f} ms, p95 {p95:.0f} ms, {len(times)} answers")


if __name__ == "__main__":
    main()
