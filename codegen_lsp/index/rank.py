"""Which pieces of other files are shown, out of those that the sources found.

A source gives a piece a score from 0 to 1, how sure it is that the piece helps; what several say of one place adds up
as chances do. Near copies of the cursor's own surroundings say nothing new, and two pieces of one place only once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from codegen_lsp.text import Span

MAX_PIECES = 12
"""More than a prompt has room for: their lines are offered as well."""
COPY = 0.5
"""Share of common words from which on a piece counts as a copy of what is around the cursor."""


@dataclass(frozen=True)
class Piece:
    """A place in a file that may help, with the source that found it."""

    path: str
    span: Span
    text: str
    reason: str
    score: float


def similarity(left: frozenset[str], right: frozenset[str]) -> float:
    """Jaccard's: common words as a share of all, 0 to 1."""
    return len(left & right) / max(1, len(left | right))


def ranked(pieces: Iterable[Piece]) -> list[Piece]:
    """Pieces, best first, those of one place as one."""
    kept: list[Piece] = []
    for piece in sorted(pieces, key=lambda each: (-each.score, each.path, each.span.start)):
        same = next((number for number, other in enumerate(kept) if _overlap(piece, other)), None)
        if same is None:
            kept.append(piece)
        elif piece.reason not in kept[same].reason:
            kept[same] = _joined(kept[same], piece)
    return sorted(kept, key=lambda each: (-each.score, each.path, each.span.start))


def _overlap(left: Piece, right: Piece) -> bool:
    return left.path == right.path and left.span.start < right.span.end and right.span.start < left.span.end


def _joined(kept: Piece, other: Piece) -> Piece:
    """The better piece's text, with both reasons."""
    chance = 1 - (1 - kept.score) * (1 - other.score)
    return replace(kept, reason=f"{kept.reason}, {other.reason}", score=chance)
