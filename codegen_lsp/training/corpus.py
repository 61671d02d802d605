"""Reading the corpus: *.jsonl.xz shards of {"package", "path", "text", …}, one published file a line."""

from __future__ import annotations

import json
import lzma
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE_BYTES = 10_000_000
"""No package gives more than this, so that none sets the style."""

_LICENCE = re.compile(r"copyright|licen[sc]e|all rights reserved|spdx", re.IGNORECASE)


@dataclass(frozen=True)
class Document:
    """One source file of a package."""

    package: str
    path: str
    text: str


def read_shard(path: Path) -> Iterator[Document]:
    """The files of one shard, in the order in which they are stored, packages capped."""
    used: dict[str, int] = {}
    with lzma.open(path, "rt", encoding="utf-8") as rows:
        for row in map(json.loads, rows):
            size = used.get(row["package"], 0) + len(row["text"])
            if size <= PACKAGE_BYTES:
                used[row["package"]] = size
                yield Document(row["package"], row["path"], strip_licence(row["text"]))


def train_shards(folder: Path) -> list[Path]:
    """The shards that may be trained on; dev is for measuring and is never among them."""
    shards = sorted(folder.glob("train-*.jsonl.xz"))
    if not shards:
        raise FileNotFoundError(f"no train-*.jsonl.xz in {folder}")
    return shards


def sample(folder: Path, num_bytes: int, seed: int) -> Iterator[Document]:
    """About `num_bytes` of text spread over all shards, chosen by a seed."""
    rng, taken = random.Random(seed), 0
    shards = train_shards(folder)
    share = num_bytes / (280e6 * len(shards))
    for shard in shards:
        for document in read_shard(shard):
            if rng.random() < share:
                taken += len(document.text)
                yield document
            if taken > num_bytes:
                return


def strip_licence(text: str) -> str:
    """The text without a leading block of comments that is a licence; other comments stay."""
    lines = text.split("\n")
    end = next((n for n, line in enumerate(lines) if line and not line.startswith("#")), len(lines))
    head = "\n".join(lines[:end])
    return "\n".join(lines[end:]) if _LICENCE.search(head) else text
