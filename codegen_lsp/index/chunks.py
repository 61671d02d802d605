"""A file in pieces that can be found and shown: a few lines each, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

LINES = 10
MAX_CHARS = 800


class Extent(NamedTuple):
    """Where a piece is: offsets in characters, and its first line, from 0."""

    start: int
    end: int
    line: int


def extents(text: str) -> Iterator[Extent]:
    """The pieces of a text; blank ones and those without words worth finding are left out."""
    starts = [0]
    while (at := text.find("\n", starts[-1])) >= 0:
        starts.append(at + 1)
    starts.append(len(text))
    for line in range(0, len(starts) - 1, LINES):
        start, end = starts[line], starts[min(line + LINES, len(starts) - 1)]
        end = min(end, start + MAX_CHARS)
        if text[start:end].strip():
            yield Extent(start, end, line)
