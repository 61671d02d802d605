"""Span, Edit and LineIndex. The only file that knows UTF-16, and what a line end is: \\n, \\r\\n or \\r.

`str.splitlines` also splits at form feeds, U+2028 and others; LSP does not, so it is not used anywhere.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

_LINE_END = re.compile(r"\r\n|\n|\r")
_BLOCK = 256
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of control and format characters, halves of surrogates, and line ends."""


class Encoding(StrEnum):
    """How LSP counts columns."""

    UTF8 = "utf-8"
    UTF16 = "utf-16"
    UTF32 = "utf-32"


@dataclass(frozen=True, order=True)
class Span:
    """Half-open range of characters."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise ValueError(f"not a span: {self.start}..{self.end}")

    def __len__(self) -> int:
        return self.end - self.start

    def of(self, text: str) -> str:
        """The characters it covers."""
        return text[self.start : self.end]


@dataclass(frozen=True)
class Edit:
    """Replace `span` by `text`."""

    span: Span
    text: str

    def apply(self, text: str) -> str:
        """The text after the edit."""
        return text[: self.span.start] + self.text + text[self.span.end :]


class LineIndex:
    """Line starts of one text; positions beyond a line or the text are clamped, as the specification asks."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts = [0, *(match.end() for match in _LINE_END.finditer(text))]

    @property
    def num_lines(self) -> int:
        """Number of lines; an empty text has one."""
        return len(self._starts)

    def line_span(self, line: int) -> Span:
        """Characters of a line (0-based), without its line end."""
        start = self._starts[line]
        end = self._starts[line + 1] if line + 1 < len(self._starts) else len(self.text)
        content = self.text[start:end]
        if content.endswith("\r\n"):
            return Span(start, end - 2)
        return Span(start, end - 1 if content.endswith(("\n", "\r")) else end)

    def offset(self, line: int, column: int, encoding: Encoding = Encoding.UTF16) -> int:
        """The character offset of an LSP position (0-based, `column` in code units of `encoding`)."""
        if line < 0:
            return 0
        if line >= self.num_lines:
            return len(self.text)
        span = self.line_span(line)
        return span.start + characters(span.of(self.text), column, encoding)

    def position(self, offset: int, encoding: Encoding = Encoding.UTF16) -> tuple[int, int]:
        """(line, column) of a character offset."""
        offset = min(max(offset, 0), len(self.text))
        line = bisect_right(self._starts, offset) - 1
        return line, units(self.text[self._starts[line] : offset], encoding)


def units(text: str, encoding: Encoding) -> int:
    """Length of a text in code units."""
    if encoding is Encoding.UTF32 or text.isascii():
        return len(text)
    if encoding is Encoding.UTF16:
        return len(text.encode("utf-16-le", "surrogatepass")) // 2
    return len(text.encode("utf-8", "surrogatepass"))


def characters(line: str, column: int, encoding: Encoding) -> int:
    """Characters of `line` before `column` code units; a column inside a character counts as before it."""
    column = max(column, 0)
    if encoding is Encoding.UTF32 or line.isascii():
        return min(column, len(line))
    seen = start = 0
    # Whole blocks first: a minified line can be a megabyte long.
    while start < len(line) and (size := units(line[start : start + _BLOCK], encoding)) <= column - seen:
        seen += size
        start += _BLOCK
    for index, char in enumerate(line[start : start + _BLOCK], start):
        seen += units(char, encoding)
        if seen > column:
            return index
    return len(line)


def split_lines(text: str) -> list[str]:
    """The lines of a text, each with its line end; the last one has none and may be empty."""
    if "\r" not in text:
        *ended, last = text.split("\n")
        return [*(line + "\n" for line in ended), last]
    starts = [0, *(match.end() for match in _LINE_END.finditer(text)), len(text)]
    return [text[start:end] for start, end in pairwise(starts)]


def with_newlines(text: str) -> str:
    """The text with \\n for every line end."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def line_end_of(text: str) -> str:
    """The line end that the text uses first, "\\n" when it has none."""
    match = _LINE_END.search(text)
    return match.group() if match else "\n"


def insertions(before: str, after: str) -> list[Edit]:
    """The insertions of whole lines, as edits of `before`, that make it `after`; that has to have all of its lines."""
    lines, edits, offset, new = iter(split_lines(before)), list[Edit](), 0, ""
    line = next(lines, None)
    for each in split_lines(after):
        if each != line:
            new += each
            continue
        if new:
            edits.append(Edit(Span(offset, offset), new))
        offset, new = offset + len(each), ""
        line = next(lines, None)
    return edits


def apply_all(edits: Iterable[Edit], text: str) -> str:
    """A text after edits of it that do not overlap."""
    for edit in sorted(edits, key=lambda edit: edit.span, reverse=True):
        text = edit.apply(text)
    return text


def printable(text: str, kept: str = "") -> str:
    """The text with what would steer a terminal, or turn or hide text, written out: `\\x1b`.

    File names, exceptions and what generated code prints may hold anything, and nobody has read them. `kept`:
    characters that stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(char if char in kept else _written_out(char) for char in text)


def _written_out(char: str) -> str:
    return ascii(char)[1:-1] if unicodedata.category(char) in _UNSEEN else char
