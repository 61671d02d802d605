"""The switch in a file itself: a comment `codegen: off` in one of its first lines."""

from __future__ import annotations

import re

from codegen_lsp.text import with_newlines

LINES = 5
MAX_CHARS = 8192
"""The lines may be long ones."""
_OFF = re.compile(r"(?:#|//|--|/?\*|<!--).{0,80}?\bcodegen: ?off\b", re.IGNORECASE)


def is_off(text: str) -> bool:
    """Whether a file says that nothing is to be written into it, nor shown of it elsewhere."""
    return any(_OFF.search(line) for line in with_newlines(text[:MAX_CHARS]).split("\n", LINES)[:LINES])
