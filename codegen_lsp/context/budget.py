"""Fit a file to a number of tokens, so that what was shown while typing stays the same.

The suffix's share does not depend on how long the prefix is, and the prefix is cut where a multiple of 32 lines
begins: while somebody types, the prompt only grows at its end and the KV cache survives, until 32 lines are dropped
at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from codegen_lsp.core import Snippet

CountTokens = Callable[[str], int]

CHARS_PER_TOKEN = 12
"""More than any tokenizer reaches on code; longer texts are cut to this many characters before they are counted."""
STEP = 32
"""Lines that are dropped at once."""
STEP_CHARS = 1024
"""Characters that are dropped at once where one line alone is too long."""
SUFFIX_SHARE = 0.15
SUFFIX_CAP = 0.25
HEAD_SHARE = 0.25
"""Imports and headers of enclosing definitions, at most."""
HEADER_SHARE = 0.1
"""Of it for headers, in any case."""
SNIPPET_SHARE = 0.3


@dataclass(frozen=True)
class Window:
    """The nearest part of a text: `text`, and how many characters before (or after) it were left out."""

    text: str
    dropped: int


def nearest_before(text: str, budget: int, count: CountTokens) -> Window:
    """The end of a text in at most `budget` tokens, beginning at a line whose number is a multiple of STEP.

    Where fewer than STEP lines fit, at any line; where not even the last line does, at a multiple of STEP_CHARS.
    """
    base = max(0, len(text) - CHARS_PER_TOKEN * max(budget, 0))
    lines = _line_starts(text, base)
    number = text.count("\n", 0, lines[0]) if lines else 0
    coarse = [start for index, start in enumerate(lines) if (number + index) % STEP == 0]
    chars = list(range(base - base % -STEP_CHARS, len(text), STEP_CHARS))
    for starts in (coarse, lines[-STEP:], chars):
        cuts = [*starts, len(text)]
        pieces = [text[left:right] for left, right in pairwise(cuts)]
        kept = "".join(that_fit(pieces, budget, count, from_end=True))
        if kept:
            return Window(kept, len(text) - len(kept))
    kept = _dense(text[len(text) - max(budget, 0) :], budget, count, keep_end=True)
    return Window(kept, len(text) - len(kept))


def nearest_after(text: str, budget: int, count: CountTokens) -> Window:
    """The beginning of a text in at most `budget` tokens: whole lines, where there is one that fits."""
    head = text[: CHARS_PER_TOKEN * max(budget, 0)]
    cuts = [0, *(at - 1 for at in _line_starts(head, 2))]
    if len(head) == len(text):
        cuts.append(len(text))
    pieces = [text[left:right] for left, right in pairwise(cuts)]
    kept = "".join(that_fit(pieces, budget, count))
    if not kept.strip():
        kept = _dense(text[: max(budget, 0)], budget, count, keep_end=False)
    return Window(kept, len(text) - len(kept))


def that_fit(pieces: Sequence[str], budget: int, count: CountTokens, from_end: bool = False) -> list[str]:
    """The first (or last) pieces that together have at most `budget` tokens."""
    num_kept, room = 0, budget
    for piece in reversed(pieces) if from_end else pieces:
        room -= count(piece) if len(piece) <= CHARS_PER_TOKEN * max(room, 0) else room + 1
        if room < 0:
            break
        num_kept += 1

    def kept() -> list[str]:
        return list(pieces[len(pieces) - num_kept :] if from_end else pieces[:num_kept])

    # Most tokenizers find no more tokens in the whole than in its pieces, but none promises it.
    while num_kept and count("".join(kept())) > budget:
        num_kept -= 1
    return kept()


def fit_snippets(snippets: Sequence[Snippet], budget: int, count: CountTokens) -> tuple[Snippet, ...]:
    """The first snippets that fit, the best one last: next to the file. A snippet is shown whole or not at all."""
    kept = list[Snippet]()
    for snippet in snippets:
        cost = count(f"{snippet.path}\n{snippet.text}\n") + 1
        if cost <= budget:
            budget -= cost
            kept.append(snippet)
    return tuple(reversed(kept))


def _line_starts(text: str, base: int) -> list[int]:
    """Starts of the lines that begin at `base` or later."""
    starts = [0] if base == 0 and text else []
    at = text.find("\n", max(0, base - 1))
    while at >= 0:
        starts.append(at + 1)
        at = text.find("\n", at + 1)
    return starts


def _dense(text: str, budget: int, count: CountTokens, keep_end: bool) -> str:
    """A piece without line ends and with about a token a character, halved until it fits."""
    while text and count(text) > budget:
        half = len(text) // 2
        text = text[len(text) - half :] if keep_end else text[:half]
    return text
