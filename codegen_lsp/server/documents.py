"""The editor's documents, as lists of lines: an edit costs what it changes, not the size of the file.

pygls' own store splits lines with `str.splitlines`, which corrupts every edit below a form feed or U+2028.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from codegen_lsp.text import Encoding, characters, split_lines, units

Position = tuple[int, int]
"""(line, column in code units), as LSP counts."""


@dataclass(frozen=True)
class Change:
    """Replace what lies between two positions; all of the text when `start` is None."""

    text: str
    start: Position | None = None
    end: Position = (0, 0)


class Document:
    """One open document. Only the event loop changes it."""

    def __init__(self, uri: str, language: str, version: int, text: str) -> None:
        self.uri = uri
        self.home = uri
        """The URI whose path says what rules hold: a cell's is its notebook's."""
        self.lead = ""
        """What `text` has before the editor's own; no position of the editor is in it."""
        self.language = language
        self.version = version
        self.revision = 0
        """Counts changes of the text: unlike the client's version it never repeats."""
        self._lines = split_lines(text)
        self._text: str | None = text
        self._starts: list[int] | None = None

    @property
    def own(self) -> str:
        """The text as the editor has it; joined once after a change."""
        if self._text is None:
            self._text = "".join(self._lines)
        return self._text

    @property
    def text(self) -> str:
        """What is completed; offsets are characters of it."""
        return self.own

    def is_barred(self, offset: int) -> bool:
        """Whether nothing can be written at an offset."""
        return False

    @property
    def num_lines(self) -> int:
        """Number of lines; an empty text has one."""
        return len(self._lines)

    @property
    def sha256(self) -> str:
        """Of the editor's text as UTF-8 (lone surrogates as three bytes each)."""
        return hashlib.sha256(self.own.encode("utf-8", "surrogatepass")).hexdigest()

    def around(self, line: int, num: int) -> str:
        """A line with so many before and after it."""
        return "".join(self._lines[max(0, line - num) : line + num + 1])

    def update(self, version: int, changes: Sequence[Change], encoding: Encoding) -> None:
        """Apply changes in order, each to the result of the one before."""
        for change in changes:
            self._apply(change, encoding)
        self.version = version

    def num_written(self, changes: Sequence[Change]) -> int:
        """Characters that the largest of some changes is going to write; what replaces all writes what it is longer."""
        return max((len(each.text) - (0 if each.start else len(self.own)) for each in changes), default=0)

    def offset(self, position: Position, encoding: Encoding) -> int:
        """Character offset of a position, clamped to its line and to the text."""
        line, column = self._locate(position, encoding)
        return self._line_starts()[line] + column

    def position(self, offset: int, encoding: Encoding) -> Position:
        """Position of a character offset, clamped to the text."""
        starts = self._line_starts()
        line = bisect_right(starts, max(offset, 0)) - 1
        return line, units(self._lines[line][: max(offset, 0) - starts[line]], encoding)

    def _line_starts(self) -> list[int]:
        if self._starts is None:
            self._starts = [0, *accumulate(map(len, self._lines[:-1]))]
        return self._starts

    def _locate(self, position: Position, encoding: Encoding) -> Position:
        """(line, column in characters) of a position, clamped."""
        line, column = position
        if line < 0:
            return 0, 0
        if line >= len(self._lines):
            return len(self._lines) - 1, len(self._lines[-1])
        content = self._lines[line].rstrip("\r\n")
        return line, characters(content, column, encoding)

    def _apply(self, change: Change, encoding: Encoding) -> None:
        self.revision += 1
        self._text = self._starts = None
        if change.start is None:
            self._lines, self._text = split_lines(change.text), change.text
            return
        start, end = sorted((self._locate(change.start, encoding), self._locate(change.end, encoding)))
        line = self._lines[start[0]]
        edited = line[: start[1]] + change.text + line[end[1] :]
        # A line that is left empty may have parted a \r before it from its own \n: the two become one line end.
        if start[0] != end[0] or "\n" in change.text or "\r" in change.text or edited.startswith("\n"):
            self._replace_lines(start, end, change.text)
        else:
            self._lines[start[0]] = edited

    def _replace_lines(self, start: Position, end: Position, text: str) -> None:
        # One line more on each side: there a \r and a \n may meet, or part.
        first, last = max(start[0] - 1, 0), min(end[0] + 1, len(self._lines) - 1)
        head = "".join(self._lines[first : start[0]]) + self._lines[start[0]][: start[1]]
        tail = self._lines[end[0]][end[1] :] + "".join(self._lines[end[0] + 1 : last + 1])
        lines = split_lines(head + text + tail)
        if last + 1 < len(self._lines):
            lines.pop()  # Empty: the last line that was replaced ended in a line end.
        self._lines[first : last + 1] = lines
