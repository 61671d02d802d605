"""Lines that could stand at the cursor since they stand elsewhere, in the file or in what was retrieved: what the
engine may take where it finds them likely."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from codegen_lsp.core import Intent, Shape, Snapshot, Snippet

MIN_CHARS, MIN_REST = 8, 3
"""Of a line, and of its rest behind what is typed already: shorter ones the model finds by itself."""
MAX_CHARS = 160
MAX_LINES = 600
FAR = 16_000
"""Characters before and behind the cursor whose lines are offered."""
NEAR = 2
"""Lines next to the cursor that are not: nobody writes the same line twice in a row."""
OWN_BONUS, BONUS = 0.0, 2.0
"""Nats for a line of the file, and of what was retrieved; measured (models/LOG.md)."""
_COMMENT = ("#", "//", "/*", "*", "--", '"""', "'''")


def candidates(
    snapshot: Snapshot, intent: Intent, prefix: str, snippets: Sequence[Snippet]
) -> tuple[tuple[str, float], ...]:
    """What could be written next, each once, with a bonus in nats against what the model says by itself.

    `prefix` is the text before it. None for more than a line: what a comment or a docstring asks for begins in many
    ways, each of them less likely than a short line that has nothing to do with it.
    """
    if intent.shape is not Shape.LINE:
        return ()
    typed = prefix.rpartition("\n")[2].lstrip()
    least = MIN_REST if typed else MIN_CHARS
    found: dict[str, float] = {}
    # Those of the file last: a long one has more than there is room for.
    lines = [(line, BONUS) for one in snippets for line in one.text.split("\n")]
    lines += [(line, OWN_BONUS) for line in _of_file(snapshot.text, intent)]
    for line, bonus in lines:
        code = line.strip()
        if code.startswith(typed) and not code.startswith(_COMMENT) and code.isprintable():
            rest = code[len(typed) :]
            if least <= len(rest) <= MAX_CHARS:
                found[rest] = max(bonus, found.get(rest, bonus))
    return tuple(islice(found.items(), MAX_LINES))


def _of_file(text: str, intent: Intent) -> Iterator[str]:
    """Lines before and behind the cursor, the nearest first."""
    before = text[max(0, intent.target.start - FAR) : intent.target.start].split("\n")[: -1 - NEAR]
    yield from reversed(before[1:] if intent.target.start > FAR else before)
    behind = text[intent.target.end : intent.target.end + FAR].split("\n")
    yield from behind[1 + NEAR : -1 if intent.target.end + FAR < len(text) else None]
