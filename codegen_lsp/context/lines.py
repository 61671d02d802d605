"""Lines of retrieved pieces that could stand at the cursor: what the engine may take where it finds them likely."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from codegen_lsp.core import Intent, Shape, Snippet

MIN_CHARS, MIN_REST = 8, 3
"""Of a line, and of its rest behind what is typed already: shorter ones the model finds by itself."""
MAX_CHARS = 160
MAX_LINES = 400
_COMMENT = ("#", "//", "/*", "*", "--", '"""', "'''")


def candidates(snippets: Sequence[Snippet], intent: Intent, prefix: str) -> tuple[str, ...]:
    """What could be written next, each once; `prefix` is the text before it. None for a whole body."""
    if intent.shape is Shape.BODY:
        return ()
    typed = prefix.rpartition("\n")[2].lstrip()
    found = dict.fromkeys(line for line in _lines(snippets) if line.startswith(typed))
    least = MIN_REST if typed else MIN_CHARS
    rests = (line[len(typed) :] for line in found)
    return tuple(rest for rest in rests if least <= len(rest) <= MAX_CHARS)[:MAX_LINES]


def _lines(snippets: Sequence[Snippet]) -> Iterable[str]:
    for snippet in snippets:
        for line in snippet.text.split("\n"):
            code = line.strip()
            if not code.startswith(_COMMENT) and code.isprintable():
                yield code
