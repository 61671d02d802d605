#!/usr/bin/env python3
"""Held-out completion tasks through `codegen-lsp complete --jsonl`, scored by the set's own score.py.

usage: dev_items.py [--eval DIR] [--corpus DIR] [--num N] [--out FILE] [-- OPTIONS OF complete]

The files are text before and after the span alone (no workspace). Prints score.py's table, then how often an answer is
exact by its confidence, and the time of an answer. With --num, every k-th item, so that all kinds are there.
"""

from __future__ import annotations

import argparse
import json
import lzma
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

SHARED = Path(__file__).resolve().parents[2] / "shared"
LINE_KINDS = ("rest", "line", "comment_line")


def load_items(evaluation: Path, corpus: Path, num: int) -> list[dict]:
    """Items with their prefix, suffix and target."""
    with lzma.open(corpus / "dev.jsonl.xz", "rt", encoding="utf-8") as rows:
        texts = {(row["package"], row["path"]): row["text"] for row in map(json.loads, rows)}
    items = [json.loads(line) for line in (evaluation / "dev-items.jsonl").read_text().splitlines()]
    chosen = items[:: max(1, len(items) // num)] if num else items
    for item in chosen:
        text = texts[item["package"], item["path"]]
        item["prefix"], item["suffix"] = text[: item["start"]], text[item["end"] :]
        item["target"] = text[item["start"] : item["end"]]
    return chosen


def complete(items: list[dict], options: list[str]) -> list[dict]:
    """The product's answers, in order."""
    keys = ("id", "path", "prefix", "suffix")
    requests = "".join(json.dumps({key: item[key] for key in keys}) + "\n" for item in items)
    command = [sys.executable, "-m", "codegen_lsp", "complete", "--jsonl", *options]
    done = subprocess.run(command, input=requests, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def is_exact(item: dict, answer: dict) -> bool:
    """As score.py has it: trailing white space aside; for line kinds the first line."""
    got = answer["completion"]
    if item["kind"] in LINE_KINDS:
        got = got.split("\n")[0]
    lines = [[line.rstrip() for line in text.strip("\n").rstrip().split("\n")] for text in (item["target"], got)]
    return lines[0] == lines[1]


def by_confidence(items: list[dict], answers: list[dict]) -> str:
    """Share of exact answers in bands of confidence."""
    rows = []
    for low in (0.0, 0.5, 0.6, 0.7, 0.8, 0.9):
        band = [
            is_exact(item, answer)
            for item, answer in zip(items, answers, strict=True)
            if answer["completion"] and low <= answer["confidence"] < (low + 0.1 if low else 0.5)
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
    items = load_items(args.eval, args.corpus, args.num)
    answers = complete(items, args.options)
    with tempfile.TemporaryDirectory() as folder:
        out, asked = args.out or Path(folder) / "answers.jsonl", Path(folder) / "items.jsonl"
        out.write_text("".join(json.dumps(row) + "\n" for row in answers))
        asked.write_text("".join(json.dumps(item) + "\n" for item in items))
        score = [sys.executable, args.eval / "score.py", args.corpus / "dev.jsonl.xz", asked, out]
        subprocess.run(score, check=True)
    print("confidence", by_confidence(items, answers))
    times = sorted(row["timings_ms"]["total"] for row in answers if "timings_ms" in row)
    p95 = times[int(0.95 * (len(times) - 1))]
    print(f"time of an answer: p50 {statistics.median(times):.0f} ms, p95 {p95:.0f} ms, {len(times)} answers")


if __name__ == "__main__":
    main()
