"""Pieces of other files of a package that look like what stands before the cursor, as a retriever would show them.

Similarity is the share of common sub-words (Jaccard) of the cursor's last lines with a window of another file, as in
RepoCoder (Zhang et al. 2023). The file itself is never among them.
"""

from __future__ import annotations

import functools
import random
import sys
from collections.abc import Sequence

from codegen_lsp.core import Snippet
from codegen_lsp.index.rank import similarity
from codegen_lsp.index.words import word_list
from codegen_lsp.training.corpus import Document

WINDOW = 10
"""Lines of a piece, and of the text before the cursor that it is compared with."""
MAX_FILES = 6


def words(text: str) -> frozenset[str]:
    """Its sub-words, as the index finds them."""
    return frozenset(map(sys.intern, word_list(text)))


def neighbours(prefix: str, path: str, others: Sequence[Document], num: int, rng: random.Random) -> tuple[Snippet, ...]:
    """Up to `num` pieces of some of the other files, the most similar last: next to the file."""
    wanted = words("\n".join(prefix.split("\n")[-WINDOW:]))
    files = [document for document in rng.sample(others, min(len(others), MAX_FILES)) if document.path != path]
    found = [_best(document, wanted) for document in files]
    ranked = sorted((piece for piece in found if piece.score > 0), key=lambda piece: piece.score)
    return tuple(ranked[len(ranked) - min(num, len(ranked)) :])


def _best(document: Document, wanted: frozenset[str]) -> Snippet:
    best, best_score = "", 0.0
    for piece, own in _windows(document.text):
        score = similarity(own, wanted)
        if score > best_score:
            best, best_score = piece, score
    return Snippet(document.path, best, "similar", best_score)


@functools.lru_cache(maxsize=4_096)
def _windows(text: str) -> tuple[tuple[str, frozenset[str]], ...]:
    """Pieces of a file with their words. Kept: a file is looked at for every sample that shows some of it."""
    lines = text.split("\n")
    pieces = ("\n".join(lines[at : at + WINDOW]).strip("\n") for at in range(0, len(lines), WINDOW // 2))
    return tuple((piece, words(piece)) for piece in pieces if len(piece) < 800)
