"""Sub-words of code: what identifiers are made of, so that `readFile` and `read_file` are alike."""

from __future__ import annotations

import functools
import re

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_a-zA-Z]+")
MIN_LENGTH = 2
MAX_LENGTH = 40
"""Characters; a longer one is data."""


def word_list(text: str) -> list[str]:
    """Its sub-words in lower case, in order: `readFile_22` has read, file and 22."""
    return [word.lower() for word in _WORD.findall(text) if MIN_LENGTH <= len(word) <= MAX_LENGTH]


@functools.lru_cache(maxsize=4096)
def word_set(text: str) -> frozenset[str]:
    """The same without order. Remembered: while somebody types, the same pieces are looked at again and again."""
    return frozenset(word_list(text))
